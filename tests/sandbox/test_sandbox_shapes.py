"""Replies have the keys and types of the examples in Mixpanel's specifications."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sandbox_client import PROJECT_ID, event

from mixpanel_mcp.sandbox.json_values import is_list, is_object

if TYPE_CHECKING:
    from sandbox_client import SandboxClient

# `query.openapi.yaml#/engage`; `$distinct_id` is an integer there, and a string in the wild.
ENGAGE: dict[str, Any] = {
    "page": 0,
    "page_size": 1000,
    "results": [{"$distinct_id": "4", "$properties": {}}],
    "session_id": "1234567890-EXAMPL",
    "status": "ok",
    "total": 1,
}
# `query.openapi.yaml#/funnels/list`
FUNNELS: list[Any] = [{"funnel_id": 7509, "name": "Signup funnel"}]
# `query.openapi.yaml#/cohorts/list`
COHORTS: list[Any] = [
    {
        "count": 150,
        "is_visible": 1,
        "description": "This cohort is visible, has an id = 1000, and currently has 150 users.",
        "created": "2019-03-19 23:49:51",
        "project_id": 1,
        "id": 1000,
        "name": "Cohort One",
    }
]
# `data-pipelines.openapi.yaml#/nessie/pipeline/jobs`
JOBS: dict[str, Any] = {
    "1000001": [
        {
            "name": "events-daily-bigquery-monoschema",
            "Dispatcher": "backfill",
            "last_dispatched": "2019-02-01 12:00:00 US/Pacific",
            "frequency": "hourly",
            "sync_enabled": "true",
        }
    ]
}
# `data-pipelines.openapi.yaml`, `PipelineStatusJobList`
STATUS: dict[str, Any] = {
    "project_id": 1,
    "name": "trial-events-daily",
    "state": "canceled",
    "last_finish": "0000-12-31T16:00:00-08:00",
    "run_at": "2016-07-26T00:00:00-07:00",
    "from_date": "2016-07-26T00:00:00-07:00",
    "to_date": "2016-07-27T00:00:00-07:00",
}
# `ingestion.openapi.yaml`: StrictReceived, StrictInvalid, StrictUnauthorized
RECEIVED = {"code": 200, "num_records_imported": 2000, "status": "OK"}
INVALID: dict[str, Any] = {
    "code": 400,
    "error": "some data points in the request failed validation",
    "num_records_imported": 999,
    "status": "Bad Request",
    "failed_records": [
        {
            "index": 0,
            "insert_id": "13c0b661-f48b-51cd-ba54-97c5999169c0",
            "field": "properties.time",
            "message": "'properties.time' is invalid: must be specified as seconds since epoch",
        }
    ],
}
UNAUTHORIZED = {"code": 401, "error": "Invalid credentials", "status": "Unauthorized"}
# `export.openapi.yaml#/export`
EXPORTED: dict[str, Any] = {
    "event": "Signed up",
    "properties": {
        "time": 1602611311,
        "distinct_id": "ada",
        "$insert_id": "hpuDqcvpltpCjBsebtxwadtEBDnFAdycabFb",
        "mp_processing_time_ms": 1602625711874,
    },
}


def shape(value: Any) -> Any:
    """Reduce a reply to its keys and types; a list to its first item, free objects to nothing."""
    if is_object(value):
        free: dict[str, Any] = {}
        return {
            key: free if key == "$properties" else shape(item)
            for key, item in sorted(value.items())
        }
    if is_list(value):
        return [shape(value[0])] if value else []
    return type(value).__name__


async def test_ingestion_replies(empty: SandboxClient) -> None:
    good = await empty.import_events(event())
    bad = await empty.import_events(event(time="2026-03-09"))
    nobody = await empty.post("/import", auth=("", ""))

    assert shape(good.json()) == shape(RECEIVED)
    assert shape(bad.json()) == shape(INVALID)
    assert bad.json()["failed_records"][0]["message"] == INVALID["failed_records"][0]["message"]
    assert nobody.json() == UNAUTHORIZED


async def test_query_replies(empty: SandboxClient) -> None:
    await empty.control("reset", {"demo": True})
    params = {"project_id": PROJECT_ID}

    assert shape((await empty.query_profiles()).json()) == shape(ENGAGE)
    assert shape((await empty.query("/funnels/list")).json()) == shape(FUNNELS)
    cohorts = await empty.post("/api/query/cohorts/list", params=params)
    assert shape(cohorts.json()) == shape(COHORTS)


async def test_pipeline_replies(empty: SandboxClient) -> None:
    await empty.control("reset", {"demo": True})

    listed = (await empty.pipeline_read("jobs")).json()
    assert shape(listed) == shape(JOBS)
    for pipeline in listed["1000001"]:
        status = (await empty.pipeline_read("status", name=pipeline["name"])).json()
        assert status
        for found in status.values():
            assert shape(found[0]) == shape(STATUS)
    summary = await empty.pipeline_read(
        "status", name="people-daily-bigquery-monoschema", summary="true"
    )
    assert shape(summary.json()) == {"pending": "int", "retried": "int", "succeeded": "int"}


async def test_export_lines(empty: SandboxClient) -> None:
    await empty.import_events(event())

    (exported,) = await empty.exported()
    assert shape(exported) == shape(EXPORTED)
    assert list(exported["properties"]) == list(EXPORTED["properties"])
