"""Two callers of one server: what is one's own, the other neither sees nor can use."""

import asyncio
import json
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import httpx2
import mcp.types as t
import pytest
from harness import Person, Tools
from mcp import MCPError
from team_house import INITIALIZE, NO_TLS, WAYS, House, Way, bearer, running_house, team
from two_projects import Pair, Project
from upstream import Reply

from mixpanel_mcp.settings import Caller, new_token, token_hash

ADA, BOB = new_token(), new_token()
FUNNELS = "/api/query/funnels/list"
DELETE: dict[str, Any] = {"delete_profiles": ["ada"], "confirm": True}
YES = t.ElicitResult(action="accept", content={"approve": True})
LISTING = {"jsonrpc": "2.0", "id": 2, "method": "tools/list"}
DAY = "2026-01-05"
both_ways = pytest.mark.parametrize("way", WAYS)


def callers(**of_both: Any) -> list[Caller]:
    return [
        Caller(name=name, token_sha256=(token_hash(token),), **of_both)
        for name, token in (("ada", ADA), ("bob", BOB))
    ]


def play(project: Project) -> None:
    project.upstream.always(FUNNELS, Reply(json=[{"funnel_id": 1, "name": project.canary}]))
    line = json.dumps({"event": project.canary, "properties": {"time": 1, "distinct_id": "u"}})
    project.upstream.always("/api/2.0/export", Reply(body=f"{line}\n"))
    project.upstream.default = Reply(json={"status": 1, "error": None})


@pytest.fixture
async def house(pair: Pair, tmp_path: Path) -> AsyncGenerator[House]:
    """One project for both: nothing but who they are keeps them apart."""
    play(pair.shop)
    (tmp_path / "files").mkdir()
    settings = team(
        pair,
        callers(connections=("shop",)),
        files_root=tmp_path / "files",
        audit_log=tmp_path / "audit.jsonl",
    )
    async with running_house(settings) as running:
        yield running


def audited(tmp_path: Path) -> list[dict[str, Any]]:
    text = (tmp_path / "audit.jsonl").read_text(encoding="utf-8")
    return [json.loads(line) for line in text.splitlines()]


async def test_a_session_is_unknown_to_everybody_else(house: House, pair: Pair) -> None:
    begun = await house.post(bearer(ADA))
    session = {"Mcp-Session-Id": begun.headers["mcp-session-id"]}
    call: dict[str, Any] = {
        **LISTING,
        "method": "tools/call",
        "params": {"name": "list_saved_funnels", "arguments": {}},
    }
    for body in (LISTING, call, INITIALIZE):
        assert (await house.post({**bearer(BOB), **session}, body)).status_code == 404
    stolen = {**bearer(BOB), **session, "Accept": "text/event-stream"}
    assert (await house.get("/mcp", stolen)).status_code == 404
    async with httpx2.AsyncClient(verify=NO_TLS) as http:
        assert (await http.delete(f"{house.origin}/mcp", headers=stolen)).status_code == 404
    assert (await house.post({**bearer(ADA), **session}, LISTING)).status_code == 200
    assert pair.arrived == (0, 0)


async def test_the_message_endpoint_of_a_stream_takes_nothing_from_others(
    house: House, pair: Pair
) -> None:
    """Over SSE the session's id stands in an address, where it is no secret at all."""
    async with (
        httpx2.AsyncClient(timeout=10, verify=NO_TLS) as http,
        http.stream("GET", f"{house.origin}/sse", headers=bearer(ADA)) as stream,
    ):
        lines = stream.aiter_lines()
        endpoint = ""
        while not endpoint.startswith("data: "):
            endpoint = await anext(lines)
        path = endpoint.removeprefix("data: ")
        assert (await house.post(bearer(BOB), path=path)).status_code == 404
        assert (await house.post({}, path=path)).status_code == 401
        assert (await house.post(bearer(ADA), path=path)).status_code == 202
    assert pair.arrived == (0, 0)


async def test_an_approval_is_of_no_use_to_anybody_else(
    house: House, pair: Pair, tmp_path: Path
) -> None:
    async with (
        house.opened(headers=bearer(ADA), person=Person()) as ada,
        house.opened(headers=bearer(BOB), person=Person()) as bob,
    ):
        asked = await ada.client.session.call_tool(
            "delete_profile", DELETE, allow_input_required=True
        )
        assert isinstance(asked, t.InputRequiredResult)

        async def answer(tools: Tools) -> Any:
            return await tools.client.session.call_tool(
                "delete_profile",
                DELETE,
                input_responses={"approval": YES},
                request_state=asked.request_state,
                allow_input_required=True,
            )

        with pytest.raises(MCPError):
            await answer(bob)
        assert pair.arrived == (0, 0)
        statuses = [(await answer(ada)).structured_content["status"] for _ in range(2)]
    assert statuses == ["ok", "refused"]
    assert pair.arrived == (1, 0)
    assert {line["caller"] for line in audited(tmp_path)} == {"ada"}


