"""A server that is told to stop: what runs ends, nothing new begins, and nobody is left hanging."""

import asyncio
import signal
from typing import Any

import httpx
import mcp.types as t
import pytest
from hosted_server import (
    ACCEPT,
    INITIALIZE,
    UNCLOSED_STREAMS,
    WAYS,
    Way,
    client_of,
    modern_headers,
    modern_message,
    running_server,
    settings_for,
)
from mcp import MCPError
from processes import connection_to
from serving import ServingProcess, serving_process
from upstream import Held, Reply, Upstream

from mixpanel_mcp.server import Shared
from mixpanel_mcp.transports.hosting import hosted

pytestmark = UNCLOSED_STREAMS

JOBS = "/api/2.0/nessie/pipeline/jobs"


async def _is_stopping(server: ServingProcess) -> None:
    async with asyncio.timeout(10), httpx.AsyncClient(trust_env=False) as browser:
        while True:
            ready = await browser.get(f"{server.origin}/readyz")
            if ready.json() == {"status": "stopping"}:
                assert ready.status_code == 503
                return


@pytest.mark.parametrize("way", WAYS)
async def test_a_running_call_ends_and_nothing_new_begins(upstream: Upstream, way: Way) -> None:
    release = asyncio.Event()
    upstream.on(JOBS, Held(release, Reply(json={})))
    async with serving_process("--sse", environment=connection_to(upstream)) as server:
        client = client_of(server.origin, way)
        async with client:
            running = asyncio.create_task(client.call_tool("list_pipelines", {}))
            async with asyncio.timeout(10):
                await upstream.opened(1)
            server.process.send_signal(signal.SIGTERM)
            await _is_stopping(server)
            with pytest.raises(MCPError, match="stopping"):
                await client.call_tool("list_saved_funnels", {})
            async with httpx.AsyncClient(base_url=server.origin, trust_env=False) as browser:
                new = [
                    await browser.post("/mcp", json=INITIALIZE, headers=ACCEPT),
                    await browser.post(
                        "/mcp",
                        json=modern_message("tools/call", name="list_pipelines", arguments={}),
                        headers=modern_headers("tools/call", "list_pipelines"),
                    ),
                    await browser.get("/sse"),
                ]
                alive = await browser.get("/healthz")
            release.set()
            answer = await running
        code = await server.ended()

    assert isinstance(answer, t.CallToolResult)
    assert not answer.is_error
    assert [each.status_code for each in new] == [503, 503, 503]
    assert all("retry-after" in each.headers for each in new)
    assert alive.status_code == 200
    assert code == 0
    assert len(upstream.requests) == 1
    assert "Traceback" not in "\n".join(server.lines)


@pytest.mark.parametrize("method", ["POST", "DELETE"])
async def test_whoever_comes_when_all_has_ended_is_told_so(upstream: Upstream, method: str) -> None:
    settings = settings_for(upstream.url)
    shared = Shared(settings)
    built = hosted(settings, shared)
    transport = httpx.ASGITransport(built.application)
    async with (
        built.servers.run(),
        httpx.AsyncClient(transport=transport, base_url="http://localhost") as browser,
    ):
        begun = await browser.post("/mcp", json=INITIALIZE, headers=ACCEPT)
        session = {**ACCEPT, "Mcp-Session-Id": begun.headers["mcp-session-id"]}
        built.servers.end()
        ping = {"jsonrpc": "2.0", "id": 1, "method": "ping"}
        late = await browser.request(method, "/mcp", json=ping, headers=session)
    await shared.close()

    assert late.status_code == 503
    assert "stopping" in late.json()["error"]["message"]


async def test_open_streams_do_not_keep_it(upstream: Upstream) -> None:
    async with (
        serving_process("--sse", environment=connection_to(upstream)) as server,
        httpx.AsyncClient(base_url=server.origin, trust_env=False, timeout=15) as browser,
        browser.stream("GET", "/sse") as events,
    ):
        assert events.status_code == 200
        server.process.send_signal(signal.SIGINT)
        code = await server.ended()
        async for _ in events.aiter_raw():
            pass

    assert code == 0


