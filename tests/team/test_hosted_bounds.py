"""Nobody can take more of a hosted server than is theirs: bodies, heads, calls, sessions."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Any

import mcp.types as t
import pytest
from hosted_server import (
    ACCEPT,
    INITIALIZE,
    LEGACY,
    UNCLOSED_STREAMS,
    WAYS,
    Way,
    caller,
    modern_headers,
    modern_message,
    running_server,
    settings_for,
)
from mcp import Client, MCPError
from upstream import Held, Reply, Upstream

from mixpanel_mcp.settings import Policy
from mixpanel_mcp.transports.bodies import BodyRefusedError, with_whole_body
from mixpanel_mcp.transports.streams import OpenRequests

pytestmark = UNCLOSED_STREAMS

LARGE = b" " * 5000


async def in_pieces() -> AsyncIterator[bytes]:
    for _ in range(5):
        yield LARGE[:1000]


async def test_a_body_that_is_too_large_is_refused_declared_or_not(upstream: Upstream) -> None:
    settings = settings_for(upstream.url, max_body_bytes=4000)
    async with running_server(settings) as server, server.browser() as browser:
        for path, headers in (
            ("/mcp", ACCEPT),
            ("/mcp", modern_headers("tools/list")),
            ("/messages/?session_id=0", ACCEPT),
        ):
            for content in (LARGE, in_pieces()):
                answer = await browser.post(path, content=content, headers=headers)
                assert answer.status_code == 413
                assert "4000 bytes" in answer.json()["error"]["message"]


async def test_a_body_that_trickles_is_not_waited_for() -> None:
    async def trickle() -> Any:
        await asyncio.sleep(0.01)
        return {"type": "http.request", "body": b" ", "more_body": True}

    with pytest.raises(BodyRefusedError) as refused:
        await with_whole_body({"headers": []}, trickle, 10_000, OpenRequests(), seconds=0.05)

    assert refused.value.status == 408


async def test_a_body_that_begins_late_has_no_more_time_than_others() -> None:
    begun = asyncio.Event()

    async def late() -> Any:
        if begun.is_set():
            await asyncio.Event().wait()
        begun.set()
        await asyncio.sleep(0.2)
        return {"type": "http.request", "body": b" ", "more_body": True}

    waiting = asyncio.create_task(
        with_whole_body({"headers": []}, late, 10_000, OpenRequests(), seconds=0.3)
    )
    await begun.wait()
    async with asyncio.timeout(0.45):
        with pytest.raises(BodyRefusedError) as refused:
            await waiting

    assert refused.value.status == 408


@pytest.mark.parametrize("headers", [ACCEPT, modern_headers("tools/list")], ids=["old", "new"])
async def test_whoever_leaves_within_a_body_is_no_error(
    upstream: Upstream, headers: dict[str, str], caplog: pytest.LogCaptureFixture
) -> None:
    head = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    async with running_server(settings_for(upstream.url)) as server:
        _, writer = await asyncio.open_connection(*server.address)
        writer.write(
            f"POST /mcp HTTP/1.1\r\nHost: localhost\r\n{head}Content-Length: 9\r\n\r\n{{".encode()
        )
        await writer.drain()
        connections = server.server.server_state.connections
        async with asyncio.timeout(10):
            while not connections:  # noqa: ASYNC110 - the other end makes it true
                await asyncio.sleep(0.01)
            writer.close()
            while connections:  # noqa: ASYNC110 - the other end makes it true
                await asyncio.sleep(0.01)

    assert [record for record in caplog.records if record.levelname == "ERROR"] == []


async def test_a_head_without_end_is_cut_off(upstream: Upstream) -> None:
    async with running_server(settings_for(upstream.url)) as server:
        reader, writer = await asyncio.open_connection(*server.address)
        writer.write(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n")
        piece = b"X-More: " + b"a" * 1000 + b"\r\n"
        async with asyncio.timeout(10):
            with suppress(ConnectionError):
                for _ in range(1000):
                    writer.write(piece)
                    await writer.drain()
            cut_off = await _ended(reader)
        writer.close()

    assert cut_off


async def _ended(reader: asyncio.StreamReader) -> bool:
    with suppress(ConnectionError):
        return await reader.read(1) == b""
    return True


@pytest.mark.parametrize("way", WAYS)
async def test_calls_beyond_a_callers_places_wait_their_turn(upstream: Upstream, way: Way) -> None:
    release = asyncio.Event()
    upstream.default = Held(release, Reply(json={}))
    policy = Policy(cache_seconds=0)
    async with (
        running_server(settings_for(upstream.url, policy=policy, calls_at_once=2)) as server,
        server.client(way) as client,
    ):
        calls = [
            asyncio.create_task(client.call_tool("list_pipelines", {"project_id": number}))
            for number in range(1, 5)  # equal reads would be one
        ]
        async with asyncio.timeout(10):
            await upstream.opened(2)
        release.set()
        answers = await asyncio.gather(*calls)

    assert all(not answer.is_error for answer in answers if isinstance(answer, t.CallToolResult))
    assert upstream.most_open == 2


async def _refused(client: Client) -> str:
    with pytest.raises(MCPError) as refused:
        await client.call_tool("list_pipelines", {})
    return str(refused.value)


@pytest.mark.parametrize("way", WAYS)
async def test_one_that_waited_in_vain_is_told_and_others_are_not_held_up(
    upstream: Upstream, way: Way, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mixpanel_mcp.transports.calls.PATIENCE_SECONDS", 0.05)
    release = asyncio.Event()
    upstream.on("/api/2.0/nessie/pipeline/jobs", Held(release, Reply(json={})))
    upstream.default = Reply(json={})
    callers = (caller("ada", "token-of-ada"), caller("bob", "token-of-bob"))
    settings = settings_for(upstream.url, *callers, policy=Policy(cache_seconds=0), calls_at_once=1)
    async with (
        running_server(settings) as server,
        server.client(way, "token-of-ada") as ada,
        server.client("legacy", "token-of-ada") as ada_elsewhere,
        server.client(way, "token-of-bob") as bob,
    ):
        running = asyncio.create_task(ada.call_tool("list_pipelines", {}))
        async with asyncio.timeout(10):
            await upstream.opened(1)
        said = await _refused(ada)
        also_said = await _refused(ada_elsewhere)
        of_bob = await bob.call_tool("list_pipelines", {})
        release.set()
        await running

    assert "1 calls of this caller are running" in said
    assert said == also_said
    assert isinstance(of_bob, t.CallToolResult)
    assert not of_bob.is_error


async def test_sessions_of_a_caller_are_counted_over_all_transports(upstream: Upstream) -> None:
    settings = settings_for(upstream.url, max_sessions=2)
    async with running_server(settings) as server, server.browser(headers=ACCEPT) as browser:
        first = await browser.post("/mcp", json=INITIALIZE)
        async with browser.stream("GET", "/sse"):
            full = await browser.post("/mcp", json=INITIALIZE)
            also_full = await browser.get("/sse")
            listing = modern_message("tools/list")
            modern = await browser.post("/mcp", json=listing, headers=modern_headers("tools/list"))
            session = {
                "Mcp-Session-Id": first.headers["mcp-session-id"],
                "MCP-Protocol-Version": LEGACY,
            }
            ended = await browser.delete("/mcp", headers=session)
            async with asyncio.timeout(10):
                while (again := await browser.post("/mcp", json=INITIALIZE)).status_code != 200:
                    assert again.status_code == 503

    assert (first.status_code, full.status_code, also_full.status_code) == (200, 503, 503)
    assert "2 sessions open" in full.json()["error"]["message"]
    assert full.headers["retry-after"] == "60"
    assert (modern.status_code, ended.status_code) == (200, 200)
