"""Streamable HTTP at /mcp, and SSE at /sse for clients that know nothing newer."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import uvicorn
from starlette.applications import Starlette
from starlette.routing import Mount

from mixpanel_mcp.server import Shared
from mixpanel_mcp.settings import Settings
from mixpanel_mcp.transports.application import Application
from mixpanel_mcp.transports.authentication import Authentication
from mixpanel_mcp.transports.caller_server import CallerServers
from mixpanel_mcp.transports.origins import HostGuard
from mixpanel_mcp.transports.trace_context import TraceContext


def serve_http(settings: Settings, shared: Shared) -> None:
    """Serve until a signal ends it."""
    hosting = settings.hosting
    uvicorn.run(
        application(settings, shared), host=hosting.host, port=hosting.port, log_config=None
    )


def application(settings: Settings, shared: Shared) -> Starlette:
    """The whole hosted server; `shared` is closed with it."""
    servers = CallerServers(settings, shared)
    answers = Application(
        HostGuard(settings.hosting), Authentication(settings), servers, sse=settings.hosting.sse
    )

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncGenerator[None]:
        try:
            async with servers.run():
                yield
        finally:
            await shared.close()

    return Starlette(routes=[Mount("/", app=TraceContext(answers))], lifespan=lifespan)
