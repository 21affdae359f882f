"""Calls that together give every input of every tool, and the endpoint that each is to reach."""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

_NOW = datetime.now(UTC)
_TODAY = _NOW.date().isoformat()
_LATER = (_NOW.date() + timedelta(days=3)).isoformat()
_ANONYMOUS = "0b2f1c0e-7d5a-4c3e-9a51-6f1de2b9c7aa"
_REDIRECT = "https://example.com/after"


@dataclass(frozen=True)
class Scenario:
    """One call. `label` is the path of the specification, with its fragment where it has one."""

    tool: str
    spec: str
    label: str
    arguments: dict[str, Any] = field(default_factory=dict[str, Any])
    method: str = "post"
    reply: Any = field(default_factory=lambda: {"status": 1, "error": None})
    confirm: bool = False


def _event(**properties: Any) -> dict[str, Any]:
    stamp = {"time": int(_NOW.timestamp()), "$insert_id": "a-1", "distinct_id": "ada"}
    return {"event": "Signed up", "properties": {**stamp, **properties}}


def _update(fragment: str, verb: str, value: Any) -> Scenario:
    record = {"$distinct_id": "ada", verb: value}
    arguments = {"properties_to_update": [record], "verbose": False, "redirect": _REDIRECT}
    confirm = verb == "$delete"
    label = f"/engage#profile-{fragment}"
    name = "update_multiple_profiles"
    return Scenario(name, "ingestion", label, arguments, confirm=confirm)


def _pipeline(tool: str, step: str, arguments: dict[str, Any], **more: Any) -> Scenario:
    label = f"/nessie/pipeline/{step}"
    how: dict[str, Any] = {"confirm": True, **more}
    return Scenario(tool, "data-pipelines", label, arguments, **how)


def _generic(fields: dict[str, Any]) -> Scenario:
    form = {"from_date": _TODAY, **fields}
    return _pipeline("create_generic_pipeline", "create", {"form_data": form})


_SWITCHES: dict[str, Any] = {"verbose": False, "redirect": _REDIRECT}
_WORKSPACE: dict[str, Any] = {"project_id": 77, "workspace_id": 5}
_SELECTOR = [{"window": "90d", "name": "b", "event_selectors": [{"event": "Signed up"}]}]
_DAYS: dict[str, Any] = {"from_date": "2026-01-01", "to_date": "2026-01-31"}

