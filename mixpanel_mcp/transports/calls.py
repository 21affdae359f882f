"""The calls that run: how many of one caller at once, for how long, and how they end at a stop."""

from collections.abc import Generator
from contextlib import contextmanager
from typing import Any

import anyio
import mcp.types as t
from mcp import MCPError
from mcp.server.context import CallNext, HandlerResult, ServerMiddleware, ServerRequestContext

from mixpanel_mcp.safety.approval import ANSWER_SECONDS
from mixpanel_mcp.settings import Policy
from mixpanel_mcp.transports.measures import Measures, Refusal
from mixpanel_mcp.transports.streams import READ_BACK, OpenRequests

_HEAVY = {"tools/call", "resources/read"}
# What is answered to the end: it takes next to no time.
LIGHT = frozenset(
    {
        "initialize",
        "ping",
        "prompts/list",
        "resources/list",
        "resources/templates/list",
        "server/discover",
        "tools/list",
    }
)
# It lasts as long as the client wants to listen.
_ENDLESS = "subscriptions/listen"
_MARGIN_SECONDS = 30.0
# How long one call more than may run waits for its turn.
PATIENCE_SECONDS = 10.0
_RETRIES_LATER = -32000
_COUNTED = "mixpanel_mcp.session"


class Calls:
    """All that run in this process."""

    def __init__(self, measures: Measures) -> None:
        self.measures = measures
        self.stopping = False
        self.unfinished = OpenRequests()
        """Calls that run or wait for their turn; a stop ends them when its time is up."""
        self.bodies = OpenRequests()
        """Those of requests that are not whole yet; the last thing that a stop ends."""
        self._running = 0
        self._idle = anyio.Event()

    def begin(self, method: str) -> None:
        """Count a request in, or refuse it.

        Raises:
            MCPError: it is a call, and the server stops.
        """
        # Clients look at a tool's entry once more when its call has ended.
        if self.stopping and method not in LIGHT:
            raise self.not_begun()
        self._running += 1

    def not_begun(self) -> MCPError:
        """Refuse a call at a stop."""
        self.measures.refused(Refusal.STOPPING)
        return MCPError(
            _RETRIES_LATER,
            "This server is stopping, and the call was not begun. Open a new connection and call "
            "again.",
        )

    def end(self) -> None:
        self._running -= 1
        self._rest()

    @contextmanager
    def answering(self) -> Generator[None]:
        """Count an answer that is being written, though its call may have ended."""
        self._running += 1
        try:
            yield
        finally:
            self.end()

    @contextmanager
    def listening(self) -> Generator[None]:
        """Leave an answer without end out of the count."""
        self.end()
        try:
            yield
        finally:
            self._running += 1

    async def stop(self) -> None:
        """Begin no more, and wait for those that run."""
        self.stopping = True
        self._rest()
        await self._idle.wait()

    def _rest(self) -> None:
        if self.stopping and not self._running:
            self._idle.set()


class SessionCount:
    """The sessions of one server."""

    def __init__(self) -> None:
        self.open = 0


class CallerCalls:
    """What one caller may have at work, over all its sessions and servers."""

    def __init__(self, calls: Calls, policy: Policy, at_once: int) -> None:
        """Bound a caller's calls.

        Args:
            calls: those of everybody.
            policy: its deadlines, of which none can be longer than a call.
            at_once: how many may run side by side.
        """
        self.sessions = 0
        self._calls = calls
        self._places = anyio.CapacityLimiter(at_once)
        longest = max(policy.read_seconds, policy.write_seconds, policy.export_seconds)
        self._seconds = longest + ANSWER_SECONDS + _MARGIN_SECONDS

    def middleware(self, sessions: SessionCount) -> ServerMiddleware[Any]:
        """What every message to one server of this caller passes."""

        async def handle(ctx: ServerRequestContext[Any, Any], call_next: CallNext) -> HandlerResult:
            if ctx.request_id is None:
                return await call_next(ctx)
            if ctx.method == _ENDLESS:
                with self._calls.listening():
                    return await call_next(ctx)
            if ctx.method == "initialize":
                self._count_session(ctx, sessions)
            return await self._counted(ctx, call_next)

        return handle

    async def _counted(
        self, ctx: ServerRequestContext[Any, Any], call_next: CallNext
    ) -> HandlerResult:
        self._calls.begin(ctx.method)
        try:
            if ctx.method in LIGHT:
                return await call_next(ctx)
            if ctx.method not in _HEAVY:
                return await self._bounded(ctx, call_next)
            borrower = await self._place()
            try:
                return await self._measured(ctx, call_next)
            finally:
                self._places.release_on_behalf_of(borrower)
        finally:
            self._calls.end()

    async def _measured(
        self, ctx: ServerRequestContext[Any, Any], call_next: CallNext
    ) -> HandlerResult:
        if ctx.method != "tools/call":
            return await self._bounded(ctx, call_next)
        with self._calls.measures.call((ctx.params or {}).get("name")) as measured:
            measured.result = result = await self._bounded(ctx, call_next)
            return result

    async def _bounded(
        self, ctx: ServerRequestContext[Any, Any], call_next: CallNext
    ) -> HandlerResult:
        with self._calls.unfinished.entered(self._seconds) as running:
            result = await call_next(ctx)
        if not running.cancelled_caught:
            return result
        if self._calls.unfinished.ended:
            raise MCPError(
                t.INTERNAL_ERROR,
                f"The call was ended, because the server has stopped. {READ_BACK}",
            )
        self._calls.measures.refused(Refusal.TOO_LONG)
        raise MCPError(
            t.INTERNAL_ERROR,
            f"The call was ended after {self._seconds:.0f} s, the most that one may take with all "
            f"its waits. {READ_BACK}",
        )

    async def _place(self) -> object:
        """Take one of the caller's places, now or soon.

        Raises:
            MCPError: the others run on.
        """
        borrower = object()
        try:
            self._places.acquire_on_behalf_of_nowait(borrower)
        except anyio.WouldBlock:
            await self._wait(borrower)
        return borrower

    async def _wait(self, borrower: object) -> None:
        with self._calls.unfinished.entered(PATIENCE_SECONDS) as waiting:
            await self._places.acquire_on_behalf_of(borrower)
        if not waiting.cancelled_caught:
            return
        if self._calls.unfinished.ended:
            raise self._calls.not_begun()
        self._calls.measures.refused(Refusal.CALLS_AT_ONCE)
        raise MCPError(
            _RETRIES_LATER,
            f"Nothing was sent: {self._places.total_tokens:.0f} calls of this caller are running, "
            "as many as this server allows at once. Call again when one of them has ended.",
        )

    @contextmanager
    def session(self, sessions: SessionCount) -> Generator[None]:
        """Count a session for as long as it is there."""
        self._add_session(sessions, 1)
        try:
            yield
        finally:
            self._add_session(sessions, -1)

    def _count_session(self, ctx: ServerRequestContext[Any, Any], sessions: SessionCount) -> None:
        # The SDK's session has no public name for what lasts as long as it does.
        connection = ctx.session._connection  # noqa: SLF001 # pyright: ignore[reportPrivateUsage]
        # One over SSE is counted with its stream, and one without an id ends with its request.
        if connection.session_id is not None and _COUNTED not in connection.state:
            connection.state[_COUNTED] = True
            self._add_session(sessions, 1)
            connection.exit_stack.callback(self._add_session, sessions, -1)

    def _add_session(self, sessions: SessionCount, step: int) -> None:
        self.sessions += step
        sessions.open += step
        self._calls.measures.sessions += step
