"""What Mixpanel counts apart is counted apart, whatever a request looks like and who sends it."""

from typing import Any

import pytest
from harness import Connect, Waits
from metering import DAY, JANUARY, MINUTE, mirror, next_slot, report, spend, too_many, used
from upstream import Reply, Upstream

INSIGHTS = "/api/query/insights"


@pytest.fixture(autouse=True)
def answering(upstream: Upstream) -> None:
    upstream.default = mirror


def _get(url: str, **more: Any) -> dict[str, Any]:
    return {"url": url, "method": "GET", **more}


QUERIES: dict[str, dict[str, Any]] = {
    "plain": _get(INSIGHTS),
    "without_slash": _get("api/query/insights"),
    "upper_case": _get("/API/Query/Insights"),
    "trailing_slash": _get("/api/query/insights/"),
    "legacy": _get("/api/2.0/insights"),
    "legacy_upper_case": _get("/Api/2.0/Insights"),
    "encoded": _get("/%61pi/query/insights"),
    "encoded_slash": _get("/api%2Fquery/insights"),
    "encoded_dot": _get("/api/2%2E0/insights"),
    "with_parameter": _get("/api/query;x=1/insights"),
    "in_the_query": _get("/api/query/insights?bookmark_id=1"),
    "with_fragment": _get("/api/query/insights#export"),
    "head": {"url": INSIGHTS, "method": "HEAD"},
    "base_url": _get(INSIGHTS, base_url="https://eu.mixpanel.com"),
    "ingestion_host": _get(INSIGHTS, base_url="https://api.mixpanel.com"),
    "data_host": _get(INSIGHTS, base_url="https://data.mixpanel.com"),
    "legacy_on_the_data_host": _get("/api/2.0/engage", base_url="https://data.mixpanel.com"),
    "jql": {"url": "/api/query/jql", "method": "POST", "form_data": {"script": "1"}},
    "legacy_jql": {"url": "/api/2.0/jql", "method": "POST", "form_data": {"script": "1"}},
    "engage": {"url": "/api/query/engage", "method": "POST", "form_data": {"page": 0}},
    "unknown": {"url": "/api/query/unknown", "method": "POST", "confirm": True},
    "region": _get(INSIGHTS, region="eu"),
}


@pytest.mark.parametrize("name", QUERIES)
async def test_a_raw_query_is_a_query_however_it_is_spelled(
    connect: Connect, upstream: Upstream, name: str
) -> None:
    async with connect() as tools:
        first = await tools.call("raw_request", **QUERIES[name])
        await spend(tools, 59)
        sent = len(upstream.requests)
        last = await tools.call("raw_request", **QUERIES[name])

    assert first.status == "ok", first.text
    assert used(first) == 1
    assert next_slot(last)
    assert len(upstream.requests) == sent == 60


EXPORTS: dict[str, dict[str, Any]] = {
    "plain": _get("/api/2.0/export"),
    "short": _get("/export"),
    "upper_case": _get("/API/2.0/Export"),
    "trailing_slash": _get("/api/2.0/export/"),
    "encoded": _get("/api/2.0/%65xport"),
    "encoded_slash": _get("/api/2.0%2Fexport"),
    "with_parameter": _get("/api/2.0/export;x=1"),
    "query_host": _get("/api/2.0/export", base_url="https://mixpanel.com"),
    "ingestion_host": _get("/api/2.0/export", base_url="https://api.mixpanel.com"),
}


@pytest.mark.parametrize("name", EXPORTS)
async def test_a_raw_export_is_an_export_however_it_is_spelled(connect: Connect, name: str) -> None:
    async with connect() as tools:
        answer = await tools.call("raw_request", response_type="text", **EXPORTS[name])

    assert answer.status == "ok", answer.text
    assert used(answer, "exports") == 1


