"""Several projects: a call says which one it means, and only where there is a choice."""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from config_files import write_private
from harness import Connect, Era
from two_projects import Pair, Project
from upstream import Reply, Upstream

from mixpanel_mcp import cli
from mixpanel_mcp.operation import OPERATIONS

OFFERED = {row.name for row in OPERATIONS.values() if not row.needs_files}

EVENT = {"event": "A", "properties": {"distinct_id": "ada"}}
DATED = {"event": "A", "properties": {"distinct_id": "ada", "time": 1_767_614_400}}
DAYS = {"from_date": "2026-01-01", "to_date": "2026-01-02"}
IN_A_PROJECT: dict[str, dict[str, Any]] = {
    "import_events": {"events": [DATED]},
    "list_saved_funnels": {},
    "query_profiles": {},
    "download_data": DAYS,
    "list_pipelines": {},
    "delete_pipeline": {"name": "p", "confirm": True},
    "raw_request": {"url": "/api/query/funnels/list", "method": "GET"},
}


async def schemas_of(tools: Any) -> dict[str, Mapping[str, Any]]:
    listed = await tools.client.list_tools()
    return {tool.name: tool.input_schema for tool in listed.tools}


async def test_with_one_connection_no_tool_speaks_of_connections(
    connect: Connect, era: Era
) -> None:
    async with connect(era=era) as tools:
        schemas = await schemas_of(tools)

    assert set(schemas) == OFFERED
    assert "connection" not in {name for each in schemas.values() for name in each["properties"]}


async def test_with_one_connection_naming_it_is_an_unknown_argument(
    connect: Connect, upstream: Upstream, era: Era
) -> None:
    async with connect(era=era) as tools:
        answer = await tools.call("list_saved_funnels", connection="default")

    assert (answer.status, answer.is_error) == ("refused", True)
    assert "connection: no such argument" in answer.text
    assert "connection" not in answer.structured["scope"]
    assert upstream.requests == []


async def test_with_two_every_tool_offers_both_and_says_which_is_the_default(
    pair: Pair, era: Era
) -> None:
    async with pair.opened(era=era) as tools:
        schemas = await schemas_of(tools)

    assert set(schemas) == OFFERED
    for schema in schemas.values():
        choice = schema["properties"]["connection"]
        assert (choice["type"], choice["enum"]) == ("string", ["shop", "blog"])
        assert "shop if left out" in choice["description"]
        assert "connection" not in schema.get("required", [])


async def test_a_call_goes_to_the_first_unless_it_names_another(pair: Pair, era: Era) -> None:
    for project in (pair.shop, pair.blog):
        project.upstream.default = Reply(json=[{"funnel_id": 1, "name": project.canary}])

    async with pair.opened(era=era) as tools:
        unnamed = await tools.call("list_saved_funnels")
        named = await tools.call("list_saved_funnels", connection="shop", fresh=True)
        other = await tools.call("list_saved_funnels", connection="blog")

    for answer, project in ((unnamed, pair.shop), (named, pair.shop), (other, pair.blog)):
        assert project.canary in answer.text
        assert answer.structured["scope"]["connection"] == project.name
        assert answer.structured["scope"]["project"] == project.project_id
    assert pair.arrived == (2, 1)


WRONG: dict[str, Any] = {
    "unknown": "app",
    "close": "shops",
    "letter case": "Shop",
    "blank": " blog",
    "nothing": "",
    "number": 1,
    "truth": True,
    "list": ["blog"],
    "object": {"name": "blog"},
    "hidden character": "blog\u200b",
    "half a character": "\ud83d",
    "path": "../blog",
}


@pytest.mark.parametrize("case", WRONG)
@pytest.mark.parametrize("tool", ["list_saved_funnels", "track_events"])
async def test_a_connection_that_is_none_is_refused_with_the_names(
    pair: Pair, case: str, tool: str
) -> None:
    arguments: dict[str, Any] = {"events": [EVENT]} if tool == "track_events" else {}
    async with pair.opened() as tools:
        answer = await tools.call(tool, **arguments, connection=WRONG[case])

    assert (answer.status, answer.is_error) == ("refused", True)
    assert "shop, blog" in answer.text
    assert "Traceback" not in answer.text
    assert pair.arrived == (0, 0)


async def test_the_refused_name_does_not_come_back(pair: Pair) -> None:
    """It may be a secret that slipped into the wrong place."""
    async with pair.opened() as tools:
        answer = await tools.call("list_saved_funnels", connection=pair.blog.password)

    assert pair.blog.password not in answer.text + json.dumps(answer.structured)