@both_ways
async def test_what_is_kept_for_one_does_not_answer_the_other(
    house: House, pair: Pair, way: Way
) -> None:
    async with (
        house.opened(way, headers=bearer(ADA)) as ada,
        house.opened(way, headers=bearer(BOB)) as bob,
    ):
        for tools in (ada, bob):
            first = await tools.call("list_saved_funnels")
            again = await tools.call("list_saved_funnels")
            assert "cached_seconds" not in first.structured["scope"]
            assert "cached_seconds" in again.structured["scope"]
        assert pair.arrived == (2, 0)
        # What Mixpanel allows is one for all who use the project.
        assert again.structured["scope"]["budget"]["queries"]["used"] == 2


async def test_equal_reads_under_way_are_not_shared_between_callers(
    house: House, pair: Pair
) -> None:
    async with (
        house.opened(headers=bearer(ADA)) as ada,
        house.opened(headers=bearer(BOB)) as bob,
        asyncio.TaskGroup() as crowd,
    ):
        for _ in range(4):
            for tools in (ada, bob):
                crowd.create_task(tools.call("list_saved_funnels"))
    assert pair.arrived == (2, 0)


@both_ways
async def test_exports_of_one_are_unknown_to_the_other(
    house: House, tmp_path: Path, way: Way
) -> None:
    async with (
        house.opened(way, headers=bearer(ADA)) as ada,
        house.opened(way, headers=bearer(BOB)) as bob,
    ):
        made = await ada.call("download_data", from_date=DAY, to_date=DAY, format="ndjson")
        assert made.status == "ok", made.text
        (own,) = (await ada.call("list_exports")).data
        assert (await bob.call("list_exports")).data == []
        for tool in ("get_export", "delete_export"):
            assert (await bob.call(tool, id=own["id"])).is_error
        for tools, readable in ((ada, True), (bob, False)):
            read = tools.client.read_resource(f"mixpanel://exports/{own['id']}")
            if readable:
                assert own["id"] in str((await read).contents)
            else:
                with pytest.raises(MCPError):
                    await read
    below = tmp_path / "files" / "callers"
    files = {path.relative_to(below).parts[0] for path in below.rglob("*") if path.is_file()}
    assert files == {"ada"}


@both_ways
async def test_the_audit_log_names_who_called(house: House, tmp_path: Path, way: Way) -> None:
    event = {"event": "A", "properties": {"distinct_id": "u"}}
    for token in (ADA, BOB):
        async with house.opened(way, headers=bearer(token)) as tools:
            assert (await tools.call("track_events", events=[event])).status == "ok"
            assert (await tools.call("delete_profile", **DELETE)).status == "ok"
    assert [(line["caller"], line["tool"]) for line in audited(tmp_path)] == [
        ("ada", "track_events"),
        ("ada", "delete_profile"),
        ("bob", "track_events"),
        ("bob", "delete_profile"),
    ]
    assert ADA not in str(audited(tmp_path))


@both_ways
async def test_two_hundred_calls_at_once_stay_with_their_callers(pair: Pair, way: Way) -> None:
    """Each caller has a project of their own here, whose data is a canary."""
    for project in (pair.shop, pair.blog):
        project.upstream.default = lambda request, project=project: Reply(
            json={"of": project.canary, "asked": request.target}
        )
    both = [
        Caller(name="ada", token_sha256=(token_hash(ADA),), connections=("shop",)),
        Caller(name="bob", token_sha256=(token_hash(BOB),), connections=("blog",)),
    ]
    async with running_house(team(pair, both)) as house:

        async def ask(token: str, project: Project, number: int) -> None:
            async with house.opened(way, headers=bearer(token)) as tools:
                for turn in range(10):
                    url = f"/api/app/me?n={number}.{turn}"
                    answer = await tools.call("raw_request", url=url, method="GET")
                    assert answer.data["body"]["of"] == project.canary
                    assert answer.data["body"]["asked"].startswith(f"{url}&")
                refused = await tools.call(
                    "raw_request",
                    url="/api/app/me",
                    method="GET",
                    base_url=pair.other(project).upstream.url,
                )
                assert refused.is_error
                seen = await tools.client.read_resource("mixpanel://project")
                assert pair.other(project).name not in str(seen.contents)

        async with asyncio.TaskGroup() as crowd:
            for number in range(10):
                crowd.create_task(ask(ADA, pair.shop, number))
                crowd.create_task(ask(BOB, pair.blog, number))
    assert pair.arrived == (100, 100)
    for project in (pair.shop, pair.blog):
        for request in project.upstream.requests:
            assert request.headers["authorization"] in project.authorizations