@pytest.mark.parametrize("door", ["create_generic_pipeline", "edit_generic_pipeline"])
@pytest.mark.parametrize("path", ["/api/query/insights", "/api/2.0/insights", "/export"])
async def test_the_other_passthroughs_pay_as_well(connect: Connect, door: str, path: str) -> None:
    name = {"name": "p"} if door.startswith("edit") else {}

    async with connect() as tools:
        answer = await tools.call(
            door, url=path, method="GET", response_type="text", confirm=True, **name
        )

    assert answer.status == "ok", answer.text
    assert used(answer, "exports" if path == "/export" else "queries") == 1


async def test_raw_exports_and_downloads_share_an_hour(
    connect: Connect, upstream: Upstream, waits: Waits
) -> None:
    async with connect(pacing=waits.pacing()) as tools:
        for _ in range(30):
            await tools.call("download_data", **JANUARY)
            await tools.call("raw_request", response_type="text", **EXPORTS["short"])
        refused = await tools.call("raw_request", response_type="text", **EXPORTS["short"])

    assert next_slot(refused)
    assert len(upstream.requests) == 60


async def test_jql_is_a_query_and_has_an_allowance_of_its_own(
    connect: Connect, upstream: Upstream
) -> None:
    """Where the project's queries are 400 an hour, JQL still has 60."""
    upstream.on(INSIGHTS, too_many(1, 400))

    async with connect() as tools:
        await report(1).ask(tools)
        for number in range(60):
            answer = await tools.call("custom_jql_query", script=f"// {number}")
            assert answer.status == "ok"
        refused = await tools.call("custom_jql_query", script="// 60")
        by_raw = await tools.call("raw_request", **QUERIES["jql"])
        other = await report(2).ask(tools)

    assert next_slot(refused)
    assert next_slot(by_raw)
    assert "60 jql" in refused.text.lower()
    assert other.status == "ok"


@pytest.mark.parametrize("path", ["/api/query/jql/", "/api/query/JQL", "/api/query/%6Aql"])
async def test_raw_jql_is_jql_however_it_is_spelled(
    connect: Connect, upstream: Upstream, path: str
) -> None:
    upstream.on(INSIGHTS, too_many(1, 400))

    async with connect() as tools:
        await report(1).ask(tools)
        for number in range(60):
            await tools.call("custom_jql_query", script=f"// {number}")
        refused = await tools.call(
            "raw_request", url=path, method="POST", form_data={"script": "1"}, confirm=True
        )

    assert next_slot(refused)
    assert len(upstream.requests) == 62


async def test_schemas_are_counted_by_the_minute(
    connect: Connect, upstream: Upstream, waits: Waits
) -> None:
    schemas = _get("/api/app/projects/4242/schemas")
    async with connect(pacing=waits.pacing()) as tools:
        answers = [await tools.call("raw_request", **schemas) for _ in range(5)]
        refused = await tools.call("raw_request", **_get("/api/app/projects/4242/SCHEMAS/event/"))
        query = await report(1).ask(tools)
        waits.pass_time(MINUTE + 1)
        later = await tools.call("raw_request", **schemas)

    assert {answer.status for answer in [*answers, query, later]} == {"ok"}
    assert next_slot(refused)
    assert len(upstream.requests) == 7
    assert used(query) == 1


async def test_lookup_tables_are_counted_by_the_day(
    connect: Connect, upstream: Upstream, waits: Waits
) -> None:
    table = {"url": "/lookup-tables/7", "method": "PUT", "data": "id,name", "confirm": True}
    async with connect(pacing=waits.pacing()) as tools:
        for _ in range(100):
            answer = await tools.call("raw_request", **table)
            assert answer.status == "ok", answer.text
        refused = await tools.call("raw_request", **table)
        listed = await tools.call("raw_request", **_get("/lookup-tables"))
        waits.pass_time(DAY - MINUTE)
        still = await tools.call("raw_request", **table)
        waits.pass_time(2 * MINUTE)
        later = await tools.call("raw_request", **table)

    assert next_slot(refused)
    assert next_slot(still)
    assert (listed.status, later.status) == ("ok", "ok")
    assert len(upstream.requests) == 102


