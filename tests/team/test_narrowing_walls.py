"""Whatever headers ask for, nobody does more than the operator and their own policy allow.

Told by what the tool list shows, and by what calls, resources and raw requests can do.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest
from harness import Result, Tools
from mcp import MCPError
from team_house import WAYS, Way, bearer, running_house, team
from two_projects import Pair
from upstream import Reply

from mixpanel_mcp.operation import Effect
from mixpanel_mcp.operations import OPERATIONS, TOOLSETS
from mixpanel_mcp.settings import Caller, Confirmation, new_token, token_hash

TOKEN = new_token()


@dataclass(frozen=True)
class Ceiling:
    """What the operator and a caller's table allow."""

    name: str
    policy: dict[str, Any] = field(default_factory=dict[str, Any])
    caller: dict[str, Any] = field(default_factory=dict[str, Any])

    @property
    def read_only(self) -> bool:
        return bool(self.policy.get("read_only") or self.caller.get("read_only"))

    def allows(self, tool: str) -> bool:
        row = OPERATIONS[tool]
        by_operator = not self.policy.get("toolsets") or row.toolset in self.policy["toolsets"]
        by_table = not self.caller.get("toolsets") or row.toolset in self.caller["toolsets"]
        return by_operator and by_table and tool not in self.policy.get("exclude_tools", ())


CEILINGS = (
    Ceiling("everything"),
    Ceiling("read-only server", {"read_only": True}),
    Ceiling("read-only caller", caller={"read_only": True}),
    Ceiling("toolsets of the server", {"toolsets": ("events", "raw")}),
    Ceiling("toolsets of the caller", caller={"toolsets": ("reports", "pipelines", "raw")}),
    Ceiling(
        "some of each",
        {"toolsets": ("events", "raw", "reports"), "exclude_tools": ("raw_request",)},
        {"toolsets": ("events", "raw", "profiles"), "read_only": False},
    ),
)
WISHES: tuple[tuple[frozenset[str] | None, str | None], ...] = (
    (None, "true"),
    (frozenset({"reports"}), "false"),
    (frozenset({"raw"}), "true"),
    (frozenset({"events", "profiles", "identities"}), None),
    (frozenset(TOOLSETS), "false"),
)
EVENT = {"event": "A", "properties": {"distinct_id": "u"}}
WRITES: dict[str, dict[str, Any]] = {
    "track_events": {"events": [EVENT]},
    "create_profile": {"properties": [{"$distinct_id": "a", "b": 1}]},
    "create_alias": {"distinct_id": "a", "alias": "b", "confirm": True},
    "raw_request": {"url": "/track", "method": "POST", "data": [EVENT], "confirm": True},
}
READS: dict[str, dict[str, Any]] = {
    "list_saved_funnels": {},
    "list_pipelines": {},
    "raw_request": {"url": "/api/app/me", "method": "GET"},
}
RESOURCES = {"mixpanel://funnels": "list_saved_funnels", "mixpanel://pipelines": "list_pipelines"}


def expected(ceiling: Ceiling, wish: frozenset[str] | None, *, read_only: bool) -> set[str]:
    """Said another way than the server says it, on purpose."""
    return {
        name
        for name, row in OPERATIONS.items()
        if ceiling.allows(name)
        and (wish is None or row.toolset in wish)
        and not row.needs_files
        and (not read_only or row.effect is Effect.READS or name == "raw_request")
    }


def headers_of(wish: frozenset[str] | None, read_only: str | None) -> dict[str, str]:
    headers = bearer(TOKEN)
    if wish is not None:
        headers["X-Mixpanel-Toolsets"] = ",".join(sorted(wish))
    if read_only is not None:
        headers["X-Mixpanel-Read-Only"] = read_only
    return headers


async def listed(tools: Tools) -> set[str]:
    return {tool.name for tool in (await tools.client.list_tools()).tools}


async def called(tools: Tools, name: str, arguments: dict[str, Any]) -> Result | None:
    """The answer of one of our tools; None where there is no such tool."""
    raw = await tools.client.session.call_tool(name, arguments, allow_input_required=True)
    return Result(raw) if getattr(raw, "structured_content", None) else None  # pyright: ignore[reportArgumentType]


def play(pair: Pair) -> None:
    upstream = pair.shop.upstream
    upstream.always("/api/query/funnels/list", Reply(json=[{"funnel_id": 1, "name": "F"}]))
    upstream.always("/api/2.0/nessie/pipeline/jobs", Reply(json={"4242": []}))
    upstream.default = Reply(json={"status": 1, "error": None})


