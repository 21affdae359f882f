"""Progress notifications: whatever takes longer than a moment says what it waits for.

The protocol wants each number to be greater than the one before it. So there is one sequence for a
request, which takes what an operation reports of itself (events received, records sent) and what
the clock adds in between.
"""

import time
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, cast

import anyio
from mcp.server.context import CallNext, HandlerResult, ServerRequestContext

from mixpanel_mcp.api.activity import Activity
from mixpanel_mcp.operation import Progress

# Small beside a record or an event, which is what operations count.
_STEP = 0.001
_METHODS = {"tools/call", "resources/read"}


@dataclass(frozen=True)
class Rhythm:
    """When a sign of life is due; handed in so that tests need not wait."""

    first_seconds: float = 2.0
    every_seconds: float = 5.0
    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], Awaitable[None]] = anyio.sleep


class ProgressSequence:
    """The notifications of one request, each with a greater number than the one before."""

    def __init__(self, send: Progress, rhythm: Rhythm) -> None:
        self._send = send
        self._rhythm = rhythm
        self._activity = Activity(rhythm.clock)
        self._begun = rhythm.clock()
        self._last = 0.0
        self._total: float | None = None
        self._counts = False
        self._in_order = anyio.Lock()

    async def report(self, progress: float, total: float | None, message: str) -> None:
        """Pass on what an operation says of itself."""
        async with self._in_order:
            self._counts = True
            await self._notify(progress, total, message)

    @asynccontextmanager
    async def ticking(self) -> AsyncGenerator[None]:
        """Give signs of life while the body runs."""
        token = _current.set(self)
        try:
            with self._activity.opened():
                async with anyio.create_task_group() as beside:
                    beside.start_soon(self._tick)
                    yield
                    beside.cancel_scope.cancel()
        except BaseExceptionGroup as group:
            # The body is all that can fail, and its caller knows nothing of a group.
            error = cast("BaseException", group.exceptions[0])  # pyright: ignore[reportUnknownMemberType]
            raise error from error.__cause__
        finally:
            _current.reset(token)

    async def _tick(self) -> None:
        await self._rhythm.sleep(self._rhythm.first_seconds)
        while True:
            async with self._in_order:
                await self._sign_of_life()
            await self._rhythm.sleep(self._rhythm.every_seconds)

    async def _sign_of_life(self) -> None:
        # Seconds are all there is to count, until an operation counts something better.
        seconds = self._rhythm.clock() - self._begun
        await self._notify(0 if self._counts else seconds, self._total, self._activity.shown())

    async def _notify(self, progress: float, total: float | None, message: str) -> None:
        self._last = max(progress, self._last + _STEP)
        self._total = total
        reachable = total if total is not None and self._last <= total else None
        await self._send(self._last, reachable, message)


_current: ContextVar[ProgressSequence | None] = ContextVar("progress", default=None)


async def report_progress(progress: float, total: float | None, message: str) -> None:
    """Report from inside a request, in the request's own sequence."""
    sequence = _current.get()
    if sequence is not None:
        await sequence.report(progress, total, message)


class SignsOfLife:
    """Middleware: requests that may take long report while they run.

    Where a client gave no progress token the SDK drops what is reported, so over HTTP nothing is.
    In process there may be a listener without a token.
    """

    def __init__(self, rhythm: Rhythm) -> None:
        self._rhythm = rhythm

    async def __call__(
        self, ctx: ServerRequestContext[Any, Any], call_next: CallNext
    ) -> HandlerResult:
        if ctx.method not in _METHODS or not _may_be_heard(ctx):
            return await call_next(ctx)
        async with ProgressSequence(ctx.session.report_progress, self._rhythm).ticking():
            return await call_next(ctx)


def _may_be_heard(ctx: ServerRequestContext[Any, Any]) -> bool:
    return ctx.request is None or "progress_token" in (ctx.meta or {})
