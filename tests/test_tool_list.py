"""What a model sees: the connector's 21 tools and ours, reviewed, small, and true to effects."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import mcp.types as t
import pytest
from jsonschema import Draft202012Validator
from mcp import Client
from seed_inputs import ALL_NAMES, FROM_FILES, NAMES, OUR_INPUTS, OUR_NAMES, SEED_INPUTS

from mixpanel_mcp.operation import OPERATIONS, Effect
from mixpanel_mcp.server import create_server
from mixpanel_mcp.settings import load_settings

if TYPE_CHECKING:
    from harness import Connect

SNAPSHOTS = Path(__file__).parent / "snapshots"
PASSTHROUGHS = {"create_generic_pipeline", "edit_generic_pipeline", "raw_request"}

OURS = [name for names in OUR_NAMES.values() for name in names]

every_tool = pytest.mark.parametrize(
    "name", [name for names in ALL_NAMES.values() for name in names]
)
every_tool_of_the_connector = pytest.mark.parametrize(
    "name", [name for names in NAMES.values() for name in names]
)

EFFECTS: Mapping[str, Effect] = {
    **dict.fromkeys(
        [
            "query_profiles",
            "list_saved_funnels",
            "query_funnel_saved_reports",
            "query_insights_saved_reports",
            "custom_jql_query",
            "download_data",
            "list_pipelines",
            "get_pipeline",
            "list_exports",
            "get_export",
            "describe_export",
            "query_export",
            "analyze_export",
        ],
        Effect.READS,
    ),
    **dict.fromkeys(["track_events", "import_events"], Effect.ADDS),
    **dict.fromkeys(["create_profile", "update_multiple_profiles"], Effect.OVERWRITES),
    # Files of ours, which the same download_data makes again; Mixpanel's data stays as it is.
    "delete_export": Effect.OVERWRITES,
}


def effect_of(name: str) -> Effect:
    """What design section 4 says; whatever it does not name cannot be undone."""
    return EFFECTS.get(name, Effect.IRREVERSIBLE)


async def shown(connect: Connect, **policy: Any) -> dict[str, t.Tool]:
    async with connect(**policy) as tools:
        return {tool.name: tool for tool in (await tools.client.list_tools()).tools}


@pytest.fixture(scope="module")
def listed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, t.Tool]:
    """The list of a server that offers everything, for what holds for each tool alone."""
    folder = str(tmp_path_factory.mktemp("files"))

    async def ask() -> dict[str, t.Tool]:
        async with Client(
            create_server(load_settings({"MIXPANEL_MCP_FILES_ROOT": folder}))
        ) as client:
            return {tool.name: tool for tool in (await client.list_tools()).tools}

    return asyncio.run(ask())


def as_json(tool: t.Tool) -> dict[str, Any]:
    return tool.model_dump(mode="json", by_alias=True, exclude_none=True)


def size_of(value: object) -> int:
    return len(json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode())


def arguments_of(tool: t.Tool) -> dict[str, dict[str, Any]]:
    return tool.input_schema["properties"]


async def test_the_tools_are_the_21_of_the_design_and_ours_toolset_by_toolset(
    connect: Connect, tmp_path: Path
) -> None:
    names = list(await shown(connect, files_root=tmp_path))
    assert len(set(names) - set(OURS)) == 21
    assert set(names) == {name for names in ALL_NAMES.values() for name in names}
    toolsets = [OPERATIONS[name].toolset for name in names]
    assert list(dict.fromkeys(toolsets)) == list(NAMES)
    assert toolsets == sorted(toolsets, key=list(NAMES).index)
    assert {name: row.toolset for name, row in OPERATIONS.items()} == {
        name: toolset for toolset, names in ALL_NAMES.items() for name in names
    }


async def test_without_a_folder_for_files_nothing_is_offered_that_needs_one(
    connect: Connect,
) -> None:
    names = list(await shown(connect))
    assert len(names) == 21
    assert set(names).isdisjoint(OURS)


async def test_each_tool_is_as_it_was_reviewed(connect: Connect, tmp_path: Path) -> None:
    """A change of what models see is made on purpose, or not at all."""
    tools = await shown(connect, files_root=tmp_path)
    changed: list[str] = []
    for name, tool in tools.items():
        text = json.dumps(as_json(tool), indent=2, sort_keys=True, ensure_ascii=False) + "\n"
        snapshot = SNAPSHOTS / f"{name}.json"
        if os.environ.get("UPDATE_SNAPSHOTS") == "1":
            SNAPSHOTS.mkdir(exist_ok=True)
            snapshot.write_text(text, encoding="utf-8")
        if not snapshot.exists() or text != snapshot.read_text(encoding="utf-8"):
            changed.append(name)

    assert changed == [], "intended? UPDATE_SNAPSHOTS=1 pytest tests/test_tool_list.py"
    assert {path.stem for path in SNAPSHOTS.iterdir()} == set(tools)


async def test_both_protocol_eras_see_the_same(connect: Connect) -> None:
    async with connect(era="auto") as modern, connect(era="legacy") as legacy:
        one = [as_json(tool) for tool in (await modern.client.list_tools()).tools]
        other = [as_json(tool) for tool in (await legacy.client.list_tools()).tools]
    assert one == other


async def test_the_list_and_its_tools_are_small(connect: Connect, tmp_path: Path) -> None:
    offered = await shown(connect, files_root=tmp_path)
    tools = {name: as_json(tool) for name, tool in offered.items()}
    ours = [tools[name] for name in OURS]
    assert size_of({"tools": [tools[name] for name in tools if name not in OURS]}) <= 28_000
    assert size_of({"tools": ours}) <= 1_100 * len(ours)
    too_large = {
        name: size_of(tool)
        for name, tool in tools.items()
        if size_of(tool) > (2_800 if name in PASSTHROUGHS else 2_200)
    }
    assert too_large == {}


@every_tool
def test_a_tool_describes_itself_and_every_argument(listed: dict[str, t.Tool], name: str) -> None:
    tool = listed[name]
    assert tool.title
    assert tool.description
    assert tool.description.split("\n")[0].endswith(".")
    silent = [name for name, field in arguments_of(tool).items() if not field.get("description")]
    assert silent == []


@every_tool
def test_a_schema_is_valid_flat_and_closed(listed: dict[str, t.Tool], name: str) -> None:
    tool = listed[name]
    Draft202012Validator.check_schema(tool.input_schema)
    assert tool.input_schema["additionalProperties"] is False
    assert "$defs" not in tool.input_schema
    assert tool.output_schema is None
    assert "connection" not in arguments_of(tool)
    assert "title" not in json.dumps(tool.input_schema["properties"])


@every_tool
def test_hints_follow_from_the_effect(listed: dict[str, t.Tool], name: str) -> None:
    tool = listed[name]
    effect = effect_of(name)
    assert OPERATIONS[name].effect is effect
    hints = tool.annotations
    assert hints is not None
    assert hints.read_only_hint is (effect is Effect.READS)
    if effect is not Effect.READS:
        assert hints.destructive_hint is (effect > Effect.ADDS)
    assert hints.open_world_hint is True


@every_tool
def test_only_what_can_change_something_takes_confirm(listed: dict[str, t.Tool], name: str) -> None:
    tool = listed[name]
    assert ("confirm" in arguments_of(tool)) is (effect_of(name) is not Effect.READS)
    assert "confirm" not in tool.input_schema.get("required", [])


@every_tool_of_the_connector
def test_every_input_of_the_connector_document_is_an_argument(
    listed: dict[str, t.Tool], name: str
) -> None:
    tool = listed[name]
    required, optional = SEED_INPUTS[name]
    own = set(arguments_of(tool)) - {"confirm", "fresh"} - FROM_FILES.get(name, set())
    assert own == {*required, *optional, *OUR_INPUTS.get(name, []), "region"}
    assert set(tool.input_schema.get("required", [])) == set(required)


@every_tool
def test_every_tool_takes_a_region(listed: dict[str, t.Tool], name: str) -> None:
    assert "region" in arguments_of(listed[name])


async def test_no_sample_value_of_the_document_became_a_default(connect: Connect) -> None:
    """They would ask about a user that does not exist, and hide what was not asked for."""
    for tool in (await shown(connect)).values():
        defaults = {
            name: field["default"]
            for name, field in arguments_of(tool).items()
            if field.get("default") not in (None, True, 0)
        }
        text = json.dumps(defaults)
        for sample in ("user-12345", "$email", "Page View", "pending", "daily", "northamerica"):
            assert sample not in text, tool.name


async def test_a_prefix_stands_before_every_name(connect: Connect) -> None:
    plain = await shown(connect)
    prefixed = await shown(connect, tool_prefix="mixpanel_")
    assert list(prefixed) == [f"mixpanel_{name}" for name in plain]


@pytest.mark.parametrize(
    ("policy", "expected"),
    [
        ({"toolsets": "events"}, NAMES["events"]),
        ({"toolsets": "raw,identities"}, [*NAMES["identities"], *NAMES["raw"]]),
        ({"tools": "download_data"}, ["download_data"]),
        ({"toolsets": "events", "tools": "raw_request"}, [*NAMES["events"], "raw_request"]),
        ({"toolsets": "events", "exclude_tools": "import_events"}, ["track_events"]),
        ({"tools": "raw_request", "exclude_tools": "raw_request"}, []),
        ({"toolsets": "pipelines", "read_only": True}, ["list_pipelines", "get_pipeline"]),
        ({"tools": "delete_profile", "read_only": True}, []),
        ({"tools": "raw_request", "read_only": True}, ["raw_request"]),
    ],
)
async def test_toolsets_tools_and_exclusions_decide_what_is_offered(
    connect: Connect, policy: dict[str, Any], expected: list[str]
) -> None:
    assert list(await shown(connect, **policy)) == expected


async def test_read_only_lists_reads_and_the_raw_request_alone(
    connect: Connect, tmp_path: Path
) -> None:
    tools = await shown(connect, read_only=True, files_root=tmp_path)
    reads = [
        name for names in ALL_NAMES.values() for name in names if effect_of(name) is Effect.READS
    ]
    assert set(tools) == {*reads, "raw_request"}
    for tool in tools.values():
        assert tool.annotations is not None
        assert tool.annotations.read_only_hint is True


async def test_a_tool_that_is_not_offered_cannot_be_called(connect: Connect, upstream: Any) -> None:
    async with connect(exclude_tools="delete_profile", read_only=True) as tools:
        for name in ("delete_profile", "track_events"):
            answer = await tools.client.call_tool(name, {})
            assert isinstance(answer, t.CallToolResult)
            assert answer.is_error
    assert upstream.requests == []


async def test_the_instructions_are_short_and_hold_no_data(connect: Connect) -> None:
    async with connect() as tools:
        instructions = tools.client.instructions or ""
    assert 200 < len(instructions) < 2_000
    assert "4242" not in instructions
