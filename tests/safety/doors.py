"""Every way to do what cannot be undone, and the known reads: shared by the safety tests."""

import json
from base64 import b64encode
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote

import pytest
from upstream import Reply

ANONYMOUS = "0b2f1c0e-7d5a-4c3e-9a51-6f1de2b9c7aa"
YESTERDAY = (datetime.now(UTC).date() - timedelta(days=1)).isoformat()
LAST_WINTER = 1_767_614_400

# An answer that every endpoint behind a door takes for a success.
SUCCESS = Reply(
    json={"status": 1, "error": None, "num_records_imported": 1, "pipeline_names": ["p-1"]}
)


@dataclass(frozen=True)
class Door:
    """A call that needs a confirmation, and what a person must be told about it."""

    tool: str
    arguments: dict[str, Any]
    tells: tuple[str, ...]
    label: str = ""
    sent_as: str = field(default="POST")

    def __str__(self) -> str:
        return f"{self.tool}-{self.label}" if self.label else self.tool


def merges(name: str) -> dict[str, Any]:
    """An event that ties two ids together."""
    pairs: dict[str, dict[str, Any]] = {
        "$identify": {"$identified_id": "ada", "$anon_id": ANONYMOUS, "distinct_id": "ada"},
        "$create_alias": {"distinct_id": "ada", "alias": ANONYMOUS},
        "$merge": {"$distinct_ids": ["ada", ANONYMOUS]},
    }
    return {"event": name, "properties": pairs[name]}


def dated(event: dict[str, Any]) -> dict[str, Any]:
    return {**event, "properties": {**event["properties"], "time": LAST_WINTER}}


def base64_of(document: Any) -> str:
    return b64encode(json.dumps(document).encode()).decode()


DELETE = [{"$distinct_id": "ada", "$delete": ""}]
S3_PIPELINE: dict[str, Any] = {
    "type": "s3-raw",
    "s3_bucket": "lake",
    "s3_prefix": "raw/web",
    "s3_region": "us-east-1",
    "s3_role": "arn:aws:iam::1:role/mixpanel",
    "from_date": YESTERDAY,
}
_IDS = ("ada", ANONYMOUS)
_TO_S3 = ("s3://lake/raw/web", "arn:aws:iam::1:role/mixpanel", "us-east-1")
_CANCEL = "/api/2.0/nessie/pipeline/cancel"


def _raw(label: str, tells: tuple[str, ...], url: str, method: str = "POST", **more: Any) -> Door:
    return Door("raw_request", {"url": url, "method": method, **more}, tells, label, method)


TYPED_DOORS = [
    Door("delete_profile", {"delete_profiles": ["ada", "bob"]}, ("2 profiles", "ada", "bob")),
    Door(
        "update_multiple_profiles",
        {"properties_to_update": [*DELETE, {"$distinct_id": "bob", "$set": {"plan": "pro"}}]},
        ("1 profile", "ada", "change 1 more"),
    ),
    Door("create_identity", {"identified_id": "ada", "anon_id": ANONYMOUS}, _IDS),
    Door("create_alias", {"distinct_id": "ada", "alias": ANONYMOUS}, _IDS),
    *(
        # $merge is for /import alone.
        Door("track_events", {"events": [merges(name)]}, _IDS, name)
        for name in ("$identify", "$create_alias")
    ),
    *(
        Door("import_events", {"events": [dated(merges(name))]}, _IDS, name)
        for name in ("$identify", "$create_alias", "$merge")
    ),
    Door(
        "create_gcs_pipeline",
        {
            "gcs_bucket": "lake",
            "gcs_prefix": "raw/web",
            "gcs_region": "europe-west4",
            "from_date": YESTERDAY,
            "events": ["Signed up"],
            "where": 'properties["plan"] == "pro"',
        },
        ("gs://lake/raw/web", "europe-west4", "Signed up", "plan", YESTERDAY),
    ),
    Door("edit_gcs_pipeline", {"name": "p-1", "events": ["Signed up"]}, ("p-1", "Signed up")),
    Door("delete_pipeline", {"name": "p-1"}, ("p-1", "history")),
    Door("create_generic_pipeline", {"form_data": S3_PIPELINE}, _TO_S3),
    Door(
        "edit_generic_pipeline",
        {"name": "p-1", "form_data": {"events": ["Signed up"]}},
        ("p-1", "Signed up"),
    ),
    Door(
        "create_generic_pipeline",
        {"url": "/nessie/pipeline/cancel", "form_data": {"name": "p-1"}},
        ("p-1", "history"),
        "that cancels",
    ),
]

