"""A read-only server offers reads alone, and nothing brings the rest back."""

from typing import Any

import pytest
from doors import DOORS, READS, SUCCESS, every_door
from harness import Connect, Era, Person
from upstream import Reply, Upstream

from mixpanel_mcp.operation import OPERATIONS, Effect

OFFERED = [row for row in OPERATIONS.values() if not row.needs_files]
READING = {row.name for row in OFFERED if row.effect is Effect.READS}

HARMLESS_WRITES: list[tuple[str, str, dict[str, Any]]] = [
    ("POST", "/track", {"data": [{"event": "A", "properties": {"distinct_id": "ada"}}]}),
    ("GET", "/track", {"query_parameters": {"data": '{"event":"A","properties":{}}'}}),
    ("POST", "/import", {"data": [{"event": "A", "properties": {"time": 1_767_614_400}}]}),
    ("POST", "/engage", {"data": [{"$distinct_id": "ada", "$set": {"plan": "pro"}}]}),
    ("GET", "/engage", {"query_parameters": {"data": '{"$distinct_id":"a","$set":{"b":1}}'}}),
    ("POST", "/unknown", {}),
    ("HEAD", "/unknown", {}),
]


async def test_only_reads_and_the_raw_request_are_listed(connect: Connect, era: Era) -> None:
    async with connect(era=era, read_only=True) as tools:
        listed = (await tools.client.list_tools()).tools

    assert {tool.name for tool in listed} == READING | {"raw_request"}
    assert all(tool.annotations and tool.annotations.read_only_hint for tool in listed)


@pytest.mark.parametrize(
    "wishes",
    [
        {"tools": ("delete_profile", "track_events", "raw_request")},
        {"toolsets": ("events", "profiles", "identities", "pipelines", "raw")},
        {"toolsets": ("pipelines",), "tools": ("delete_profile",)},
        {"tools": tuple(OPERATIONS)},
    ],
)
async def test_nothing_that_the_operator_lists_brings_a_write_back(
    connect: Connect, wishes: dict[str, Any]
) -> None:
    async with connect(read_only=True, **wishes) as tools:
        listed = {tool.name for tool in (await tools.client.list_tools()).tools}

    assert listed <= READING | {"raw_request"}


async def test_calling_a_write_by_its_name_does_nothing(
    connect: Connect, upstream: Upstream, era: Era
) -> None:
    calls = {door.tool: door.arguments for door in DOORS if door.tool != "raw_request"}

    async with connect(era=era, read_only=True, person=Person()) as tools:
        for tool, arguments in calls.items():
            answer = await tools.client.call_tool(tool, {**arguments, "confirm": True})
            assert answer.is_error

    assert upstream.requests == []


async def test_each_known_read_goes_through_the_raw_request(
    connect: Connect, upstream: Upstream
) -> None:
    """Reads that are POSTs as well: JQL, profiles, cohorts."""
    async with connect(read_only=True) as tools:
        for read in READS:
            answer = await tools.call("raw_request", **read)
            assert answer.status == "ok", read

    assert len(upstream.requests) == len(READS)


async def test_the_reading_tools_work(connect: Connect, upstream: Upstream) -> None:
    upstream.on("/api/query/funnels/list", Reply(json=[{"funnel_id": 1, "name": "Buy"}]))
    upstream.on("/api/query/jql", Reply(json=[1]))
    upstream.on("/api/query/engage", Reply(json={"results": [], "status": "ok"}))

    async with connect(read_only=True) as tools:
        assert (await tools.call("list_saved_funnels")).status == "ok"
        assert (await tools.call("custom_jql_query", script="main")).status == "ok"
        assert (await tools.call("query_profiles")).status == "ok"

    assert len(upstream.requests) == 3


@every_door
async def test_no_door_opens_even_with_a_persons_yes(
    connect: Connect, upstream: Upstream, door: Any
) -> None:
    if door.tool != "raw_request":
        assert door.tool not in READING
        return
    person = Person()

    async with connect(read_only=True, person=person) as tools:
        answer = await tools.call(door.tool, **door.arguments, confirm=True)

    assert (answer.status, answer.is_error) == ("refused", True)
    assert "read-only" in answer.text
    assert person.questions == []
    assert upstream.requests == []


@pytest.mark.parametrize(("method", "url", "more"), HARMLESS_WRITES)
async def test_even_a_harmless_write_is_refused(
    connect: Connect, upstream: Upstream, method: str, url: str, more: dict[str, Any]
) -> None:
    upstream.default = SUCCESS

    async with connect(read_only=True) as tools:
        answer = await tools.call("raw_request", method=method, url=url, confirm=True, **more)

    assert answer.status == "refused"
    assert "read-only" in answer.text
    assert upstream.requests == []
