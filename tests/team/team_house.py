"""A hosted server for tests: real HTTP on a free port of loopback, before two told Mixpanels."""

import asyncio
import json
import socket
import ssl
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Literal

import httpx2
import uvicorn
from harness import Tools, Waits
from mcp import Client
from mcp.client.session import ElicitationFnT
from mcp.client.sse import sse_client
from mcp.client.streamable_http import streamable_http_client
from two_projects import Pair

from mixpanel_mcp.server import Shared
from mixpanel_mcp.settings import Caller, Hosting, Policy, Protocol, Settings
from mixpanel_mcp.transports.hosting import application

Headers = Sequence[tuple[str, str]] | Mapping[str, str]
Way = Literal["modern", "legacy", "sse"]
WAYS: tuple[Way, ...] = ("modern", "legacy", "sse")

# Loading the machine's certificates takes longer than most of the requests here.
NO_TLS = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
INITIALIZE: dict[str, Any] = {
    "jsonrpc": "2.0",
    "id": 1,
    "method": "initialize",
    "params": {
        "protocolVersion": "2025-06-18",
        "capabilities": {},
        "clientInfo": {"name": "raw", "version": "1"},
    },
}
ACCEPT = {"Accept": "application/json, text/event-stream"}


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


@dataclass(frozen=True)
class House:
    """Where the server is, and the ways in."""

    origin: str

    @asynccontextmanager
    async def opened(
        self,
        way: Way = "modern",
        *,
        headers: Mapping[str, str] | None = None,
        person: ElicitationFnT | None = None,
    ) -> AsyncGenerator[Tools]:
        """A client of the SDK."""
        given = dict(headers or {})
        if way == "sse":
            transport = sse_client(f"{self.origin}/sse", headers=given, timeout=10)
            async with Client(transport, mode="legacy", elicitation_callback=person) as client:
                yield Tools(client)
            return
        async with httpx2.AsyncClient(headers=given, timeout=20, verify=NO_TLS) as http:
            transport = streamable_http_client(f"{self.origin}/mcp", http_client=http)
            mode = "auto" if way == "modern" else "legacy"
            async with Client(transport, mode=mode, elicitation_callback=person) as client:
                yield Tools(client)

    async def post(
        self,
        headers: Headers,
        body: Any = INITIALIZE,
        path: str = "/mcp",
    ) -> httpx2.Response:
        """One request, as it is; by default the first one of a session."""
        pairs = [*_pairs(headers), *ACCEPT.items(), ("Content-Type", "application/json")]
        async with httpx2.AsyncClient(timeout=20, verify=NO_TLS) as http:
            return await http.post(self.origin + path, headers=pairs, content=json.dumps(body))

    async def get(self, path: str, headers: Headers = ()) -> httpx2.Response:
        async with httpx2.AsyncClient(timeout=20, verify=NO_TLS) as http:
            return await http.get(self.origin + path, headers=_pairs(headers))


def _pairs(headers: Headers) -> list[tuple[str, str]]:
    return list(headers.items()) if isinstance(headers, Mapping) else list(headers)


@asynccontextmanager
async def running_house(settings: Settings) -> AsyncGenerator[House]:
    # Without the protocol's number asyncio leaves small packets waiting for each other.
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP) as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen(128)
        config = uvicorn.Config(
            application(settings, Shared(settings, Waits().pacing())),
            log_config=None,
            timeout_graceful_shutdown=1,
        )
        server = uvicorn.Server(config)
        serving = asyncio.create_task(server.serve(sockets=[listening]))
        try:
            yield House(f"http://127.0.0.1:{listening.getsockname()[1]}")
        finally:
            server.should_exit = True
            await serving


def team(
    pair: Pair, callers: Sequence[Caller], hosting: Mapping[str, Any] | None = None, **policy: Any
) -> Settings:
    """Two connections, `shop` and `blog`, and who may use them."""
    return Settings(
        pair.shop.connection(),
        Policy(**policy),
        [pair.blog.connection()],
        callers=callers,
        hosting=Hosting(transport=Protocol.HTTP, sse=True, **(hosting or {})),
    )
