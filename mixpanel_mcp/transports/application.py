"""The hosted server as an ASGI application: every request is judged before a server sees it."""

from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from functools import partial

from mcp.types.version import HANDSHAKE_PROTOCOL_VERSIONS
from starlette.datastructures import Headers, QueryParams
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from mixpanel_mcp.settings import Hosting
from mixpanel_mcp.transports.authentication import Authentication
from mixpanel_mcp.transports.bodies import (
    BodyRefusedError,
    ClientGoneError,
    with_whole_body,
)
from mixpanel_mcp.transports.caller_server import CallerServers, TooManyServersError
from mixpanel_mcp.transports.calls import LIGHT, CallerCalls, Calls
from mixpanel_mcp.transports.expiry import serve_until
from mixpanel_mcp.transports.measures import Refusal
from mixpanel_mcp.transports.narrowing_headers import narrowing_of
from mixpanel_mcp.transports.origins import HostGuard, for_pages
from mixpanel_mcp.transports.probes import Probes
from mixpanel_mcp.transports.refusals import RequestRefusedError
from mixpanel_mcp.transports.streams import NOTHING_BEGUN, error_response

_RETRY_SOON = {"Retry-After": "2"}
_REFUSED = -32000
_BODY_REASONS = {
    408: Refusal.BODY_TOO_SLOW,
    413: Refusal.BODY_TOO_LARGE,
    503: Refusal.STOPPING,
}
_REASONS = {400: Refusal.HEADERS, 403: Refusal.FORBIDDEN}


@dataclass(frozen=True)
class Doors:
    """Whom a request passes on its way, in this order."""

    guard: HostGuard
    probes: Probes
    authentication: Authentication
    calls: Calls
    servers: CallerServers


class Application:
    """Host and Origin, then who calls, then that caller's own server."""

    def __init__(self, hosting: Hosting, doors: Doors) -> None:
        self._hosting = hosting
        self._doors = doors
        self._measures = doors.calls.measures
        self._paths = {"/mcp"} | ({"/sse", "/messages/"} if hosting.sse else set[str]())
        self._answer_page = for_pages(self._answer, hosting)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        refusal = self._doors.guard.refusal(scope)
        if refusal is None:
            answer = self._answer if _is_call_of_program(scope) else self._answer_page
            await answer(scope, receive, send)
            return
        reason = Refusal.HOST if refusal.status_code == 421 else Refusal.ORIGIN
        self._measures.refused(reason)
        await refusal(scope, receive, send)

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        path = scope["path"]
        if path in self._paths:
            response = await self._serve(scope, receive, send)
        elif metadata := self._doors.authentication.metadata(path):
            response = metadata
        elif path in self._doors.probes.paths:
            response = await self._doors.probes.answer(
                path, scope["method"], QueryParams(scope["query_string"])
            )
        else:
            response = error_response(404, _REFUSED, "There is nothing here; MCP is at /mcp.")
        if response is not None:
            await response(scope, receive, send)

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> Response | None:
        """Let the caller's server answer, or say what to answer."""
        headers = Headers(scope=scope)
        try:
            known = await self._doors.authentication.authenticate(scope)
            narrowing = narrowing_of(headers)
        except RequestRefusedError as error:
            self._measures.refused(_REASONS.get(error.status, Refusal.UNAUTHENTICATED))
            return error.response()
        caller = self._doors.servers.calls_of(known.identity)
        if refusal := self._no_room(scope, headers, caller):
            return refusal
        try:
            if scope["method"] == "POST":
                receive = await with_whole_body(
                    scope, receive, self._hosting.max_body_bytes, self._doors.calls.bodies
                )
            server = await self._doors.servers.of(known.identity, narrowing)
        except BodyRefusedError as error:
            self._measures.refused(_BODY_REASONS[error.status])
            # What is left of the body is not waited for.
            headers_sent = {"Connection": "close"} | (_RETRY_SOON if error.status == 503 else {})
            return error_response(error.status, _REFUSED, error.description, headers_sent)
        except ClientGoneError:
            return None
        except TooManyServersError:
            self._measures.refused(Refusal.SESSIONS)
            return error_response(503, _REFUSED, "Too many callers at once.", _RETRY_SOON)
        counted: AbstractContextManager[None] = nullcontext()
        if scope["method"] == "POST":
            counted = self._doors.calls.answering()
        elif scope["path"] == "/sse":
            counted = caller.session(server.sessions)
        with counted:
            serve = partial(server.serve, in_session=_in_session(scope, headers))
            await serve_until(known.expires, serve, scope, receive, send)
        return None

    def _no_room(self, scope: Scope, headers: Headers, caller: CallerCalls) -> Response | None:
        """Why nothing new may begin; what a session has begun goes on."""
        if _in_session(scope, headers):
            return None
        if self._doors.calls.stopping and headers.get("mcp-method") not in LIGHT:
            self._measures.refused(Refusal.STOPPING)
            return error_response(503, _REFUSED, NOTHING_BEGUN, _RETRY_SOON)
        if self._opens_session(scope, headers) and caller.sessions >= self._hosting.max_sessions:
            self._measures.refused(Refusal.SESSIONS)
            text = (
                f"This caller has {caller.sessions} sessions open, as many as this server allows. "
                "End one, or wait until one that is not used has ended."
            )
            return error_response(503, _REFUSED, text, {"Retry-After": "60"})
        return None

    def _opens_session(self, scope: Scope, headers: Headers) -> bool:
        if scope["path"] == "/sse":
            return True
        posted = scope["method"] == "POST" and not self._hosting.stateless
        return posted and not _is_modern(headers)


def _is_call_of_program(scope: Scope) -> bool:
    """Whether nothing need be said to a browser, nor to a cache that may keep what pages read."""
    return scope["method"] == "POST" and all(name != b"origin" for name, _ in scope["headers"])


def _is_modern(headers: Headers) -> bool:
    version = headers.get("mcp-protocol-version")
    return version is not None and version not in HANDSHAKE_PROTOCOL_VERSIONS


def _in_session(scope: Scope, headers: Headers) -> bool:
    """Whether a request goes on with a session, and not just claims to."""
    named = "mcp-session-id" in headers and not _is_modern(headers)
    return named or scope["path"] == "/messages/"
