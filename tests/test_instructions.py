"""What a model reads first is short, and true of the very server it speaks to."""

import re
from typing import Any

import pytest
from harness import Connect, Era, Tools
from mcp import Client
from pydantic import SecretStr
from seed_inputs import ALL_NAMES

from mixpanel_mcp.instructions import instructions
from mixpanel_mcp.operations import OPERATIONS, TOOLSETS
from mixpanel_mcp.server import create_server, offered
from mixpanel_mcp.settings import Connection, Policy, Settings

EVERY_TOOL = [name for names in ALL_NAMES.values() for name in names]

POLICIES: dict[str, dict[str, Any]] = {
    "everything": {},
    "read-only": {"read_only": True},
    "read-only without raw": {"read_only": True, "exclude_tools": ("raw_request",)},
    "prefixed": {"tool_prefix": "mp_"},
    "prefixed read-only": {"tool_prefix": "mp_", "read_only": True},
    "a person must agree": {"confirmation": "human"},
    **{f"only {toolset}": {"toolsets": (toolset,)} for toolset in TOOLSETS},
    **{f"only {tool}": {"tools": (tool,)} for tool in EVERY_TOOL},
    **{f"all but {tool}": {"exclude_tools": (tool,)} for tool in EVERY_TOOL},
    "pipelines read-only, prefixed": {
        "toolsets": ("pipelines",),
        "read_only": True,
        "tool_prefix": "x-",
    },
}


def _read(tools: Tools) -> str:
    assert tools.client.instructions is not None
    return tools.client.instructions


def _named(text: str, prefix: str) -> set[str]:
    """Words that are the name of a tool, with what stands before them."""
    words = set(re.findall(r"[\w-]+", text))
    return {word for word in words if word.removeprefix(prefix) in EVERY_TOOL}


@pytest.mark.parametrize("policy", POLICIES)
async def test_ten_lines_name_only_tools_that_the_same_server_lists(
    connect: Connect, policy: str
) -> None:
    async with connect(**POLICIES[policy]) as tools:
        listed = {tool.name for tool in (await tools.client.list_tools()).tools}
        text = _read(tools)

    named = _named(text, POLICIES[policy].get("tool_prefix", ""))
    assert named <= listed
    assert len(text.splitlines()) <= 10
    assert all(len(line) <= 300 for line in text.splitlines())


async def test_both_eras_read_the_same(connect: Connect, era: Era) -> None:
    async with connect(era=era) as tools:
        text = _read(tools)

    assert text == instructions(offered(Policy()), Policy())
    assert _named(text, "") == {"list_saved_funnels", "list_pipelines"}
    for fact in ("case-sensitive", "YYYY-MM-DD", "time zone", "60 queries an hour", "data marks"):
        assert fact in text
    assert "confirmation_required" in text
    assert "read-only" not in text


async def test_a_read_only_server_says_so_and_speaks_of_no_confirmation(connect: Connect) -> None:
    async with connect(read_only=True) as tools:
        text = _read(tools)

    assert "This server is read-only" in text
    assert "raw_request sends reads alone" in text
    assert "confirm" not in text
    for ability in ("send events", "change profiles", "merge identities", "manage data pipelines"):
        assert ability not in text


async def test_what_is_not_offered_is_not_promised(connect: Connect) -> None:
    async with connect(toolsets=("events",)) as tools:
        text = _read(tools)

    assert "send events" in text
    for absent in ("pipelines", "profiles", "JQL", "60 queries", "Start with", "confirm"):
        assert absent not in text


@pytest.mark.parametrize("policy", POLICIES)
async def test_resources_and_prompts_that_are_named_are_there(
    connect: Connect, policy: str
) -> None:
    async with connect(**POLICIES[policy]) as tools:
        text = _read(tools)
        prompts = (await tools.client.list_prompts()).prompts
        named = re.findall(r"mixpanel://[a-z/]+", text)
        for uri in named:
            assert (await tools.client.read_resource(uri)).contents
    assert len(named) == 3
    assert ("Prompts" in text) == bool(prompts)


def test_every_tool_is_an_ability_of_some_kind() -> None:
    """A tool that nobody mentioned in the abilities would leave a server of its own without any."""
    for tool in EVERY_TOOL:
        text = instructions([OPERATIONS[tool]], Policy())
        assert ": ." not in text, tool


def test_several_connections_are_named_and_still_ten_lines_suffice() -> None:
    rows = offered(Policy())
    text = instructions(rows, Policy(), ["shop", "blog"])

    assert 'Connections: "shop", "blog"; the first holds' in text
    assert "several projects" in text
    assert len(text.splitlines()) <= 10
    assert "onnection" not in instructions(rows, Policy(), ["shop"])


async def test_a_server_of_several_projects_says_how_to_choose() -> None:
    connections = [Connection(name="shop", project_id=1), Connection(name="blog", project_id=2)]
    server = create_server(Settings(connections[0], Policy(), connections[1:]))
    async with Client(server) as client:
        text = _read(Tools(client))
        tools = (await client.list_tools()).tools

    assert 'Connections: "shop", "blog"' in text
    assert all("connection" in tool.input_schema["properties"] for tool in tools)
    assert len(text.splitlines()) <= 10


def test_how_long_answers_are_kept_is_told_where_they_are() -> None:
    rows = offered(Policy())
    assert "kept for 60 s; fresh=true" in instructions(rows, Policy())
    assert "fresh" not in instructions(rows, Policy(cache_seconds=0))


def test_nothing_secret_is_told() -> None:
    policy = Policy(allowed_tokens=(SecretStr("canary-token"),))
    assert "canary-token" not in instructions(offered(policy), policy)
