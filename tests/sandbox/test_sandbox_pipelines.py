"""Pipelines live, pause and die, in Mixpanel's odd shapes."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from sandbox_client import PROJECT_ID, TODAY

from mixpanel_mcp.sandbox.clock import DAY, HOUR, MINUTE, midnight
from mixpanel_mcp.sandbox.pipeline_tasks import ZERO_TIME, pacific, tasks
from mixpanel_mcp.sandbox.pipeline_types import PIPELINE_TYPES

if TYPE_CHECKING:
    from sandbox_client import SandboxClient

GCS = {
    "type": "gcs-raw",
    "gcs_bucket": "bucket",
    "gcs_region": "us-east1",
    "from_date": "2026-03-08",
}
DATED = {**GCS, "from_date": "2026-03-01", "to_date": "2026-03-20"}
VALUES = {
    "gcs_region": "us-east1",
    "s3_region": "eu-west-1",
    "bq_region": "EU",
}


async def created(client: SandboxClient, **form: Any) -> str:
    answer = await client.pipeline("create", **form)
    assert answer.status_code == 200, answer.text
    (name,) = answer.json()["pipeline_names"]
    return name


async def names(client: SandboxClient) -> list[str]:
    listed = (await client.pipeline_read("jobs")).json()
    return [pipeline["name"] for pipeline in listed[str(PROJECT_ID)]]


async def states(client: SandboxClient, name: str) -> dict[str, int]:
    return (await client.pipeline_read("status", name=name, summary="true")).json()


async def test_a_pipeline_is_listed_as_mixpanel_lists_it(empty: SandboxClient) -> None:
    name = await created(empty, **GCS, frequency="hourly")

    listed = (await empty.pipeline_read("jobs")).json()

    assert name == "events-hourly-gcs-raw"
    (pipeline,) = listed["1000001"]
    assert pipeline.pop("last_dispatched").endswith(" US/Pacific")
    assert pipeline == {
        "name": name,
        "Dispatcher": "live",
        "frequency": "hourly",
        "sync_enabled": "false",
    }


async def test_status_shows_tasks_by_state(empty: SandboxClient) -> None:
    name = await created(empty, **GCS)

    status = (await empty.pipeline_read("status", name=name)).json()

    last = status["pending"][-1]
    assert last["last_finish"] == ZERO_TIME
    assert last["from_date"] == "2026-03-10T00:00:00+00:00"
    assert last["project_id"] == PROJECT_ID
    assert sum(map(len, status.values())) == 3
    assert await states(empty, name) == {state: len(found) for state, found in status.items()}


async def test_status_is_filtered_by_a_repeated_key(empty: SandboxClient) -> None:
    name = await created(empty, **GCS)

    both = await empty.pipeline_read("status", name=name, status=["pending", "running"])
    none = await empty.pipeline_read("status", name=name, status="failed")
    wrong = await empty.pipeline_read("status", name=name, status="succeeded")

    assert set(both.json()) <= {"pending", "running"}
    assert none.json() == {}
    assert wrong.status_code == 400


async def test_a_paused_pipeline_has_no_tasks_ahead(empty: SandboxClient) -> None:
    name = await created(empty, **GCS)

    assert (await empty.pipeline("pause", name=name)).status_code == 200
    assert await states(empty, name) == {"canceled": 3}
    assert (await empty.pipeline("resume", name=name)).status_code == 200
    assert "canceled" not in await states(empty, name)
    assert await names(empty) == [name]


async def test_a_cancelled_pipeline_is_gone(empty: SandboxClient) -> None:
    name = await created(empty, **GCS)

    answer = await empty.pipeline("cancel", name=name)

    assert answer.status_code == 200
    assert await names(empty) == []
    assert (await empty.pipeline_read("status", name=name)).status_code == 404
    assert (await empty.pipeline("cancel", name=name)).status_code == 404


async def test_a_timeline_shows_what_was_synced_even_while_paused(demo: SandboxClient) -> None:
    name = "people-daily-bigquery-monoschema"
    before = (await demo.pipeline_read("timeline", name=name)).json()["day_syncs"]
    await demo.pipeline("pause", name=name)

    assert (await demo.pipeline_read("timeline", name=name)).json()["day_syncs"] == before
    assert before[0]["date"] == (TODAY - timedelta(days=30)).isoformat()
    assert [each["status"] for each in before] == ["synced"] * len(before)
    (synced,) = before[0]["sync_times"]
    assert synced == "2026-02-08 16:01:00.000000 -0800 PST"


async def test_an_hourly_timeline_has_many_times_a_day(demo: SandboxClient) -> None:
    answer = await demo.pipeline_read("timeline", name="events-hourly-gcs-raw")

    assert len(answer.json()["day_syncs"][0]["sync_times"]) == 24


async def test_a_timeline_needs_a_pipeline(empty: SandboxClient) -> None:
    assert (await empty.pipeline_read("timeline", name="nobody")).status_code == 404
    assert (await empty.pipeline_read("timeline")).status_code == 400


@pytest.mark.parametrize("action", ["edit", "cancel", "pause", "resume"])
async def test_a_pipeline_must_exist(empty: SandboxClient, action: str) -> None:
    assert (await empty.pipeline(action, name="nobody")).status_code == 404
    assert (await empty.pipeline(action)).status_code == 400


async def test_an_edit_replaces_the_events(empty: SandboxClient) -> None:
    name = await created(empty, **GCS, events=["A", "B"])
    stored = empty.project.saved("pipeline")
    assert stored[1]["events"] == ["A", "B"]

    await empty.pipeline("edit", name=name, events=["C", "D, E"])
    await empty.pipeline("edit", name=name, where='properties["a"] == 1')

    edited = empty.project.saved("pipeline")[1]
    assert edited["events"] == ["C", "D, E"]
    assert edited["where"] == 'properties["a"] == 1'


@pytest.mark.parametrize(
    "form", [{"gcs_bucket": "other"}, {"frequency": "hourly"}, {"where": "(true"}]
)
async def test_only_the_filters_can_be_edited(empty: SandboxClient, form: dict[str, str]) -> None:
    name = await created(empty, **GCS)

    assert (await empty.pipeline("edit", name=name, **form)).status_code == 400


async def test_recurring_pipelines_differ_in_frequency(empty: SandboxClient) -> None:
    await created(empty, **GCS)
    await created(empty, **GCS, frequency="hourly")
    people = {"type": "bigquery", "data_source": "people", "sync": "true"}
    bigquery = {"bq_region": "EU", "gcp_project": "p", "bq_dataset_name": "d"}

    again = await empty.pipeline("create", **GCS)
    await created(empty, **people, **bigquery, schema_type="monoschema", from_date="2026-03-08")

    assert again.status_code == 400
    assert "already has a recurring daily pipeline" in again.json()["error"]


async def test_one_dated_pipeline_at_a_time(empty: SandboxClient) -> None:
    ended = {**DATED, "to_date": "2026-03-05"}
    first, second = await created(empty, **ended), await created(empty, **DATED)

    third = await empty.pipeline("create", **DATED)

    assert [first, second] == ["events-backfill-gcs-raw", "events-backfill-gcs-raw-2"]
    assert third.status_code == 400


async def test_the_one_trial_stays_for_ever(empty: SandboxClient) -> None:
    trial = {"type": "gcs-schema", "gcs_bucket": "b", "gcs_region": "us-east1", "trial": "true"}

    answer = await empty.pipeline("create", **trial)
    trial_names = answer.json()["pipeline_names"]

    assert trial_names == [
        "trial-events-daily-gcs-schema-monoschema",
        "trial-people-daily-gcs-schema-monoschema",
    ]
    assert (await empty.pipeline("create", **trial)).status_code == 400
    deleted = await empty.pipeline("cancel", name=trial_names[0])
    assert deleted.status_code == 400
    assert deleted.json()["error"] == "a trial pipeline cannot be deleted"
    assert empty.project.saved("pipeline")[1]["from_date"] == "2026-03-09"


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"type": ""}, "Missing required parameter: type"),
        ({"type": "redshift"}, "type must be one of"),
        ({"gcs_bucket": ""}, "Missing required parameter: gcs_bucket"),
        ({"gcs_region": "us-east-2"}, "gcs_region must be one of"),
        ({"from_date": ""}, "Missing required parameter: from_date"),
        ({"from_date": "2025-08-01"}, "cannot be more than six months in the past"),
        ({"from_date": "yesterday"}, "from_date must be a date"),
        ({"to_date": "2026-03-01"}, "from_date cannot be later than to_date"),
        ({"to_date": "2026-03-20", "frequency": "daily"}, "frequency should only be passed"),
        ({"frequency": "weekly"}, "frequency must be one of"),
        ({"trial": "yes"}, "trial must be one of"),
        ({"trial": "true", "frequency": "hourly"}, "a trial pipeline is daily"),
        ({"trial": "true", "events": "A"}, "a trial pipeline exports all events"),
        ({"data_source": "people"}, "data_source must be one of events"),
        ({"data_format": "parquet"}, "data_format must be one of json"),
        ({"where": '"'}, "where is not a valid expression"),
    ],
)
async def test_a_faulty_create_makes_nothing(
    empty: SandboxClient, change: dict[str, str], error: str
) -> None:
    answer = await empty.pipeline("create", **{**GCS, **change})

    assert answer.status_code == 400
    assert error in answer.json()["error"]
    assert await names(empty) == []


@pytest.mark.parametrize("kind", PIPELINE_TYPES)
async def test_each_type_asks_for_its_own_fields(empty: SandboxClient, kind: str) -> None:
    required = [*PIPELINE_TYPES[kind].required]
    form = {"type": kind, "from_date": "2026-03-08"}
    form |= {name: VALUES.get(name, "value") for name in required}
    if PIPELINE_TYPES[kind].schematized:
        required += ["sync", "schema_type"]
        form |= {"sync": "true", "schema_type": "multischema"}

    for name in required:
        incomplete = {key: value for key, value in form.items() if key != name}
        answer = await empty.pipeline("create", **incomplete)
        assert answer.json()["error"] == f"Missing required parameter: {name}"
    await created(empty, **form)

    assert "value" not in [
        value
        for name, value in empty.project.saved("pipeline")[1]["destination"].items()
        if "secret" in name or "password" in name
    ]


@pytest.mark.parametrize(
    "change",
    [
        {"sync": "false"},
        {"schema_type": "star"},
        {"data_source": "people", "schema_type": "multischema"},
        {"data_source": "people", "where": "true"},
        {"trial": "true", "schema_type": "multischema"},
        {"use_glue": "true", "glue_database": "db"},
        {"s3_encryption": "rot13"},
        {"s3_region": "me-south-1"},
    ],
)
async def test_schematized_pipelines_have_rules_of_their_own(
    empty: SandboxClient, change: dict[str, str]
) -> None:
    aws = {
        "type": "aws",
        "from_date": "2026-03-08",
        "s3_bucket": "b",
        "s3_region": "eu-west-1",
        "s3_role": "r",
        "sync": "true",
        "schema_type": "monoschema",
    }

    assert (await empty.pipeline("create", **{**aws, **change})).status_code == 400


async def test_bodies_must_be_forms(empty: SandboxClient) -> None:
    params = {"project_id": str(PROJECT_ID)}
    path = "/api/2.0/nessie/pipeline/create"

    assert (await empty.post(path, params=params, json=GCS)).status_code == 400
    files = {"type": ("", b"gcs-raw")}
    assert (await empty.post(path, params=params, files=files)).status_code == 400
    conflict = await empty.post(path, params=params, data={**GCS, "project_id": "7"})
    assert conflict.status_code in (400, 403)


async def test_the_token_moves_no_pipeline(empty: SandboxClient) -> None:
    name = await created(empty, **GCS)
    answer = await empty.post(
        "/api/2.0/nessie/pipeline/cancel",
        data={"name": name},
        auth=("sandbox-token-0123456789abcdef0123", ""),
    )

    assert answer.status_code == 401
    assert await names(empty) == [name]


def test_tasks_follow_the_time() -> None:
    """Three windows: one is made up for, one is due, one lies ahead."""
    made = midnight(date(2026, 3, 9)) + 12 * HOUR
    pipeline: dict[str, Any] = {
        "from_date": "2026-03-08",
        "to_date": None,
        "trial": False,
        "frequency": "daily",
        "created": made,
    }

    def seen(now: int) -> list[str]:
        return [task.state for task in tasks(pipeline, now)]

    assert seen(made) == ["running", "pending"]
    assert seen(made + MINUTE) == ["succeeded", "pending"]
    assert seen(midnight(TODAY) + 30_000) == ["succeeded", "running", "pending"]
    assert seen(midnight(TODAY) + DAY) == ["succeeded", "succeeded", "running", "pending"]


@pytest.mark.parametrize(
    ("utc", "local"),
    [
        (datetime(2019, 2, 1, 20, tzinfo=UTC), "2019-02-01 12:00:00 US/Pacific"),
        (datetime(2026, 7, 1, 12, tzinfo=UTC), "2026-07-01 05:00:00 US/Pacific"),
        (datetime(2026, 3, 8, 9, 59, 59, tzinfo=UTC), "2026-03-08 01:59:59 US/Pacific"),
        (datetime(2026, 3, 8, 10, tzinfo=UTC), "2026-03-08 03:00:00 US/Pacific"),
        (datetime(2026, 11, 1, 8, 59, 59, tzinfo=UTC), "2026-11-01 01:59:59 US/Pacific"),
        (datetime(2026, 11, 1, 9, tzinfo=UTC), "2026-11-01 01:00:00 US/Pacific"),
    ],
)
def test_pacific_time_knows_its_summers(utc: datetime, local: str) -> None:
    assert pacific(utc) == local
