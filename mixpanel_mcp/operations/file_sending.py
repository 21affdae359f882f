"""The second half of an import: what was judged goes out, and every row is accounted for."""

import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import anyio

from mixpanel_mcp.api.errors import (
    FailedError,
    MixpanelError,
    RateLimitedError,
)
from mixpanel_mcp.api.replies import Reply
from mixpanel_mcp.files.checkpoint import Standing
from mixpanel_mcp.files.errors import OutsideError
from mixpanel_mcp.files.records import MAYBE, Rejection
from mixpanel_mcp.files.rejects import Rejects, count_reason
from mixpanel_mcp.files.spool import Kept
from mixpanel_mcp.operation import Call, Load, Progress
from mixpanel_mcp.operations.batches import may_have_arrived
from mixpanel_mcp.operations.file_scan import Scanned
from mixpanel_mcp.operations.freight import Freight

_SECONDS_BETWEEN_SAVES = 0.25
_TOO_LARGE = ("", "is too large for Mixpanel")
_NOT_SENT = ("", "was not sent: the import stopped after another part of its request had gone in")


@dataclass
class _Outcome:
    """What became of one body; of the rows in `unclear` nobody knows."""

    accepted: int = 0
    rejected: list[Rejection] = field(default_factory=list[Rejection])
    unclear: list[Rejection] = field(default_factory=list[Rejection])

    def take(self, other: "_Outcome") -> None:
        self.accepted += other.accepted
        self.rejected += other.rejected
        self.unclear += other.unclear

    def behind(self) -> list[Rejection]:
        """The rows that stay behind, in the file's order."""
        return sorted([*self.rejected, *self.unclear], key=lambda each: each.line)


