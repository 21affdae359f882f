"""Mixpanel's rate limits, for those who switch them on.

Source: page `rate-limits`. Queries of one project share 60 an hour and 5 at once; a script of JQL
counts as one of them, so that its own 60 and 5 never bind first. Raw exports have 60 an hour, 3 a
second and 100 at once. Ingestion has 2 GB of uncompressed JSON and 30,000 events a second, over a
moving minute. Where the page is silent: a refused call counts nowhere, nor does one without valid
credentials; an export refused for its pace gets the text that is known for the 100 at once.
"""

from __future__ import annotations

import time
from collections import deque
from typing import TYPE_CHECKING, NamedTuple

from mixpanel_mcp.sandbox.rate_replies import too_many_exports, too_many_queries, too_much_data

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from mixpanel_mcp.sandbox.bodies import Submission

_HOUR = 3600.0
_MINUTE = 60.0

QUERIES_PER_HOUR = 60
QUERIES_AT_ONCE = 5
EXPORTS_PER_HOUR = 60
EXPORTS_PER_SECOND = 3
EXPORTS_AT_ONCE = 100
BYTES_PER_MINUTE = 2 * 1024**3
EVENTS_PER_MINUTE = 30_000 * 60


class _Taken(NamedTuple):
    time: float
    amount: int


class MovingWindow:
    """What was taken in the last so many seconds."""

    def __init__(self, most: int, seconds: float) -> None:
        self._most = most
        self._seconds = seconds
        self._taken: deque[_Taken] = deque()
        self._sum = 0

    def used(self, now: float) -> int:
        while self._taken and self._taken[0].time <= now - self._seconds:
            self._sum -= self._taken.popleft().amount
        return self._sum

    def has_room(self, now: float, amount: int = 1) -> bool:
        return self.used(now) + amount <= self._most

    def take(self, now: float, amount: int = 1) -> None:
        self._taken.append(_Taken(now, amount))
        self._sum += amount

    def give_back(self, taken_at: float) -> None:
        """Forget one that was taken then, unless the window has passed it by."""
        taken = _Taken(taken_at, 1)
        if taken in self._taken:
            self._taken.remove(taken)
            self._sum -= 1


class Allowance:
    """Calls in moving windows, and how many run at once."""

    def __init__(self, at_once: int, *windows: MovingWindow) -> None:
        self._at_once = at_once
        self._windows = windows
        self.running = 0

    def used(self, now: float) -> int:
        """Count those in the first window, which is the longest."""
        return self._windows[0].used(now)

    def begin(self, now: float) -> bool:
        if self.running >= self._at_once or not all(w.has_room(now) for w in self._windows):
            return False
        self.running += 1
        for window in self._windows:
            window.take(now)
        return True

    def end(self, begun_at: float, *, counts: bool) -> None:
        self.running -= 1
        if not counts:
            for window in self._windows:
                window.give_back(begun_at)


class RateLimits:
    """The counters of the one project. Touched only by the event loop."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.clock = clock
        self.clear()

    def clear(self) -> None:
        self.queries = Allowance(QUERIES_AT_ONCE, MovingWindow(QUERIES_PER_HOUR, _HOUR))
        self.exports = Allowance(
            EXPORTS_AT_ONCE,
            MovingWindow(EXPORTS_PER_HOUR, _HOUR),
            MovingWindow(EXPORTS_PER_SECOND, 1.0),
        )
        self._bytes = MovingWindow(BYTES_PER_MINUTE, _MINUTE)
        self._events = MovingWindow(EVENTS_PER_MINUTE, _MINUTE)

    def admit(self, path: str, submission: Submission) -> None:
        """Count what is to be ingested.

        Raises:
            RefusedError: it would be too much within a minute.
        """
        now, records = self.clock(), len(submission.records)
        if not self._bytes.has_room(now, submission.size) or (
            not self._events.has_room(now, records)
        ):
            raise too_much_data(path, strict=submission.switches.get("strict") == "1")
        self._bytes.take(now, submission.size)
        self._events.take(now, records)


class RateLimitsMiddleware:
    def __init__(self, app: ASGIApp, rate_limits: RateLimits) -> None:
        self.app = app
        self.rate_limits = rate_limits

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        path: str = scope.get("path", "")
        if path == "/api/2.0/export":
            await self._count(self.rate_limits.exports, scope, receive, send)
        elif path.startswith(("/api/query/", "/api/2.0/")) and "/nessie/" not in path:
            await self._count(self.rate_limits.queries, scope, receive, send)
        else:
            await self.app(scope, receive, send)

    async def _count(
        self, allowance: Allowance, scope: Scope, receive: Receive, send: Send
    ) -> None:
        now = self.rate_limits.clock()
        if not allowance.begin(now):
            await self._refuse(allowance, scope, receive, send)
            return
        statuses: list[int] = []

        async def noting_send(message: Message) -> None:
            if message["type"] == "http.response.start":
                statuses.append(message["status"])
            await send(message)

        try:
            await self.app(scope, receive, noting_send)
        finally:
            allowance.end(now, counts=not {401, 403} & {*statuses})

    async def _refuse(
        self, allowance: Allowance, scope: Scope, receive: Receive, send: Send
    ) -> None:
        if allowance is self.rate_limits.exports:
            response = too_many_exports()
        else:
            # As in the replies that are known, the refused call is among those counted.
            in_hour = allowance.used(self.rate_limits.clock()) + 1
            response = too_many_queries(scope, running=allowance.running + 1, in_hour=in_hour)
        await response(scope, receive, send)
