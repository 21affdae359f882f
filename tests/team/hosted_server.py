"""A hosted server in the test's own event loop, on a free port, and ways to reach it."""

import asyncio
import gc
import hashlib
import socket
import warnings
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Literal

import httpx
import httpx2
import pytest
from mcp import Client
from mcp.client.sse import sse_client
from mcp.client.streamable_http import streamable_http_client
from pydantic import SecretStr

from mixpanel_mcp.server import Shared
from mixpanel_mcp.settings import Caller, Connection, Hosting, Policy, Protocol, Settings
from mixpanel_mcp.transports.hosting import http_server, listen
from mixpanel_mcp.transports.stopping import GracefulServer

# The SDK leaves a session's streams for the collector to close, whenever that comes along.
UNCLOSED_STREAMS = pytest.mark.filterwarnings("ignore:Unclosed <MemoryObject:ResourceWarning")

Way = Literal["modern", "legacy", "sse"]
WAYS: tuple[Way, ...] = ("modern", "legacy", "sse")
MODERN = "2026-07-28"
LEGACY = "2025-06-18"


@dataclass(frozen=True)
class HostedServer:
    """Where it listens."""

    origin: str
    server: GracefulServer

    @property
    def url(self) -> str:
        return f"{self.origin}/mcp"

    @property
    def address(self) -> tuple[str, int]:
        url = httpx.URL(self.origin)
        assert url.port is not None
        return url.host, url.port

    def client(self, way: Way = "modern", token: str | None = None, **more: Any) -> Client:
        """A client of the SDK, to be opened in the test itself."""
        return client_of(self.origin, way, token, **more)

    def browser(self, **more: Any) -> httpx.AsyncClient:
        """A client that speaks no MCP."""
        return httpx.AsyncClient(base_url=self.origin, trust_env=False, timeout=10, **more)


def client_of(origin: str, way: Way = "modern", token: str | None = None, **more: Any) -> Client:
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    if way == "sse":
        transport: Any = sse_client(f"{origin}/sse", headers=headers)
    else:
        transport = _streams(f"{origin}/mcp", headers)
    mode = "auto" if way == "modern" else "legacy"
    return Client(transport, mode=mode, read_timeout_seconds=20, **more)


@asynccontextmanager
async def _streams(url: str, headers: dict[str, str]) -> AsyncGenerator[Any]:
    async with (
        httpx2.AsyncClient(headers=headers, timeout=30) as http_client,
        streamable_http_client(url, http_client=http_client) as streams,
    ):
        yield streams


def caller(name: str, token: str, **more: Any) -> Caller:
    digest = hashlib.sha256(token.encode()).hexdigest()
    return Caller(name=name, token_sha256=(digest,), **more)


def settings_for(
    url: str, *callers: Caller, policy: Policy | None = None, **hosting: Any
) -> Settings:
    connection = Connection(
        username="robot",
        password=SecretStr("canary-password"),
        project_token=SecretStr("canarytoken"),
        project_id=4242,
        base_url=url,
    )
    hosted = Hosting(transport=Protocol.HTTP, port=0, sse=True, **hosting)
    return Settings(connection, policy or Policy(), callers=callers, hosting=hosted)


@asynccontextmanager
async def running_server(settings: Settings) -> AsyncGenerator[HostedServer]:
    listener: socket.socket = listen(settings.hosting)
    started = asyncio.Event()
    server = http_server(settings, Shared(settings), listener, lambda _: started.set())
    host, port = listener.getsockname()[:2]
    serving = asyncio.create_task(server.serve(sockets=[listener]))
    await started.wait()
    try:
        yield HostedServer(f"http://{host}:{port}", server)
    finally:
        server.end()
        await serving
        forget_streams()


def forget_streams() -> None:
    """Let go of what the SDK's own SSE leaves unclosed, before a test is blamed for it."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        gc.collect()


def call_message(tool: str, number: int = 1, **arguments: Any) -> dict[str, Any]:
    """A `tools/call` as an older client sends it."""
    params = {"name": tool, "arguments": arguments}
    return {"jsonrpc": "2.0", "id": number, "method": "tools/call", "params": params}


def modern_message(method: str, **params: Any) -> dict[str, Any]:
    meta = {
        "io.modelcontextprotocol/protocolVersion": MODERN,
        "io.modelcontextprotocol/clientInfo": {"name": "raw", "version": "1"},
        "io.modelcontextprotocol/clientCapabilities": {},
    }
    return {"jsonrpc": "2.0", "id": 1, "method": method, "params": {**params, "_meta": meta}}


def modern_headers(method: str, name: str | None = None) -> dict[str, str]:
    named = {"Mcp-Name": name} if name else {}
    return {**ACCEPT, "MCP-Protocol-Version": MODERN, "Mcp-Method": method, **named}


ACCEPT = {"Accept": "application/json, text/event-stream", "Content-Type": "application/json"}
INITIALIZE: dict[str, Any] = {
    "jsonrpc": "2.0",
    "id": 0,
    "method": "initialize",
    "params": {
        "protocolVersion": LEGACY,
        "capabilities": {},
        "clientInfo": {"name": "raw", "version": "1"},
    },
}