SCENARIOS: list[Scenario] = [
    Scenario(
        "track_events",
        "ingestion",
        "/track",
        {"events": [_event()], "ip": True, "img": True, "use_project_token": False, **_SWITCHES},
    ),
    Scenario("track_events", "ingestion", "/track", {"events": [_event()]}),
    Scenario("import_events", "ingestion", "/import", {"events": [_event()], "project_id": 77}),
    Scenario(
        "import_events",
        "ingestion",
        "/import",
        {"events": [_event(), _event()], "use_project_token": True},
    ),
    Scenario(
        "create_profile",
        "ingestion",
        "/engage#profile-set",
        {
            "properties": [
                {"$distinct_id": "ada", "$set": {"plan": "pro"}},
                {"$distinct_id": "bob", "plan": "pro"},
            ],
            **_SWITCHES,
        },
    ),
    _update("set", "$set", {"plan": "pro"}),
    _update("set-once", "$set_once", {"plan": "pro"}),
    _update("numerical-add", "$add", {"visits": 12}),
    _update("union", "$union", {"tags": ["a", "b"]}),
    _update("list-append", "$append", {"tags": "a"}),
    _update("list-remove", "$remove", {"tags": "a"}),
    _update("unset", "$unset", ["plan"]),
    _update("delete", "$delete", "null"),
    Scenario(
        "update_multiple_profiles",
        "ingestion",
        "/engage#profile-batch-update",
        {
            "properties_to_update": [
                {"$distinct_id": "ada", "$set": {"plan": "pro"}},
                {"$distinct_id": "bob", "$add": {"visits": 1}},
            ]
        },
    ),
    Scenario(
        "delete_profile",
        "ingestion",
        "/engage#profile-delete",
        {
            "delete_profiles": [{"$distinct_id": "ada", "$ignore_alias": True}, "bob"],
            **_SWITCHES,
        },
        confirm=True,
    ),
    Scenario(
        "create_identity",
        "identity",
        "/track#create-identity",
        {"identified_id": "ada", "anon_id": _ANONYMOUS, "strict": False, **_SWITCHES},
        confirm=True,
    ),
    Scenario(
        "create_alias",
        "identity",
        "/track#identity-create-alias",
        {"distinct_id": "ada", "alias": "a@example.com", "strict": True, **_SWITCHES},
        confirm=True,
    ),
    Scenario(
        "query_profiles",
        "query",
        "/engage",
        {
            **_WORKSPACE,
            "distinct_ids": ["ada", "bob"],
            "where": 'properties["plan"] == "pro"',
            "output_properties": ["plan"],
            "session_id": "s-1",
            "page": 1,
            "filter_by_cohort": {"id": 12},
            "include_all_users": False,
        },
        reply={"results": [], "page": 1},
    ),
    Scenario(
        "query_profiles",
        "query",
        "/engage",
        {"behaviors": _SELECTOR, "where": 'behaviors["b"] > 0', "as_of_timestamp": 1_767_225_600},
        reply={"results": []},
    ),
    Scenario(
        "list_saved_funnels",
        "query",
        "/funnels/list",
        {**_WORKSPACE, "use_project_token": True},
        "get",
        reply=[],
    ),
    Scenario(
        "query_funnel_saved_reports",
        "query",
        "/funnels",
        {
            **_WORKSPACE,
            **_DAYS,
            "funnel_id": 9,
            "length": 2,
            "length_unit": "day",
            "unit": "week",
            "on": 'properties["platform"]',
            "where": 'properties["plan"] == "pro"',
            "limit": 100,
            "use_project_token": True,
        },
        "get",
        reply={"data": {}},
    ),
    Scenario(
        "query_funnel_saved_reports",
        "query",
        "/funnels",
        {**_DAYS, "funnel_id": 9, "interval": 7},
        "get",
        reply={"data": {}},
    ),
    Scenario(
        "query_insights_saved_reports",
        "query",
        "/insights",
        {**_WORKSPACE, "bookmark_id": 3},
        "get",
        reply={"series": {}},
    ),
    Scenario(
        "custom_jql_query",
        "query",
        "/jql",
        {**_WORKSPACE, "script": "function main() { return 1 }", "params": {"a": [1, "b"]}},
        reply=[],
    ),
    Scenario(
        "download_data",
        "export",
        "/export",
        {
            **_DAYS,
            "project_id": 77,
            "limit": 10,
            "event_name": ["Signed up", "Left"],
            "where": 'properties["plan"] == "pro"',
            "gzip_encoding": True,
        },
        "get",
        reply="",
    ),
    _pipeline("list_pipelines", "jobs", {"project_id": 77}, method="get", reply={}, confirm=False),
    _pipeline(
        "get_pipeline",
        "status",
        {"project_id": 77, "name": "p", "summary": True, "status": ["pending", "failed"]},
        method="get",
        reply={"pending": 1},
        confirm=False,
    ),
    _pipeline(
        "create_gcs_pipeline",
        "create",
        {
            "project_id": 77,
            "gcs_bucket": "bucket",
            "gcs_prefix": "raw",
            "gcs_region": "europe-west4",
            "from_date": _TODAY,
            "frequency": "hourly",
            "events": ["Signed up", "Left"],
            "where": 'properties["plan"] == "pro"',
        },
        reply={"pipeline_names": ["p"]},
    ),
    _pipeline(
        "create_gcs_pipeline",
        "create",
        {
            "gcs_bucket": "bucket",
            "gcs_region": "us-east1",
            "from_date": _TODAY,
            "to_date": _LATER,
        },
        reply={"pipeline_names": ["p"]},
    ),
    _pipeline(
        "create_gcs_pipeline",
        "create",
        {"gcs_bucket": "bucket", "gcs_region": "us-east1", "trial": True},
        reply={"pipeline_names": ["p"]},
    ),
    _pipeline(
        "edit_gcs_pipeline",
        "edit",
        {"project_id": 77, "name": "p", "events": ["Signed up"], "where": "x == 1"},
        reply={},
    ),
    _pipeline(
        "delete_pipeline",
        "cancel",
        {"project_id": 77, "name": "p", "use_project_token": True},
        reply={},
    ),
    _generic(
        {
            "type": "s3-raw",
            "data_source": "events",
            "s3_bucket": "b",
            "s3_region": "us-east-1",
            "s3_role": "arn:aws:iam::1:role/x",
            "s3_encryption": "none",
            "events": ["Signed up", "Left"],
        }
    ),
    _pipeline(
        "edit_generic_pipeline",
        "edit",
        {"name": "p", "form_data": {"events": ["Signed up", "Left"], "where": "x == 1"}},
        reply={},
    ),
    Scenario(
        "raw_request",
        "query",
        "/cohorts/list",
        {
            "url": "/api/query/cohorts/list",
            "method": "POST",
            "query_parameters": _WORKSPACE,
            "project_id": 77,
        },
        reply=[],
    ),
    Scenario(
        "raw_request",
        "export",
        "/export",
        {
            "url": "/export",
            "method": "GET",
            "query_parameters": _DAYS,
            "project_id": 77,
            "headers": {"X-Trace": "1"},
            "response_type": "text",
            "timeout_ms": 5000,
        },
        "get",
        reply="",
    ),
    Scenario(
        "raw_request",
        "ingestion",
        "/import",
        {
            "url": "/import",
            "method": "POST",
            "query_parameters": {"strict": 1},
            "data": [_event()],
            "max_retry_count": 1,
            "retry_delay_ms": 1,
            "use_exponential_backoff": True,
            "retry_on_all_errors": True,
        },
    ),
    Scenario(
        "raw_request",
        "query",
        "/jql",
        {
            "url": "/api/query/jql",
            "method": "POST",
            "form_data": {"script": "function main() {}"},
        },
        reply=[],
    ),
]
