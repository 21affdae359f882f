"""The hosted server as an ASGI application: every request is judged before a server sees it."""

from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.types import Receive, Scope, Send

from mixpanel_mcp.safety.narrowing import Narrowing
from mixpanel_mcp.transports.authentication import Authentication, NotAuthenticatedError
from mixpanel_mcp.transports.caller_server import CallerServers
from mixpanel_mcp.transports.origins import HostGuard


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
        if path not in self._paths:
            return Response("Not found", status_code=404)
        try:
            identity = await self._authentication.identity(Headers(scope=scope))
        except NotAuthenticatedError as error:
            return _unauthorized(error.description)
        server = await self._servers.of(identity, Narrowing())
        await server.serve(scope, receive, send)
        return None


def _unauthorized(description: str) -> Response:
    challenge = f'Bearer error="invalid_token", error_description="{description}"'
    return JSONResponse(
        {"error": "invalid_token", "error_description": description},
        status_code=401,
        headers={"WWW-Authenticate": challenge},
    )
