"""Places for those that may run at once, given by turns to the callers that wait."""

import asyncio
from collections import OrderedDict, deque
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager


class FairPlaces:
    """So many places; callers that wait have their turns one after the other.

    However many of one caller are in line, one of another waits for a single turn of that caller.
    Those of one caller are let in as they came.
    """

    def __init__(self, places: int) -> None:
        self._free = places
        # Whoever is in line has waiting ones, and the first has the next turn. A place that comes
        # free is handed on, so none is free while somebody waits.
        self._lines: OrderedDict[object, deque[asyncio.Event]] = OrderedDict()

    @asynccontextmanager
    async def held_by(self, caller: object) -> AsyncGenerator[None]:
        """Hold a place, now or when it is the caller's turn."""
        await self._enter(caller)
        try:
            yield
        finally:
            self._leave()

    async def _enter(self, caller: object) -> None:
        if self._free:
            self._free -= 1
            return
        let_in = asyncio.Event()
        self._lines.setdefault(caller, deque()).append(let_in)
        try:
            await let_in.wait()
        except asyncio.CancelledError:
            if let_in.is_set():
                self._leave()
            else:
                self._forget(caller, let_in)
            raise

    def _leave(self) -> None:
        if not self._lines:
            self._free += 1
            return
        caller, line = self._lines.popitem(last=False)
        line.popleft().set()
        if line:
            self._lines[caller] = line

    def _forget(self, caller: object, waiting: asyncio.Event) -> None:
        line = self._lines[caller]
        line.remove(waiting)
        if not line:
            del self._lines[caller]