async def test_the_connections_own_region_project_and_data_view_are_used(pair: Pair) -> None:
    pair.blog.upstream.default = Reply(json=[])
    async with pair.opened(blog={"region": "eu", "workspace_id": 9}) as tools:
        own = await tools.call("list_saved_funnels", connection="blog")
        told = await tools.call(
            "list_saved_funnels", connection="blog", project_id=5, workspace_id=6, region="in"
        )
        shop = await tools.call("list_saved_funnels")

    queries = [dict(request.query) for request in pair.blog.upstream.requests]
    assert [(query["project_id"], query["workspace_id"]) for query in queries] == [
        ("77", "9"),
        ("5", "6"),
    ]
    assert "workspace_id" not in dict(pair.shop.upstream.last.query)
    scopes = [answer.structured["scope"] for answer in (own, told, shop)]
    assert [(scope["project"], scope["region"]) for scope in scopes] == [
        (77, "eu"),
        (5, "in"),
        (4242, "us"),
    ]


async def test_writes_carry_the_connections_own_token(pair: Pair) -> None:
    for project in (pair.shop, pair.blog):
        project.upstream.default = Reply(json={"status": 1, "error": None})
    async with pair.opened() as tools:
        for project in (pair.shop, pair.blog):
            answer = await tools.call("track_events", events=[EVENT], connection=project.name)
            assert answer.status == "ok"

    for project in (pair.shop, pair.blog):
        (sent,) = project.upstream.requests
        assert project.token in sent.content.decode()
        assert pair.other(project).token not in sent.content.decode()


async def test_another_connections_token_is_a_foreign_one(pair: Pair) -> None:
    event = {"event": "A", "properties": {"distinct_id": "ada", "token": pair.blog.token}}
    async with pair.opened() as tools:
        answer = await tools.call("track_events", events=[event])

    assert (answer.status, pair.arrived) == ("refused", (0, 0))
    assert pair.blog.token not in answer.text


@pytest.mark.parametrize("connection", ["shop", "blog"])
@pytest.mark.parametrize("tool", IN_A_PROJECT)
async def test_allowed_projects_bound_every_connection(
    pair: Pair, connection: str, tool: str
) -> None:
    needed = {**IN_A_PROJECT[tool], "connection": connection}
    async with pair.opened(allowed_projects=(4242, 77)) as tools:
        answer = await tools.call(tool, **needed, project_id=999)

    assert (answer.status, answer.is_error) == ("refused", True)
    assert "999" in answer.text
    assert pair.arrived == (0, 0)


async def test_allowed_projects_bound_the_project_of_a_connection_itself(pair: Pair) -> None:
    pair.blog.upstream.default = Reply(json=[])
    async with pair.opened(allowed_projects=(4242,)) as tools:
        own = await tools.call("list_saved_funnels", connection="blog")
        allowed = await tools.call("list_saved_funnels", connection="blog", project_id=4242)

    assert (own.status, own.is_error) == ("refused", True)
    assert allowed.status == "ok"
    assert pair.arrived == (0, 1)


@pytest.fixture
def two_in_a_file(
    tmp_path: Path, pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> tuple[str, Project, Project]:
    """A file of two connections; the environment is without any setting of Mixpanel."""
    for name in [name for name in os.environ if name.upper().startswith("MIXPANEL")]:
        monkeypatch.delenv(name)
    text = "[connections.shop]\nregion = 'eu'\n" + pair.blog.table()
    return str(write_private(tmp_path / "mixpanel.toml", text)), pair.shop, pair.blog


def printed(capsys: pytest.CaptureFixture[str], *arguments: str) -> Any:
    cli.main(arguments)
    return json.loads(capsys.readouterr().out)


async def test_the_command_line_shows_the_schemas_that_clients_see(
    two_in_a_file: tuple[str, Project, Project], pair: Pair, capsys: pytest.CaptureFixture[str]
) -> None:
    path, _, _ = two_in_a_file
    rows = printed(capsys, "tools", "--json", "--config", path)
    async with pair.opened() as tools:
        assert {row["name"]: row["inputSchema"] for row in rows} == await schemas_of(tools)

    alone = printed(capsys, "tools", "--json")
    assert all("connection" not in row["inputSchema"]["properties"] for row in alone)


def test_the_command_line_shows_the_origins_of_each_connection(
    two_in_a_file: tuple[str, Project, Project], capsys: pytest.CaptureFixture[str]
) -> None:
    path, _, blog = two_in_a_file
    origins = printed(capsys, "tools", "--origins", "--config", path)
    assert list(origins) == ["shop", "blog"]
    assert origins["shop"] == {
        "ingestion": "https://api-eu.mixpanel.com",
        "data": "https://data-eu.mixpanel.com",
        "query": "https://eu.mixpanel.com",
        "app": "https://eu.mixpanel.com",
    }
    assert set(origins["blog"].values()) == {blog.upstream.url}