@pytest.mark.parametrize("way", WAYS)
async def test_a_call_that_takes_too_long_is_ended_and_told_so(
    upstream: Upstream, way: Way
) -> None:
    """One runs, and one waits for its turn; both are answered, and the connection is there yet."""
    upstream.on(JOBS, Held(asyncio.Event(), Reply(json={})))
    flags = ("--sse", "--stop-seconds", "0.2", "--calls-at-once", "1")
    async with serving_process(*flags, environment=connection_to(upstream)) as server:
        async with client_of(server.origin, way) as client:
            running = asyncio.create_task(client.call_tool("list_pipelines", {}))
            async with asyncio.timeout(10):
                await upstream.opened(1)
            waiting = asyncio.create_task(client.call_tool("list_saved_funnels", {}))
            await client.list_tools()
            server.process.send_signal(signal.SIGTERM)
            async with asyncio.timeout(10):
                ended = await asyncio.gather(running, waiting, return_exceptions=True)
        code = await server.ended()

    assert all(isinstance(each, MCPError) for each in ended)
    assert "server has stopped" in str(ended[0])
    assert "may have happened" in str(ended[0])
    assert "was not begun" in str(ended[1])
    assert code == 0
    assert len(upstream.requests) == 1
    assert "Traceback" not in "\n".join(server.lines)
    assert "ERROR" not in "\n".join(server.lines)


@pytest.mark.parametrize("way", ["legacy", "sse"])
async def test_a_question_nobody_answers_ends_with_the_server(upstream: Upstream, way: Way) -> None:
    asked = asyncio.Event()

    async def ponder(context: Any, params: Any) -> t.ElicitResult:
        del context, params
        asked.set()
        return await asyncio.Future[t.ElicitResult]()

    deletion = {"delete_profiles": ["ada"], "confirm": True}
    flags = ("--sse", "--stop-seconds", "0.2")
    async with serving_process(*flags, environment=connection_to(upstream)) as server:
        async with client_of(server.origin, way, elicitation_callback=ponder) as client:
            running = asyncio.create_task(client.call_tool("delete_profile", deletion))
            await asked.wait()
            server.process.send_signal(signal.SIGTERM)
            with pytest.raises(MCPError, match="server has stopped"):
                await running
        code = await server.ended()

    assert code == 0
    assert upstream.requests == []
    assert "Traceback" not in "\n".join(server.lines)


async def test_whoever_is_cut_off_is_told_what_may_have_happened(upstream: Upstream) -> None:
    upstream.on(JOBS, Held(asyncio.Event(), Reply(json={})))
    async with running_server(settings_for(upstream.url)) as server, server.browser() as browser:
        call = modern_message("tools/call", name="list_pipelines", arguments={})
        headers = modern_headers("tools/call", "list_pipelines")
        running = asyncio.create_task(browser.post("/mcp", json=call, headers=headers))
        await upstream.opened(1)
        server.server.end()
        answer = await running

    assert answer.status_code == 503
    assert "may have happened" in answer.json()["error"]["message"]


@pytest.mark.parametrize("headers", [ACCEPT, modern_headers("tools/list")], ids=["old", "new"])
async def test_half_a_body_keeps_nobody(
    upstream: Upstream, headers: dict[str, str], caplog: pytest.LogCaptureFixture
) -> None:
    head = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    async with running_server(settings_for(upstream.url)) as server:
        reader, writer = await asyncio.open_connection(*server.address)
        writer.write(
            f"POST /mcp HTTP/1.1\r\nHost: localhost\r\n{head}Content-Length: 9\r\n\r\n{{".encode()
        )
        async with asyncio.timeout(4):
            while not server.server.server_state.tasks:  # noqa: ASYNC110 - the other end makes it true
                await asyncio.sleep(0.01)
            server.server.handle_exit(signal.SIGTERM, None)
            answer = await reader.read()
        writer.close()

    assert b"HTTP/1.1 503" in answer
    assert b"connection: close" in answer.lower()
    assert b"retry-after" in answer.lower()
    assert b"stopping" in answer
    assert [record for record in caplog.records if record.levelname == "ERROR"] == []


async def test_a_second_signal_ends_it_at_once(upstream: Upstream) -> None:
    upstream.on(JOBS, Held(asyncio.Event(), Reply(json={})))
    async with (
        serving_process(environment=connection_to(upstream)) as server,
        httpx.AsyncClient(base_url=server.origin, trust_env=False) as browser,
    ):
        call = modern_message("tools/call", name="list_pipelines", arguments={})
        headers = modern_headers("tools/call", "list_pipelines")
        running = asyncio.create_task(browser.post("/mcp", json=call, headers=headers))
        async with asyncio.timeout(10):
            await upstream.opened(1)
        server.process.send_signal(signal.SIGTERM)
        await _is_stopping(server)
        server.process.send_signal(signal.SIGTERM)
        code = await server.ended()
        with pytest.raises(httpx.TransportError):
            await running

    assert code == -signal.SIGTERM
