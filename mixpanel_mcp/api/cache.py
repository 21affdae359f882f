"""Read results kept for a short time, and equal reads in flight sent once."""

from collections import OrderedDict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from itertools import count
from typing import Protocol

import anyio

from mixpanel_mcp.api.activity import Wait, waiting_for
from mixpanel_mcp.api.errors import MixpanelError
from mixpanel_mcp.api.replies import Reply
from mixpanel_mcp.api.request import Request

MOST_BYTES = 32 * 1024 * 1024
LARGEST_REPLY = 4 * 1024 * 1024

Send = Callable[[], Awaitable[Reply]]


@dataclass(frozen=True)
class Answered:
    """A reply, and how old it is: None where it was asked for just now."""

    reply: Reply
    age_seconds: float | None = None


class SharedReads(Protocol):
    """Read results that one caller's servers on all replicas keep together."""

    @property
    def is_shared(self) -> bool:
        """Whether the others can be reached."""
        ...

    async def read(self, request: Request, send: Send, *, seconds: float, fresh: bool) -> Answered:
        """As `ReadCache.read`, for whom no equal read is under way in this process."""
        ...

    def forget(self, request: Request) -> None:
        """Drop a reply, soon."""
        ...


@dataclass(frozen=True)
class _Kept:
    """A reply, since when it is kept, and the number of the question it answers."""

    reply: Reply
    since: float
    asked: int


@dataclass
class _UnderWay:
    """A read that others wait for."""

    done: anyio.Event = field(default_factory=anyio.Event)
    answered: Answered | None = None
    error: MixpanelError | None = None


class ReadCache:
    """The reads of one connection. A write through the same connection empties it.

    Where they are shared, replies are kept there and not here; without the others, here again.
    """

    def __init__(
        self, seconds: float, clock: Callable[[], float], shared: SharedReads | None = None
    ) -> None:
        self._shared = shared
        self._seconds = seconds
        self._clock = clock
        self._kept: OrderedDict[Request, _Kept] = OrderedDict()
        self._bytes = 0
        self._in_flight: dict[Request, _UnderWay] = {}
        self._asked = count(1)
        self._written_after = 0

    async def read(self, request: Request, send: Send, *, fresh: bool) -> Answered:
        """Answer from what is kept, from an equal read under way, or by sending.

        Raises:
            MixpanelError: what `send` raised, for everybody who waited for it.
        """
        if fresh:
            return await self._send(request, send, fresh=True)
        while True:
            if (kept := self._find(request)) is not None:
                return kept
            if (under_way := self._in_flight.get(request)) is None:
                return await self._lead(request, send)
            with waiting_for(Wait.ANSWER):
                await under_way.done.wait()
            if under_way.error is not None:
                raise under_way.error
            if under_way.answered is not None:
                return under_way.answered
            # Its caller left before the answer: the next in line sends.

    def clear(self) -> None:
        """Forget everything: something was written, so what is kept may be wrong.

        Reads under way began before it, so nobody joins them any more.
        """
        self._kept.clear()
        self._bytes = 0
        self._in_flight.clear()
        self._written_after = next(self._asked)

    def forget(self, request: Request) -> None:
        self._drop(request)
        if self._shared is not None:
            self._shared.forget(request)

    async def _lead(self, request: Request, send: Send) -> Answered:
        """Send for everybody who asks the same meanwhile."""
        under_way = self._in_flight[request] = _UnderWay()
        try:
            under_way.answered = await self._send(request, send, fresh=False)
        except MixpanelError as error:
            under_way.error = error
            raise
        finally:
            if self._in_flight.get(request) is under_way:
                del self._in_flight[request]
            under_way.done.set()
        return under_way.answered

    async def _send(self, request: Request, send: Send, *, fresh: bool) -> Answered:
        if self._shared is not None and self._shared.is_shared:
            return await self._shared.read(request, send, seconds=self._seconds, fresh=fresh)
        asked = next(self._asked)
        reply = await send()
        # What was asked before a write and answered after it belongs to neither.
        if asked > self._written_after:
            self._keep(request, _Kept(reply, self._clock(), asked))
        return Answered(reply)

    def _drop(self, request: Request) -> None:
        if (kept := self._kept.pop(request, None)) is not None:
            self._bytes -= len(kept.reply.body)

    def _keep(self, request: Request, new: "_Kept") -> None:
        reply = new.reply
        if reply.status != 200 or not self._seconds or len(reply.body) > LARGEST_REPLY:
            return
        old = self._kept.get(request)
        if old is not None and old.asked > new.asked:
            return  # it came late, and a younger question is answered already
        self._drop(request)
        self._kept[request] = new
        self._bytes += len(reply.body)
        while self._bytes > MOST_BYTES:
            self._drop(next(iter(self._kept)))

    def _find(self, request: Request) -> Answered | None:
        found = self._kept.get(request)
        if found is None or (self._shared is not None and self._shared.is_shared):
            return None
        age = self._clock() - found.since
        if age >= self._seconds:
            self._drop(request)
            return None
        return Answered(found.reply, age)