@dataclass
class Sending:
    """Sends one scanned file.

    `reasons` counts Mixpanel's rejections, `steps` are the steps of progress that were made before
    and all there are, `error` is what stopped it.
    """

    call: Call
    load: Load
    freight: Freight
    scanned: Scanned
    rejects: Rejects
    standing: Standing
    reasons: Counter[str]
    steps: tuple[int, int]
    progress: Progress
    error: MixpanelError | None = None
    _settled: dict[int, _Outcome] = field(default_factory=dict[int, _Outcome])
    _next: int = 0
    _saved: float = 0.0
    _bodies: Sequence[Kept] = ()

    async def run(self) -> None:
        """Send what waits; afterwards the standing says how far it came."""
        self._bodies = list(self.scanned.spool)
        self._save()
        waiting = iter(enumerate(self._bodies))
        async with anyio.create_task_group() as workers:
            for _ in range(min(self.freight.in_flight, len(self._bodies))):
                workers.start_soon(self._work, waiting)
        if self.error is None and self.standing.repeatable:
            self.scanned.checkpoint.remove()
        else:
            # What counts each time keeps it to its end and beyond: should the answer be lost, the
            # same call again finds that everything was sent.
            self._save()

    async def _work(self, waiting: Iterator[tuple[int, Kept]]) -> None:
        while self.error is None and (following := next(waiting, None)) is not None:
            index, kept = following
            try:
                await self._settle(index, kept)
            except MixpanelError as error:
                self.error = self.error or error
            except (OSError, OutsideError) as error:
                self.error = self.error or FailedError(
                    f"The import stopped: what became of its rows cannot be written "
                    f"({getattr(error, 'strerror', None) or error}). Make room, and call again."
                )

    async def _settle(self, index: int, kept: Kept) -> None:
        body = self.scanned.spool.body(kept)
        unsafe = not kept.repeatable
        if unsafe:
            self.standing.begun, self.standing.repeatable = kept.last, False
            self._save()
        places = self.scanned.spool.numbers(kept)
        try:
            outcome = await self._send(body, kept.unpacked, places, unsafe=unsafe)
        except MixpanelError as error:
            if not unsafe or not may_have_arrived(error):
                self.standing.begun = self.standing.done if unsafe else self.standing.begun
                raise
            self.error = error
            rows = self.freight.rows(self.freight.unpacked(body))
            outcome = _Outcome(unclear=_all_with(MAYBE, places, rows))
        self._settled[index] = outcome
        self._advance()
        before, every = self.steps
        said = f"{self.standing.sent} of {self.scanned.read} {self.freight.noun}s settled"
        await self.progress(before + self.standing.sent, every, said)

    async def _send(
        self, body: bytes, unpacked: int, numbers: Sequence[int], *, unsafe: bool
    ) -> _Outcome:
        request = self.freight.request(body)
        reply = await self._answered(body, unpacked, len(numbers))
        if reply.status == 413:
            return await self._in_halves(body, numbers, unsafe=unsafe)
        result = self.freight.read(request, reply, len(numbers))
        if not result.rejected:
            return _Outcome(result.accepted)
        rows = self.freight.rows(self.freight.unpacked(body))
        rejected = [
            Rejection(numbers[place], (why,), rows[place]) for place, why in result.rejected.items()
        ]
        return _Outcome(result.accepted, rejected)

    async def _answered(self, body: bytes, unpacked: int, count: int) -> Reply:
        """Send until something else than a 429 comes back; all requests wait for it together."""
        pace, rate = self.call.client.pace, self.call.policy.import_rate
        while True:
            begun = await pace.turn(count, unpacked, rate)
            try:
                reply = await self.call.send_load(self.freight.request(body))
            except RateLimitedError as error:
                if not pace.refused(begun, error.asked_seconds):
                    raise
            else:
                pace.taken(begun)
                return reply

    async def _in_halves(self, body: bytes, numbers: Sequence[int], *, unsafe: bool) -> _Outcome:
        rows = self.freight.rows(self.freight.unpacked(body))
        if len(rows) == 1:
            return _Outcome(rejected=[Rejection(numbers[0], (_TOO_LARGE,), rows[0])])
        middle = len(rows) // 2
        outcome = _Outcome()
        unpacked = [self.freight.joined(part) for part in (rows[:middle], rows[middle:])]
        parts = [self.freight.packed(part) for part in unpacked]
        self.load.divide(body, parts)
        outcome.take(await self._send(parts[0], len(unpacked[0]), numbers[:middle], unsafe=unsafe))
        if unsafe:
            outcome.take(
                await self._second_half(parts[1], rows[middle:], len(unpacked[1]), numbers[middle:])
            )
        else:
            outcome.take(
                await self._send(parts[1], len(unpacked[1]), numbers[middle:], unsafe=False)
            )
        return outcome

    async def _second_half(
        self, body: bytes, rows: Sequence[bytes], unpacked: int, numbers: Sequence[int]
    ) -> _Outcome:
        """Send what may not be sent twice; where it fails, the first half has gone in already."""
        if self.error is not None:
            return _Outcome(rejected=_all_with(_NOT_SENT, numbers, rows))
        try:
            return await self._send(body, unpacked, numbers, unsafe=True)
        except MixpanelError as error:
            self.error = error
            if may_have_arrived(error):
                return _Outcome(unclear=_all_with(MAYBE, numbers, rows))
            return _Outcome(rejected=_all_with(_NOT_SENT, numbers, rows))

    def _advance(self) -> None:
        """Count what is settled without a gap before it, and write its rejected rows down."""
        standing = self.standing
        while (outcome := self._settled.get(self._next)) is not None:
            kept = self._bodies[self._next]
            if behind := outcome.behind():
                # On a full disk it stays unsettled, and so does everything behind it.
                self.rejects.write(b"".join(each.as_line() for each in behind))
                standing.rejected_bytes = self.rejects.bytes
            del self._settled[self._next]
            self._next += 1
            for each in outcome.rejected:
                count_reason(self.reasons, *each.faults[0])
            standing.unclear += len(outcome.unclear)
            standing.accepted += outcome.accepted
            standing.sent += kept.count
            standing.done = standing.begun = kept.last
        standing.refused = dict(self.reasons)
        if time.monotonic() - self._saved > _SECONDS_BETWEEN_SAVES:
            self._save()

    def _save(self) -> None:
        self.scanned.checkpoint.save(self.standing)
        self._saved = time.monotonic()


def _all_with(
    fault: tuple[str, str], places: Sequence[int], rows: Sequence[bytes]
) -> list[Rejection]:
    return [Rejection(place, (fault,), row) for place, row in zip(places, rows, strict=True)]
