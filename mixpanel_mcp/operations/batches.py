"""Many records in several requests: nothing doubled, nothing lost, every row accounted for."""

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import anyio

from mixpanel_mcp.api.errors import (
    MixpanelError,
    OutcomeUnknownError,
    UnavailableError,
    UnreachableError,
    UnreadableReplyError,
)
from mixpanel_mcp.api.regions import Family
from mixpanel_mcp.api.replies import Reply
from mixpanel_mcp.api.request import JSON, Credential, Pairs, Request, batches, json_body
from mixpanel_mcp.operation import Answer, Call, Status, Table
from mixpanel_mcp.operations.acknowledgement import read_acknowledgement

_MOST_RECORDS = 2_000
# The import page says 10 MB uncompressed; the specification's example of a 413 says 2 MB. A 413
# halves the batch.
_MOST_BYTES = 9_500_000


@dataclass(frozen=True)
class BatchResult:
    """What Mixpanel said of one batch; `rejected` maps places in it to (field, reason)."""

    accepted: int
    rejected: dict[int, tuple[str, str]] = field(default_factory=dict[int, tuple[str, str]])


@dataclass(frozen=True)
class _Batch:
    start: int
    records: Sequence[Any]
    request: Request


@dataclass
class Tally:
    """The sum over all batches, with places in the caller's array."""

    total: int
    accepted: int = 0
    rejected: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])
    unknown: list[int] = field(default_factory=list[int])
    not_taken: list[int] = field(default_factory=list[int])
    errors: list[MixpanelError] = field(default_factory=list[MixpanelError])

    @property
    def status(self) -> Status:
        if self.accepted >= self.total and not self.rejected:
            return Status.OK
        return Status.PARTIAL if self.accepted else Status.FAILED


async def send_in_batches(
    call: Call,
    records: Sequence[Any],
    *,
    build: Callable[[Sequence[Any]], Request],
    read: Callable[[Request, Reply, int], BatchResult],
    in_flight: int,
) -> Tally:
    """Send records in batches of at most 2,000, `in_flight` at a time.

    A batch that is too large is halved. After a failure no new batch is begun; what was not taken
    is listed, because whoever sends it again must know where to start.

    Args:
        call: the tool call; all batches are put before its guard together.
        records: what goes into the bodies, in the caller's order.
        build: makes the request for some of the records.
        read: reads the reply to a request with that many records.
        in_flight: 1 keeps the records' order.

    Raises:
        MixpanelError: what stopped it, where there was only one batch.
    """
    sizes = [len(json_body(record)) + 1 for record in records]
    waiting = deque(
        _Batch(part.start, records[part.start : part.stop], build(records[part.start : part.stop]))
        for part in batches(sizes, count=_MOST_RECORDS, size=_MOST_BYTES)
    )
    await call.authorize([batch.request for batch in waiting])
    tally, single = Tally(len(records)), len(waiting) == 1
    sender = _Sender(call, waiting, tally, build, read)
    async with anyio.create_task_group() as workers:
        for _ in range(min(in_flight, len(waiting))):
            workers.start_soon(sender.work)
    for batch in waiting:
        tally.not_taken.extend(_places(batch))
    if tally.errors and single:
        raise tally.errors[0]
    tally.rejected.sort(key=lambda row: row["index"])
    return tally


@dataclass
class _Sender:
    """What the workers of one call share."""

    call: Call
    waiting: deque[_Batch]
    tally: Tally
    build: Callable[[Sequence[Any]], Request]
    read: Callable[[Request, Reply, int], BatchResult]

    async def work(self) -> None:
        """Send what waits, until nothing does or something failed."""
        while self.waiting and not self.tally.errors:
            batch = self.waiting.popleft()
            try:
                await self._send(batch)
            except MixpanelError as error:
                self.tally.errors.append(error)
                unclear = may_have_arrived(error)
                places = self.tally.unknown if unclear else self.tally.not_taken
                places.extend(_places(batch))
            if self.tally.total > _MOST_RECORDS:
                done = _settled(self.tally)
                await self.call.progress(done, self.tally.total, "records sent")

    async def _send(self, batch: _Batch) -> None:
        reply = await self.call.send(batch.request)
        if reply.status == 413:
            halves = _halves(self.call, batch, self.build, self.tally)
            self.waiting.extendleft(reversed(halves))
        else:
            _count(self.tally, batch, self.read(batch.request, reply, len(batch.records)))


