"""What is known of a connection's pipelines or funnels, for lists that may not wait."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence

from mixpanel_mcp.api.errors import MixpanelError
from mixpanel_mcp.resources.background import Background
from mixpanel_mcp.resources.entries import Entry

# Whoever comes first waits this long for Mixpanel; all others answer from what is known.
FIRST_WAIT_SECONDS = 1.5

# Listing funnels is one of the project's 60 queries an hour, so it happens six times at most.
_REFRESH_SECONDS = 600.0
# After a failure, and twice as long after each that follows.
_RETRY_SECONDS = 180.0
_LONGEST_RETRY_SECONDS = 3600.0

Clock = Callable[[], float]


class Shelf:
    """The last good listing of one kind, refreshed in the background when somebody looks.

    `changed` is called when what was handed out is no longer true.
    """

    def __init__(
        self,
        fetch: Callable[[], Awaitable[Sequence[Entry]]],
        changed: Callable[[], None],
        background: Background,
        clock: Clock = time.monotonic,
    ) -> None:
        self._fetch = fetch
        self._changed = changed
        self._background = background
        self._clock = clock
        self.entries: tuple[Entry, ...] = ()
        self._handed_out: tuple[Entry, ...] | None = None
        self.is_known = False
        self._due = float("-inf")
        self._first_until: float | None = None
        self._version = 0
        self._retry_seconds = _RETRY_SECONDS
        self._task: asyncio.Task[None] | None = None

    def look(self) -> tuple[Entry, ...]:
        """What is known now; starts a refresh where one is due."""
        self._refresh()
        return self.entries

    async def first(self) -> None:
        """Wait for the first listing, but only so long after it was begun."""
        self._refresh()
        if self.is_known or self._task is None or self._first_until is None:
            return
        await asyncio.wait({self._task}, timeout=max(0.0, self._first_until - self._clock()))

    def hand_out(self) -> tuple[Entry, ...]:
        """What a client is told there is."""
        self._handed_out = self.entries
        return self.entries

    def put(self, entries: Sequence[Entry]) -> None:
        """Take a listing that somebody got anyway; it saves a refresh."""
        self._version += 1
        self._store(entries)

    def amend(self, *, add: Sequence[Entry] = (), remove: Sequence[str] = ()) -> None:
        """Follow a change of ours, and look again soon: what is under way saw the time before."""
        self._version += 1
        self._due = self._clock()
        there = {entry.key for entry in self.entries}
        kept = [entry for entry in self.entries if entry.key not in remove]
        self.entries = (*kept, *(entry for entry in add if entry.key not in there))
        self._handed_out = None if self._handed_out is None else self.entries

    def expire(self) -> None:
        """Look again soon: something changed that nobody described."""
        self._version += 1
        self._due = self._clock()

    def _refresh(self) -> None:
        if self._task is not None or self._clock() < self._due:
            return
        if self._first_until is None:
            self._first_until = self._clock() + FIRST_WAIT_SECONDS
        self._due = self._clock() + _RETRY_SECONDS
        self._task = self._background.start(self._fetched())

    async def _fetched(self) -> None:
        version = self._version
        try:
            entries = await self._fetch()
        except MixpanelError:
            self._failed(version)  # and the last good listing holds
            return
        finally:
            self._task = None
        if version == self._version:
            self._store(entries)

    def _failed(self, version: int) -> None:
        if version != self._version:
            return  # what was put or amended meanwhile says itself when to look again
        self._due = self._clock() + self._retry_seconds
        self._retry_seconds = min(_LONGEST_RETRY_SECONDS, 2 * self._retry_seconds)

    def _store(self, entries: Sequence[Entry]) -> None:
        self.entries = tuple(entries)
        self.is_known = True
        self._retry_seconds = _RETRY_SECONDS
        self._due = self._clock() + _REFRESH_SECONDS
        # Another order is no news.
        if self._handed_out is not None and set(self._handed_out) != set(self.entries):
            self._handed_out = self.entries
            self._changed()
