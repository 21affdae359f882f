"""A call stays in the projects that the operator allows, and means the one that it names."""

import json
from typing import Any

import pytest
from doors import LAST_WINTER, SUCCESS, YESTERDAY
from harness import Connect
from upstream import Upstream

from mixpanel_mcp.operation import OPERATIONS, InProject

EVENT: dict[str, Any] = {"event": "A", "properties": {"distinct_id": "ada", "time": LAST_WINTER}}
_DATES = {"from_date": YESTERDAY, "to_date": YESTERDAY}
NEEDED: dict[str, dict[str, Any]] = {
    "import_events": {"events": [EVENT]},
    "query_funnel_saved_reports": {"funnel_id": 1, **_DATES},
    "query_insights_saved_reports": {"bookmark_id": 1},
    "custom_jql_query": {"script": "main"},
    "download_data": _DATES,
    "get_pipeline": {"name": "p"},
    "create_gcs_pipeline": {
        "gcs_bucket": "b", "gcs_region": "us-east1", "from_date": YESTERDAY
    },
    "edit_gcs_pipeline": {"name": "p", "events": ["A"]},
    "create_generic_pipeline": {"form_data": {"type": "s3-raw"}},
    "edit_generic_pipeline": {"name": "p"},
    "delete_pipeline": {"name": "p"},
    "raw_request": {"url": "/api/query/funnels/list", "method": "GET"},
}  # fmt: skip
WITH_PROJECT = [row for row in OPERATIONS.values() if issubclass(row.arguments, InProject)]


@pytest.mark.parametrize("tool", [row.name for row in WITH_PROJECT])
async def test_allowed_projects_bound_every_tool_that_takes_one(
    connect: Connect, upstream: Upstream, tool: str
) -> None:
    arguments = {**NEEDED.get(tool, {}), "project_id": 999}
    if tool not in {row.name for row in WITH_PROJECT if row.effect == 0}:
        arguments["confirm"] = True

    async with connect(allowed_projects=(4242, 7)) as tools:
        answer = await tools.call(tool, **arguments)

    assert (answer.status, answer.is_error) == ("refused", True), answer.text
    assert "999" in answer.text
    assert upstream.requests == []


@pytest.mark.parametrize(
    "arguments",
    [
        {"url": "/api/app/projects/999/schemas"},
        {"url": "/api/app/Projects/999/schemas"},
        {"url": "/api/app/%70rojects/999/schemas"},
        {"url": "/api/app/projects;a/999/schemas"},
        {"url": "/api/query/funnels/list?project_id=999"},
        {"url": "/api/query/funnels/list", "query_parameters": {"project_id": [4242, 999]}},
        {"url": "/api/query/jql", "method": "POST", "form_data": {"project_id": 999}},
        {"url": "/api/query/jql", "method": "POST", "data": {"project_id": 999}},
    ],
)
async def test_allowed_projects_bound_the_raw_request_wherever_a_project_stands(
    connect: Connect, upstream: Upstream, arguments: dict[str, Any]
) -> None:
    async with connect(allowed_projects=(4242,)) as tools:
        answer = await tools.call("raw_request", **{"method": "GET", **arguments})

    assert (answer.status, answer.is_error) == ("refused", True)
    assert upstream.requests == []


@pytest.mark.parametrize(
    "arguments",
    [
        {"url": "/api/query/jql?project_id=999"},
        {"url": "/api/query/jql", "query_parameters": {"project_id": 999}},
        {"url": "/api/query/jql", "query_parameters": {"project_id": ["4242", "999"]}},
        {"url": "/api/query/jql?project_id=4242", "form_data": {"project_id": "999"}},
        {"url": "/api/query/jql", "form_data": {"project_id": "999"}},
        {"url": "/api/query/jql", "data": {"project_id": 999}},
        {"url": "/api/query/jql?project_id=4242", "project_id": 999},
        {"url": "/api/app/projects/999/schemas", "method": "GET", "project_id": 4242},
    ],
)
async def test_two_different_projects_in_one_call_are_refused(
    connect: Connect, upstream: Upstream, arguments: dict[str, Any]
) -> None:
    """The answer's scope names one project; the request must not be able to mean another."""
    async with connect() as tools:
        answer = await tools.call("raw_request", **{"method": "POST", **arguments})

    assert (answer.status, answer.is_error) == ("refused", True)
    assert "999" in answer.text or "project_id" in answer.text
    assert upstream.requests == []


async def test_an_explicit_project_is_the_one_that_is_sent_and_told(
    connect: Connect, upstream: Upstream
) -> None:
    async with connect() as tools:
        answer = await tools.call(
            "raw_request", url="/api/query/events/names", method="GET", project_id=999
        )

    assert ("project_id", "999") in upstream.last.query
    assert answer.structured["scope"]["project"] == 999


@pytest.mark.parametrize(
    "hostile",
    ["a&project_id=999", "a#b?c=d/e", "100%25 %zz", "a\nHost: evil\r\n\r\nx", 'a";b=c', "ä 日本 +"],
)
async def test_an_id_arrives_as_it_is_and_smuggles_nothing(
    connect: Connect, upstream: Upstream, hostile: str
) -> None:
    upstream.default = SUCCESS

    async with connect() as tools:
        await tools.call("create_alias", distinct_id=hostile, alias="b", confirm=True)
        await tools.call("delete_profile", delete_profiles=[hostile], confirm=True)
        await tools.call("query_profiles", distinct_ids=[hostile])
        await tools.call("get_pipeline", name=hostile)
        await tools.call("delete_pipeline", name=hostile, confirm=True)
        await tools.call(
            "raw_request", url="/api/app/me", method="GET", query_parameters={"a": hostile}
        )

    alias, delete, query, status, cancel, raw = upstream.requests
    assert json.loads(dict(alias.form)["data"])["properties"]["distinct_id"] == hostile
    assert delete.json()[0]["$distinct_id"] == hostile
    assert json.loads(dict(query.form)["distinct_ids"]) == [hostile]
    assert dict(status.query) == {"project_id": "4242", "name": hostile}
    assert dict(cancel.form) == {"project_id": "4242", "name": hostile}
    assert dict(raw.query) == {"a": hostile, "project_id": "4242"}
    for request in upstream.requests:
        assert [value for name, value in request.query if name == "project_id"] in ([], ["4242"])
        assert request.headers["host"] == upstream.url.removeprefix("http://")
