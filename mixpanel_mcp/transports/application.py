"""The hosted server as an ASGI application: every request is judged before a server sees it."""

from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.types import Receive, Scope, Send

from mixpanel_mcp.transports.authentication import Authentication
from mixpanel_mcp.transports.caller_server import CallerServers
from mixpanel_mcp.transports.expiry import serve_until
from mixpanel_mcp.transports.narrowing_headers import narrowing_of
from mixpanel_mcp.transports.origins import HostGuard
from mixpanel_mcp.transports.refusals import RequestRefusedError


class Application:
    """Host and Origin, then who calls, then that caller's own server."""

    def __init__(
        self,
        guard: HostGuard,
        authentication: Authentication,
        servers: CallerServers,
        *,
        sse: bool,
    ) -> None:
        self._guard = guard
        self._authentication = authentication
        self._servers = servers
        self._paths = {"/mcp"} | ({"/sse", "/messages/"} if sse else set[str]())

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        response = await self._answer(scope, receive, send)
        if response is not None:
            await response(scope, receive, send)

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> Response | None:
        """Answer, or say what to answer."""
        if refusal := await self._guard.refusal(Request(scope)):
            return refusal
        path = scope["path"]
        if path == "/healthz":
            return JSONResponse({"status": "ok"})
        if metadata := self._authentication.metadata(path):
            return metadata
        if path not in self._paths:
            return Response("Not found", status_code=404)
        try:
            caller = await self._authentication.authenticate(scope)
            narrowing = narrowing_of(Headers(scope=scope))
        except RequestRefusedError as error:
            return error.response()
        server = await self._servers.of(caller.identity, narrowing)
        await serve_until(caller.expires, server.serve, scope, receive, send)
        return None