RAW_DOORS = [
    _raw("delete a profile", ("1 profile", "ada"), "/engage", data=DELETE),
    _raw(
        "delete a group",
        ("1 profile", "company=acme"),
        "/groups",
        data=[{"$group_key": "company", "$group_id": "acme", "$delete": ""}],
    ),
    _raw("identify", _IDS, "/track", form_data={"data": json.dumps(merges("$identify"))}),
    _raw(
        "alias by GET",
        _IDS,
        "/track",
        "GET",
        query_parameters={"data": base64_of(merges("$create_alias"))},
    ),
    _raw("merge", _IDS, "/import", data=[dated(merges("$merge"))]),
    _raw("create a pipeline", _TO_S3, "/nessie/pipeline/create", form_data=S3_PIPELINE),
    _raw(
        "create one by GET", _TO_S3, "/nessie/pipeline/create", "GET", query_parameters=S3_PIPELINE
    ),
    _raw("create one as JSON", _TO_S3, "/nessie/pipeline/create", data=S3_PIPELINE),
    _raw(
        "edit a pipeline",
        ("p-1", "Signed up"),
        "/nessie/pipeline/edit",
        form_data={"name": "p-1", "events": ["Signed up"]},
    ),
    _raw("cancel a pipeline", ("p-1", "history"), _CANCEL, form_data={"name": "p-1"}),
    _raw("cancel one by GET", ("p-1", "history"), f"{_CANCEL}?name=p-1", "GET"),
    _raw("cancel one by HEAD", ("p-1", "history"), f"{_CANCEL}?name=p-1", "HEAD"),
    _raw("pause a pipeline", ("p-1",), "/nessie/pipeline/pause", form_data={"name": "p-1"}),
    _raw("delete schemas", ("DELETE", "schemas"), "/api/app/projects/4242/schemas", "DELETE"),
    _raw(
        "replace a table", ("PUT", "lookup-tables"), "/lookup-tables/7", "PUT", data="id,name\n1,a"
    ),
    _raw(
        "delete a person's data",
        ("POST", "data-deletions", "ada"),
        "/api/app/data-deletions/v3.0",
        data={"distinct_ids": ["ada"]},
    ),
]

DOORS = TYPED_DOORS + RAW_DOORS

every_door = pytest.mark.parametrize("door", DOORS, ids=str)


def door_named(label: str) -> Door:
    return next(door for door in DOORS if str(door) == label)


some_doors = pytest.mark.parametrize(
    "door", [door_named("delete_profile"), door_named("raw_request-merge")], ids=str
)

_DATES = "from_date=2026-01-01&to_date=2026-01-02"

# mixpanel-api.md 5, 6.1 and 6.2; the App API's reads are GETs without data.
READS: list[dict[str, Any]] = [
    *(
        {"method": "GET", "url": f"/api/query/{path}"}
        for path in (
            "insights?bookmark_id=1",
            f"funnels?funnel_id=1&{_DATES}",
            "funnels/list",
            f"segmentation?event=A&{_DATES}",
            f"segmentation/numeric?event=A&on=properties[%22n%22]&{_DATES}",
            f"segmentation/sum?event=A&on=properties[%22n%22]&{_DATES}",
            f"segmentation/average?event=A&on=properties[%22n%22]&{_DATES}",
            f"events?event=[%22A%22]&type=general&unit=day&{_DATES}",
            "events/top?type=general",
            "events/names?type=general",
            f"events/properties?event=A&name=p&type=general&unit=day&{_DATES}",
            "events/properties/top?event=A",
            "events/properties/values?event=A&name=p",
            f"retention?{_DATES}&born_event=A",
            f"retention/addiction?{_DATES}&unit=day&addiction_unit=hour",
            f"stream/query?distinct_ids=[%22ada%22]&{_DATES}",
        )
    ),
    {"method": "HEAD", "url": "/api/query/funnels/list"},
    {"method": "POST", "url": "/api/query/cohorts/list"},
    {"method": "POST", "url": "/api/2.0/cohorts/list"},
    {"method": "POST", "url": "/api/query/engage"},
    {
        "method": "POST",
        "url": "/api/query/engage",
        "form_data": {"where": 'properties["$email"] == "a"', "distinct_ids": '["ada"]'},
    },
    {"method": "POST", "url": "/api/2.0/engage", "data": {"distinct_ids": ["ada"], "page": 0}},
    {"method": "GET", "url": "/api/2.0/engage?distinct_id=ada"},
    {"method": "POST", "url": "/api/2.0/engage/stats", "form_data": {"action": "count()"}},
    {"method": "GET", "url": "/api/2.0/engage/properties"},
    {
        "method": "POST",
        "url": "/api/query/jql",
        "form_data": {"script": "function main(){return Events({})}", "params": '{"a": 1}'},
    },
    {"method": "POST", "url": "/api/2.0/jql", "form_data": {"script": "main"}},
    {"method": "GET", "url": f"/export?{_DATES}", "response_type": "text"},
    {"method": "GET", "url": f"/api/2.0/export?{_DATES}&event=[%22A%22]", "response_type": "text"},
    {"method": "GET", "url": "/nessie/pipeline/jobs"},
    {"method": "GET", "url": "/nessie/pipeline/status?name=p-1&status=failed&status=pending"},
    {"method": "POST", "url": "/nessie/pipeline/status", "form_data": {"name": "p-1"}},
    {"method": "GET", "url": "/nessie/pipeline/timeline?name=p-1"},
    {"method": "GET", "url": "/api/app/me"},
    {
        "method": "GET",
        "url": "/api/app/projects/4242/schemas/event/" + quote("A/B; test?", safe=""),
    },
    {"method": "GET", "url": "/api/app/projects/4242/annotations?fromDate=2026-01-01"},
    {"method": "GET", "url": "/lookup-tables"},
    {"method": "GET", "url": "/flags/definitions"},
]

every_read = pytest.mark.parametrize(
    "read", READS, ids=[f"{read['method']} {read['url'].split('?')[0]}" for read in READS]
)