def ingestion_post(
    call: Call,
    path: str,
    query: Pairs,
    records: Sequence[Any],
    *,
    credential: Credential = Credential.NONE,
) -> Request:
    """A request that carries records to the ingestion host, as a JSON array."""
    return Request(
        family=Family.INGESTION,
        region=call.region,
        method="POST",
        path=path,
        query=query,
        body=json_body(list(records)),
        content_type=JSON,
        credential=credential,
    )


def acknowledged_batch(request: Request, reply: Reply, count: int) -> BatchResult:
    """Read a reply of the `/track` family: all or none, but for records named as rejected."""
    acknowledgement = read_acknowledgement(request, reply, count)
    if not acknowledgement.accepted:
        return BatchResult(0, dict.fromkeys(range(count), ("", acknowledgement.reason)))
    rejected = dict(acknowledgement.rejected)
    return BatchResult(max(0, count - len(rejected) - acknowledgement.misplaced), rejected)


def may_have_arrived(error: MixpanelError) -> bool:
    """Whether a batch that failed is neither sent nor unsent."""
    unclear = (OutcomeUnknownError, UnreadableReplyError, UnavailableError)
    return isinstance(error, unclear) and not isinstance(error, UnreachableError)


def _halves(
    call: Call,
    batch: _Batch,
    build: Callable[[Sequence[Any]], Request],
    tally: Tally,
) -> list[_Batch]:
    """Two batches for one that is too large; a single record that is too large is rejected."""
    if len(batch.records) == 1:
        _count(tally, batch, BatchResult(0, {0: ("", "is too large for Mixpanel")}))
        return []
    middle = len(batch.records) // 2
    parts = [
        _Batch(batch.start + start, part, build(part))
        for start, part in ((0, batch.records[:middle]), (middle, batch.records[middle:]))
    ]
    call.divide(batch.request, [part.request for part in parts])
    return parts


def _count(tally: Tally, batch: _Batch, result: BatchResult) -> None:
    tally.accepted += result.accepted
    for place, (name, reason) in result.rejected.items():
        tally.rejected.append({"index": batch.start + place, "field": name, "reason": reason})


def _places(batch: _Batch) -> range:
    return range(batch.start, batch.start + len(batch.records))


def _settled(tally: Tally) -> int:
    return tally.accepted + len(tally.rejected)


def answer_for(tally: Tally, headline: str, notes: Sequence[str], **more: Any) -> Answer:
    """Put a tally into an answer: the rejected rows as a table, the rest as counts and places."""
    unsaid = tally.total - _settled(tally) - len(tally.unknown) - len(tally.not_taken)
    notes = list(notes)
    if unsaid > 0:
        notes.append(f"Mixpanel said nothing of {unsaid} records")
    if tally.unknown:
        notes.append(f"{_spans(tally.unknown)} may or may not have arrived: {tally.errors[0]}")
    if tally.not_taken:
        notes.append(f"{_spans(tally.not_taken)} were not taken: {tally.errors[0]}")
    data = {
        "accepted": tally.accepted,
        "rejected": tally.rejected,
        "unknown": _runs(tally.unknown),
        "not_taken": _runs(tally.not_taken),
        **more,
    }
    table, said = None, tally.errors[0].said if tally.errors else ""
    if tally.rejected:
        rows = [[row["index"], row["field"], row["reason"]] for row in tally.rejected]
        table = Table(columns=["index", "field", "reason"], rows=rows)
    return Answer(
        headline=headline,
        data=data,
        table=table,
        text=said or None,
        notes=notes,
        status=tally.status,
        complete=tally.status is Status.OK,
        is_error=tally.status is not Status.OK,
    )


def _runs(places: Sequence[int]) -> list[list[int]]:
    """Runs of places as [first, last]."""
    runs: list[list[int]] = []
    for place in sorted(places):
        if runs and runs[-1][1] == place - 1:
            runs[-1][1] = place
        else:
            runs.append([place, place])
    return runs


def _spans(places: Sequence[int]) -> str:
    runs = [f"{first}" if first == last else f"{first}-{last}" for first, last in _runs(places)]
    return f"records {', '.join(runs)}"
