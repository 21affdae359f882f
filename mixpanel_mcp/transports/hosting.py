"""Streamable HTTP at /mcp, and SSE at /sse for clients that know nothing newer."""

import socket
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

import sniffio
import uvicorn
from starlette.applications import Starlette
from starlette.types import ASGIApp, Receive, Scope, Send

from mixpanel_mcp.api.observers import observing
from mixpanel_mcp.server import Shared
from mixpanel_mcp.settings import Hosting, Settings
from mixpanel_mcp.transports.application import Application, Doors
from mixpanel_mcp.transports.authentication import Authentication
from mixpanel_mcp.transports.caller_server import CallerServers
from mixpanel_mcp.transports.calls import Calls
from mixpanel_mcp.transports.measures import Measures
from mixpanel_mcp.transports.origins import HostGuard
from mixpanel_mcp.transports.probes import Probes
from mixpanel_mcp.transports.reachability import connection_checks
from mixpanel_mcp.transports.request_heads import BoundedHeads
from mixpanel_mcp.transports.stopping import GracefulServer
from mixpanel_mcp.transports.trace_context import TraceContext

_BACKLOG = 2048
# Longer than proxies keep an idle connection, or they would send into a closing one.
_KEEP_ALIVE_SECONDS = 75
# For streams that were told to end; then they are cut.
_CLOSING_SECONDS = 5


@dataclass(frozen=True)
class Hosted:
    """The application, and what stops it in good order."""

    application: ASGIApp
    calls: Calls
    servers: CallerServers
    probes: Probes


def serve_http(
    settings: Settings, shared: Shared, listener: socket.socket, say: Callable[[str], None]
) -> None:
    """Serve until a signal ends it; as `http_server`."""
    # The libraries below ask at each of their steps which kind of event loop runs in this thread.
    # Told, they need not find out: that is two of a hundred parts of a call.
    sniffio.thread_local.name = "asyncio"
    http_server(settings, shared, listener, say).run(sockets=[listener])


def http_server(
    settings: Settings, shared: Shared, listener: socket.socket, say: Callable[[str], None]
) -> GracefulServer:
    """Build what serves the application over HTTP.

    Args:
        settings: what is served, and to whom.
        shared: closed at the end.
        listener: where clients connect.
        say: told the address once they can.
    """
    hosting, built = settings.hosting, hosted(settings, shared)
    config = uvicorn.Config(
        built.application,
        http=BoundedHeads,
        ws="none",
        lifespan="on",
        log_config=None,
        access_log=False,
        server_header=False,
        # Nothing here depends on where a request came from.
        proxy_headers=False,
        limit_concurrency=hosting.max_connections,
        timeout_keep_alive=_KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=_CLOSING_SECONDS,
    )
    return GracefulServer(
        config,
        built.calls,
        built.servers,
        stop_seconds=hosting.stop_seconds,
        started=lambda: say(f"mixpanel-mcp listens on {_url(listener, hosting)}"),
    )


def listen(hosting: Hosting) -> socket.socket:
    """Take the address.

    Raises:
        OSError: it is taken, or none of this machine's.
    """
    host = hosting.host.strip("[]")
    family, *_, address = socket.getaddrinfo(
        host, hosting.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    )[0]
    return socket.create_server(address[:2], family=family, backlog=_BACKLOG)


def application(settings: Settings, shared: Shared) -> ASGIApp:
    """The whole hosted server; `shared` is closed with it."""
    return hosted(settings, shared).application


def hosted(settings: Settings, shared: Shared) -> Hosted:
    """Put the hosted server together."""
    measures = Measures(shared, settings.policy.tool_prefix)
    calls = Calls(measures)
    servers = CallerServers(settings, shared, calls)
    probes = Probes(calls, {**connection_checks(settings.connections), **shared.checks})
    guard, authentication = HostGuard(settings.hosting), Authentication(settings)
    doors = Doors(guard, probes, authentication, calls, servers)
    answers = Application(settings.hosting, doors)

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncGenerator[None]:
        try:
            await shared.open()
            with observing(measures):
                async with servers.run():
                    yield
        finally:
            await shared.close()

    traced = TraceContext(answers)
    beginning_and_end = Starlette(lifespan=lifespan)

    async def whole(scope: Scope, receive: Receive, send: Send) -> None:
        # A router on the way of every request would have nothing to route.
        chosen = traced if scope["type"] == "http" else beginning_and_end
        await chosen(scope, receive, send)

    return Hosted(whole, calls, servers, probes)


def _url(listener: socket.socket, hosting: Hosting) -> str:
    host, port = listener.getsockname()[:2]
    shown = f"[{host}]" if ":" in host else host
    also = f" (SSE: http://{shown}:{port}/sse)" if hosting.sse else ""
    return f"http://{shown}:{port}/mcp{also}"
