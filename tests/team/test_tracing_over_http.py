"""A hosted server sends its spans to a collector, as part of the trace that a client began."""

import asyncio
import sys
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

import httpx2
from harness import Era
from mcp import Client
from mcp.client.sse import sse_client
from mcp.client.streamable_http import streamable_http_client
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span
from processes import bare_environment, connection_to
from upstream import Reply, Upstream, running_upstream

TRACE_ID = "0af7651916cd43dd8448eb211c80319c"
HEADERS = {"traceparent": f"00-{TRACE_ID}-b7ad6b7169203331-01"}


@dataclass
class Hosted:
    url: str
    collector: Upstream

    async def spans(self, name: str) -> list[Span]:
        """What the collector got of a name, once there is any."""
        async with asyncio.timeout(15):
            while True:
                if found := [span for span in self._received() if span.name == name]:
                    return found
                await asyncio.sleep(0.02)

    def _received(self) -> list[Span]:
        spans: list[Span] = []
        for request in self.collector.to("/v1/traces"):
            sent = ExportTraceServiceRequest.FromString(request.content)
            for resource in sent.resource_spans:
                for scope in resource.scope_spans:
                    spans += scope.spans
        return spans


@asynccontextmanager
async def hosted(upstream: Upstream, port: int) -> AsyncGenerator[Hosted]:
    """A server process with a collector of its own."""
    async with running_upstream() as collector:
        environment = {
            **connection_to(upstream),
            "OTEL_EXPORTER_OTLP_ENDPOINT": collector.url,
            "OTEL_BSP_SCHEDULE_DELAY": "20",
        }
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            *("-m", "mixpanel_mcp", "serve", "--transport", "http", "--sse", "--port", str(port)),
            env=bare_environment(environment),
        )
        try:
            url = f"http://127.0.0.1:{port}"
            await _answering(f"{url}/healthz")
            yield Hosted(url, collector)
        finally:
            process.terminate()
            await process.wait()


async def _answering(url: str) -> None:
    async with asyncio.timeout(20), httpx2.AsyncClient() as client:
        while True:
            try:
                await client.get(url)
            except httpx2.TransportError:
                await asyncio.sleep(0.02)
            else:
                return


async def test_a_call_goes_on_with_the_trace_of_its_client(
    upstream: Upstream, unused_port: Callable[[], int], era: Era
) -> None:
    upstream.default = Reply(json=[])
    async with (
        hosted(upstream, unused_port()) as server,
        httpx2.AsyncClient(headers=HEADERS) as http,
    ):
        transport = streamable_http_client(f"{server.url}/mcp", http_client=http)
        async with Client(transport, mode=era) as client:
            await client.call_tool("list_saved_funnels", {})
        called = await server.spans("tools/call list_saved_funnels")
        sent = await server.spans("GET /api/query/funnels/list")

    assert [span.trace_id.hex() for span in [*called, *sent]] == [TRACE_ID, TRACE_ID]
    # The trace is ours and our client's: Mixpanel is told nothing of it.
    assert all("traceparent" not in request.headers for request in upstream.requests)


async def test_over_sse_too(upstream: Upstream, unused_port: Callable[[], int]) -> None:
    upstream.default = Reply(json=[])
    async with hosted(upstream, unused_port()) as server:
        transport = sse_client(f"{server.url}/sse", headers=HEADERS)
        async with Client(transport, mode="legacy") as client:
            await client.call_tool("list_saved_funnels", {})
        (called,) = await server.spans("tools/call list_saved_funnels")

    assert called.trace_id.hex() == TRACE_ID