async def check(tools: Tools, pair: Pair, offered: set[str], *, read_only: bool) -> None:
    sent = pair.shop.upstream.requests
    assert await listed(tools) == offered
    for name, arguments in WRITES.items():
        before = len(sent)
        answer = await called(tools, name, arguments)
        assert (answer is not None) == (name in offered), name
        if name not in offered or read_only:
            assert answer is None or answer.status == "refused", name
            assert len(sent) == before, name
        else:
            assert len(sent) == before + 1, name
    for name, arguments in READS.items():
        before = len(sent)
        answer = await called(tools, name, arguments)
        assert (answer is not None) == (name in offered), name
        assert answer is None or answer.status == "ok", name
        assert name in offered or len(sent) == before
    for uri, name in RESOURCES.items():
        before = len(sent)
        if name in offered:
            assert (await tools.client.read_resource(uri)).contents
            continue
        with pytest.raises(MCPError):
            await tools.client.read_resource(uri)
        assert len(sent) == before


def caller_of(ceiling: Ceiling) -> Sequence[Caller]:
    return [Caller(name="ada", token_sha256=(token_hash(TOKEN),), **ceiling.caller)]


@pytest.mark.parametrize("ceiling", CEILINGS, ids=lambda each: each.name)
async def test_headers_narrow_and_never_widen(pair: Pair, ceiling: Ceiling) -> None:
    play(pair)
    async with running_house(team(pair, caller_of(ceiling), **ceiling.policy)) as house:
        for wish, asked in WISHES:
            read_only = ceiling.read_only or asked == "true"
            offered = expected(ceiling, wish, read_only=read_only)
            async with house.opened(headers=headers_of(wish, asked)) as tools:
                await check(tools, pair, offered, read_only=read_only)
    assert pair.blog.upstream.requests == []


@pytest.mark.parametrize("way", WAYS)
async def test_they_do_so_on_every_way_in(pair: Pair, way: Way) -> None:
    play(pair)
    ceiling = CEILINGS[-1]
    async with running_house(team(pair, caller_of(ceiling), **ceiling.policy)) as house:
        for wish, asked in ((None, "true"), (frozenset(TOOLSETS), "false")):
            read_only = asked == "true"
            offered = expected(ceiling, wish, read_only=read_only)
            async with house.opened(way, headers=headers_of(wish, asked)) as tools:
                await check(tools, pair, offered, read_only=read_only)


async def test_a_session_that_began_narrow_does_not_go_on_wide(pair: Pair) -> None:
    """The headers of the first request do not bind the others; the session does."""
    play(pair)
    async with running_house(team(pair, caller_of(CEILINGS[0]))) as house:
        begun = await house.post(headers_of(None, "true"))
        session = {"Mcp-Session-Id": begun.headers["mcp-session-id"]}
        call = {
            "jsonrpc": "2.0",
            "id": 2,
            "method": "tools/call",
            "params": {"name": "track_events", "arguments": WRITES["track_events"]},
        }
        for headers in (headers_of(None, None), headers_of(None, "false")):
            assert (await house.post({**headers, **session}, call)).status_code == 404
        narrow = await house.post({**headers_of(None, "true"), **session}, call)
        assert "Unknown tool" in narrow.text
    assert pair.arrived == (0, 0)


async def test_other_limits_of_a_caller_hold_by_every_door(pair: Pair) -> None:
    play(pair)
    callers = [
        Caller(
            name="ada",
            token_sha256=(token_hash(TOKEN),),
            connections=("shop",),
            allowed_projects=(4242,),
            allowed_destinations=("gs://bucket/exports",),
            confirmation=Confirmation.HUMAN,
        )
    ]
    calls: list[tuple[str, dict[str, Any]]] = [
        ("list_saved_funnels", {"project_id": 77}),
        ("list_saved_funnels", {"connection": "blog"}),
        ("raw_request", {"url": "/api/query/funnels/list?project_id=77", "method": "GET"}),
        (
            "create_generic_pipeline",
            {
                "url": "/nessie/pipeline/create",
                "form_data": {"type": "gcs-raw", "gcs_bucket": "bucket", "gcs_prefix": "else"},
                "confirm": True,
            },
        ),
        ("delete_profile", {"delete_profiles": ["a"], "confirm": True}),
    ]
    async with (
        running_house(team(pair, callers)) as house,
        house.opened(headers=headers_of(None, None)) as tools,
    ):
        for name, arguments in calls:
            answer = await called(tools, name, arguments)
            assert answer is not None
            assert answer.is_error, (name, answer.text)
    assert pair.arrived == (0, 0)
