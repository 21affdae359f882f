"""Who cancels, or waits no longer, ends the request at Mixpanel too: its connection closes soon."""

import asyncio
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import pytest
from harness import Connect, Era
from mcp import Client, MCPError
from processes import connection_to, server_process
from upstream import Hang, Reply, Upstream

from mixpanel_mcp.api.retry import Pacing

Transport = Literal["memory", "stdio"]

LINE = b'{"event":"Signed up","properties":{"time":1767225600,"distinct_id":"ada"}}\n'
EVENT = {"event": "Signed up", "properties": {"time": 1767225600, "distinct_id": "ada"}}


@dataclass(frozen=True)
class Slow:
    """A call that Mixpanel keeps waiting."""

    tool: str
    arguments: Mapping[str, Any] = field(default_factory=dict[str, Any])


SLOW = {
    "query": Slow("list_saved_funnels"),
    "import": Slow("import_events", {"events": [EVENT]}),
    "deletion": Slow("delete_profile", {"delete_profiles": ["ada"], "confirm": True}),
}
EXPORT = Slow("download_data", {"from_date": "2026-01-01", "to_date": "2026-01-02"})
JOBS = "/api/2.0/nessie/pipeline/jobs"
every_slow_call = pytest.mark.parametrize("slow", SLOW)
every_transport = pytest.mark.parametrize("transport", ["memory", "stdio"])
every_way = pytest.mark.parametrize("way", ["cancelled", "timed out"])


@asynccontextmanager
async def client_before(
    upstream: Upstream, connect: Connect, transport: Transport, era: Era, root: Path
) -> AsyncGenerator[Client]:
    if transport == "memory":
        async with connect(era=era, files_root=root, cache_seconds=0) as tools:
            await warm_up(tools.client, upstream)
            yield tools.client
        return
    environment = {
        **connection_to(upstream),
        "MIXPANEL_MCP_FILES_ROOT": str(root),
        "MIXPANEL_MCP_CACHE_SECONDS": "0",
    }
    async with Client(server_process(environment=environment), mode=era) as client:
        await warm_up(client, upstream)
        yield client


async def warm_up(client: Client, upstream: Upstream) -> None:
    """The first call loads what the others have: it could outlast the patience of these tests."""
    upstream.on(JOBS, Reply(json={}))
    await client.call_tool("list_pipelines", {})
    upstream.requests.clear()


async def until(holds: Any) -> None:
    async with asyncio.timeout(10):
        while not holds():  # noqa: ASYNC110 - the other end of a connection makes it true
            await asyncio.sleep(0.01)


async def leave(client: Client, slow: Slow, upstream: Upstream, way: str) -> None:
    """Begin a call, see it arrive at Mixpanel, and want it no more."""
    arguments = dict(slow.arguments)
    if way == "timed out":
        with pytest.raises(MCPError):
            await client.call_tool(slow.tool, arguments, read_timeout_seconds=0.5)
        return
    call = asyncio.create_task(client.call_tool(slow.tool, arguments))
    await until(lambda: upstream.requests)
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call


@every_way
@every_transport
@every_slow_call
async def test_the_upstream_sees_the_connection_close(
    upstream: Upstream,
    connect: Connect,
    tmp_path: Path,
    era: Era,
    transport: Transport,
    slow: str,
    way: str,
) -> None:
    upstream.default = Hang()
    async with client_before(upstream, connect, transport, era, tmp_path) as client:
        await leave(client, SLOW[slow], upstream, way)
        await until(lambda: upstream.closed_early == 1)
        upstream.default = Reply(json={})
        # And the server is there for the next call.
        await client.call_tool("list_pipelines", {})

    assert [request.path for request in upstream.requests][1:] == [JOBS]


@every_way
@every_transport
async def test_a_stream_ends_in_its_middle_and_leaves_no_file(
    upstream: Upstream,
    connect: Connect,
    tmp_path: Path,
    era: Era,
    transport: Transport,
    way: str,
) -> None:
    # More than a table holds has come, so that a file has been begun.
    upstream.default = Reply(pieces=[LINE * 5000], until=asyncio.Event())
    async with client_before(upstream, connect, transport, era, tmp_path) as client:
        await leave(client, EXPORT, upstream, way)
        await until(lambda: upstream.closed_early == 1)
        await until(lambda: not list(tmp_path.iterdir()))

    assert len(upstream.requests) == 1


async def test_whoever_waits_for_another_attempt_waits_no_longer(
    upstream: Upstream, connect: Connect, era: Era
) -> None:
    upstream.default = Reply(429)
    pauses: list[str] = []

    async def pause(_: float) -> None:
        pauses.append("began")
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            pauses.append("ended")
            raise

    async with connect(era=era, pacing=Pacing(sleep=pause)) as tools:
        call = asyncio.create_task(tools.client.call_tool("list_saved_funnels", {}))
        await until(lambda: pauses)
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        await until(lambda: len(pauses) == 2)

    assert pauses == ["began", "ended"]
    assert len(upstream.requests) == 1


async def test_over_stdio_no_second_attempt_follows_a_cancelled_pause(
    upstream: Upstream, tmp_path: Path, era: Era, connect: Connect
) -> None:
    """The pause is Mixpanel's: too long for a test to sit out, and so is the call's deadline."""
    upstream.on("/api/query/funnels/list", Reply(429, headers={"retry-after": "20"}))
    async with client_before(upstream, connect, "stdio", era, tmp_path) as client:
        await leave(client, SLOW["query"], upstream, "timed out")
        await client.call_tool("list_pipelines", {})

    assert [request.path for request in upstream.requests] == ["/api/query/funnels/list", JOBS]


async def test_batches_that_wait_are_not_begun(
    upstream: Upstream, connect: Connect, era: Era
) -> None:
    upstream.default = Hang()
    events = [
        {"event": "Signed up", "properties": {"distinct_id": "ada", "time": 1767225600 + second}}
        for second in range(24_000)
    ]
    async with connect(era=era) as tools:
        call = asyncio.create_task(tools.client.call_tool("import_events", {"events": events}))
        await until(lambda: upstream.requests)
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        await until(lambda: upstream.closed_early == len(upstream.requests))

    assert len(upstream.requests) < 12


async def test_one_call_ends_and_its_neighbour_goes_on(
    upstream: Upstream, connect: Connect, era: Era
) -> None:
    release = asyncio.Event()
    upstream.on("/api/query/funnels/list", Hang())
    upstream.on(JOBS, Reply(json={}, until=release))
    async with connect(era=era) as tools:
        neighbour = asyncio.create_task(tools.call("list_pipelines"))
        await until(lambda: upstream.requests)
        with pytest.raises(MCPError):
            await tools.client.call_tool("list_saved_funnels", {}, read_timeout_seconds=0.2)
        await until(lambda: upstream.closed_early == 1)
        release.set()
        answer = await neighbour

    assert answer.status == "ok"
    assert upstream.closed_early == 1