EVENT = {"event": "Signed up", "properties": {"distinct_id": "ada", "time": 1_767_225_600}}
FREE: dict[str, tuple[str, dict[str, Any]]] = {
    "list_pipelines": ("list_pipelines", {}),
    "delete_pipeline": ("delete_pipeline", {"name": "p", "confirm": True}),
    "import": ("import_events", {"events": [EVENT]}),
    "profile": ("create_profile", {"properties": [{"$distinct_id": "ada", "plan": "pro"}]}),
    "raw_pipelines": ("raw_request", _get("/nessie/pipeline/jobs")),
    "raw_import": ("raw_request", {"url": "/import", "method": "POST", "data": [EVENT]}),
    "annotations": ("raw_request", _get("/api/app/projects/4242/annotations")),
    "lookup_tables": ("raw_request", _get("/lookup-tables")),
}


@pytest.mark.parametrize("name", FREE)
async def test_what_mixpanel_does_not_count_costs_nothing_and_is_never_refused(
    connect: Connect, upstream: Upstream, name: str
) -> None:
    upstream.always("/import", Reply(json={"code": 200, "num_records_imported": 1, "status": "OK"}))
    upstream.always("/engage", Reply(json={"status": 1, "error": None}))
    tool, arguments = FREE[name]

    async with connect(cache_seconds=0) as tools:
        answers = [await tools.call(tool, **arguments) for _ in range(120)]

    assert {answer.status for answer in answers} == {"ok"}, answers[0].text
    assert used(answers[-1]) == used(answers[-1], "exports") == 0
    assert len(upstream.requests) == 120


async def test_projects_are_counted_apart(connect: Connect, upstream: Upstream) -> None:
    async with connect() as tools:
        await spend(tools, 60)
        other = await report(1).ask(tools, project_id=777)
        own = await report(1).ask(tools)

    assert (other.status, own.status) == ("ok", "refused")
    assert (used(other), used(own)) == (1, 60)
    assert len(upstream.requests) == 61


NAMED: dict[str, dict[str, Any]] = {
    "by_argument": _get(INSIGHTS, project_id=777),
    "in_the_path": _get(f"{INSIGHTS}?project_id=777", project_id=777),
    "in_the_parameters": _get(INSIGHTS, query_parameters={"project_id": 777}, project_id=777),
    "in_the_form": {
        "url": "/api/query/jql",
        "method": "POST",
        "form_data": {"script": "1", "project_id": 777},
        "project_id": 777,
    },
    "in_the_json": {
        "url": "/api/query/engage",
        "method": "POST",
        "data": {"project_id": 777},
        "project_id": 777,
    },
}


@pytest.mark.parametrize("name", NAMED)
async def test_a_raw_query_costs_the_project_that_it_names(
    connect: Connect, upstream: Upstream, name: str
) -> None:
    async with connect() as tools:
        named = await tools.call("raw_request", **NAMED[name])
        own = await report(1).ask(tools)
        await spend(tools, 59, project_id=777)
        refused = await tools.call("raw_request", **NAMED[name])

    assert named.status == "ok", named.text
    assert used(named) == 1
    assert used(own) == 1
    assert next_slot(refused)
    assert len(upstream.requests) == 61


async def test_schemas_cost_the_project_in_their_path(connect: Connect) -> None:
    async with connect() as tools:
        others = [
            await tools.call("raw_request", **_get("/api/app/projects/777/schemas", project_id=777))
            for _ in range(5)
        ]
        own = await tools.call("raw_request", **_get("/api/app/projects/4242/schemas"))

    assert {answer.status for answer in others} == {"ok"}
    assert own.status == "ok", own.text


@pytest.mark.parametrize("spelled", ["777", "0777", "777 ", "+777"])
async def test_a_project_cannot_be_spelled_into_another_allowance(
    connect: Connect, upstream: Upstream, spelled: str
) -> None:
    """A connection without a project of its own takes the one that the request names."""
    async with connect(connection={"project_id": None}) as tools:
        await spend(tools, 60, project_id=777)
        answer = await tools.call(
            "raw_request", **_get(INSIGHTS, query_parameters={"project_id": spelled})
        )

    assert answer.status == "refused", answer.text
    assert len(upstream.requests) == 60
