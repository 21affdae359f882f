"""What an import from a file needs to know of what it carries: events, or profile updates."""

import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from mixpanel_mcp.api.replies import Reply
from mixpanel_mcp.api.request import Repeat, Request
from mixpanel_mcp.files.records import MAYBE, Lines, Rejection
from mixpanel_mcp.operation import Load, Progress
from mixpanel_mcp.operations.batches import BatchResult

_MOST_NAMES = 1_000
# Ids that are remembered to find repetitions: some megabytes, however long the file is.
_REMEMBERED = 50_000
_SECONDS_BETWEEN_MESSAGES = 0.25


@dataclass
class Overview:
    """What a file holds, in bounded memory.

    `repeated` counts `$insert_id`s that stood in the same stretch of 50,000 events before.
    """

    names: Counter[str] = field(default_factory=Counter[str])
    earliest: int | None = None
    latest: int | None = None
    repeated: int = 0
    _seen: set[str] = field(default_factory=set[str])

    def add(
        self, names: Counter[str], span: tuple[int, int] | None, insert_ids: Sequence[str]
    ) -> None:
        """`span` is the earliest and the latest time, in milliseconds."""
        for name, count in names.items():
            known = name in self.names or len(self.names) < _MOST_NAMES
            self.names[name if known else "(other events)"] += count
        if span:
            self.earliest = min(span[0], span[0] if self.earliest is None else self.earliest)
            self.latest = max(span[1], self.latest or span[1])
        if len(self._seen) > _REMEMBERED:
            self._seen.clear()
        before = len(self._seen)
        self._seen.update(insert_ids)
        self.repeated += len(insert_ids) - (len(self._seen) - before)


@dataclass(frozen=True)
class Crate:
    """Rows of one request: unpacked records in `body`, and the places they come from."""

    body: bytes
    numbers: Sequence[int]
    repeat: Repeat
    rejected: Sequence[Rejection]

    def behind(self, done: int, freight: "Freight") -> "Crate":
        """The same without the rows up to a place."""
        if not self.numbers or self.numbers[0] > done:
            return self
        left = [index for index, number in enumerate(self.numbers) if number > done]
        rows = freight.rows(self.body)
        body = freight.joined([rows[index] for index in left])
        return Crate(body, [self.numbers[index] for index in left], self.repeat, self.rejected)

    def between(self, done: int, begun: int, freight: "Freight") -> list[Rejection]:
        """The rows behind one place, up to another, as rows of which nobody knows."""
        rows = zip(self.numbers, freight.rows(self.body), strict=True)
        return [Rejection(at, (MAYBE,), row) for at, row in rows if done < at <= begun]


class Seldom:
    """Tells of progress a few times a second: each message costs as much as a hundred events."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._told = 0.0

    async def __call__(self, done: float, every: float | None, message: str) -> None:
        now = time.monotonic()
        if now - self._told >= _SECONDS_BETWEEN_MESSAGES:
            self._told = now
            await self._progress(done, every, message)


class Freight(Protocol):
    """One kind of record: how it is checked, put into requests, and what replies mean.

    `in_flight` says how many requests may be under way, `noun` what a record is called.
    """

    noun: str
    in_flight: int
    options: dict[str, Any]

    def crate(self, load: Load, lines: Lines, overview: Overview) -> Crate:
        """Check some lines and weigh what would go out.

        Raises:
            RefusedError: a rule forbids it.
        """
        ...

    def joined(self, rows: Sequence[bytes]) -> bytes: ...

    def rows(self, body: bytes) -> list[bytes]: ...

    def packed(self, body: bytes) -> bytes: ...

    def unpacked(self, body: bytes) -> bytes: ...

    def request(self, body: bytes) -> Request:
        """The request with a packed body."""
        ...

    def read(self, request: Request, reply: Reply, count: int) -> BatchResult: ...
