"""A request over HTTP goes on with the trace that its client began."""

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from mixpanel_mcp import spans


class TraceContext:
    """Takes W3C `traceparent` from the headers; a `_meta` of the message has it from the SDK."""

    def __init__(self, application: ASGIApp) -> None:
        self._application = application

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._application(scope, receive, send)
            return
        with spans.continued(Headers(scope=scope)):
            await self._application(scope, receive, send)
