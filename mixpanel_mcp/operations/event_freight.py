"""Events on their way from a file to `/import`."""

import gzip
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from mixpanel_mcp.api.regions import Family
from mixpanel_mcp.api.replies import Reply
from mixpanel_mcp.api.request import NDJSON, Credential, Pairs, Repeat, Request, RetryRules
from mixpanel_mcp.files.event_lines import Checked, EventLines
from mixpanel_mcp.files.packing import packer
from mixpanel_mcp.files.records import Lines
from mixpanel_mcp.files.sources import Columns
from mixpanel_mcp.operation import Call, Load
from mixpanel_mcp.operations.arguments import BANNED_IDS
from mixpanel_mcp.operations.batches import BatchResult
from mixpanel_mcp.operations.event_records import in_milliseconds
from mixpanel_mcp.operations.file_rows import USUAL_COLUMNS, EventRows
from mixpanel_mcp.operations.freight import Crate, Overview
from mixpanel_mcp.operations.import_replies import imported_batch

_MOST_NAMES = 10_000
_MILLISECONDS = 10**11
# Of a 429 all requests must learn at once, so the pace repeats it; the rest is this request's own.
_RETRIES = RetryRules(retries=8, delay_seconds=None, on_rate_limit=False)


class EventFreight:
    """Lines that become gzipped bodies of NDJSON."""

    noun = "event"

    def __init__(
        self,
        call: Call,
        query: Pairs,
        credential: Credential,
        mapping: Mapping[str, str],
        default_event: str | None,
    ) -> None:
        rows = EventRows(mapping, default_event)
        self.in_flight = 4
        self.options: dict[str, Any] = {
            "path": "/import",
            "region": call.region.value,
            "query": query,
            "mapping": dict(mapping),
            "default_event": default_event,
        }
        self._call = call
        self._query = query
        self._credential = credential
        self._lines = EventLines(rows.completed, BANNED_IDS)
        self._pack = packer()
        # Names that the guard saw, and took for nothing but more events.
        self._plain: set[str] = set()

    def crate(self, load: Load, lines: Lines, overview: Overview) -> Crate:
        """Check lines, and put before the guard what stands for them."""
        checked = self._lines.check(lines.lines, lines.numbers)
        names = Counter(checked.names)
        overview.add(names, _span(checked.times), checked.insert_ids)
        repeat = self._weigh(load, checked, names)
        return Crate(checked.body, checked.numbers, repeat, checked.rejected)

    def _weigh(self, load: Load, checked: Checked, names: Mapping[str, int]) -> Repeat:
        """Judge one event of each name, all that are watched, and all that are final.

        To the guard, events of one name without a token are the same: each has an id and a time.
        """
        if not checked.names:
            return Repeat.SAFE
        if checked.watched or not names.keys() <= self._plain:
            return self._weigh_closely(load, checked, names)
        load.weigh(self._sample(checked.body[: checked.body.index(b"\n") + 1]), len(checked.names))
        return Repeat.SAFE

    def _weigh_closely(self, load: Load, checked: Checked, names: Mapping[str, int]) -> Repeat:
        lines, repeat = checked.lines(), Repeat.SAFE
        watched = set(checked.watched)
        closely = sorted(watched)
        for name in names:
            own = [index for index, each in enumerate(checked.names) if each == name]
            own = [index for index in own if index not in watched]
            if own and not self._is_plain(load, name, lines[own[0]], len(own)):
                closely += own
        for index in closely:
            permit = load.weigh(self._sample(lines[index] + b"\n"), 1)
            repeat = Repeat.UNSAFE if permit.repeat is Repeat.UNSAFE else repeat
        if repeat is Repeat.UNSAFE:
            self.in_flight = 1
        return repeat

    def _is_plain(self, load: Load, name: str, line: bytes, count: int) -> bool:
        sample = self._sample(line + b"\n")
        if name not in self._plain and not load.is_harmless(sample):
            return False
        if len(self._plain) >= _MOST_NAMES:
            self._plain.clear()
        self._plain.add(name)
        load.weigh(sample, count)
        return True

    def _sample(self, lines: bytes) -> Request:
        return self._post(lines, ())

    def joined(self, rows: Sequence[bytes]) -> bytes:
        return b"".join([row + b"\n" for row in rows])

    def rows(self, body: bytes) -> list[bytes]:
        return body.split(b"\n")[:-1]

    def packed(self, body: bytes) -> bytes:
        return self._pack(body)

    def unpacked(self, body: bytes) -> bytes:
        return gzip.decompress(body)

    def request(self, body: bytes) -> Request:
        return self._post(body, (("Content-Encoding", "gzip"),))

    def _post(self, body: bytes, headers: Pairs) -> Request:
        return Request(
            family=Family.INGESTION,
            region=self._call.region,
            method="POST",
            path="/import",
            query=self._query,
            headers=headers,
            body=body,
            content_type=NDJSON,
            credential=self._credential,
            retry=_RETRIES,
        )

    def read(self, request: Request, reply: Reply, count: int) -> BatchResult:
        return imported_batch(request, reply, count)


def columns_of(mapping: Mapping[str, str]) -> Columns:
    """How a table's columns are read: ids and names stay text, the time keeps its fractions."""
    chosen = {
        field: {mapping[field]} if field in mapping else set(usual)
        for field, usual in USUAL_COLUMNS.items()
    }
    texts = chosen["event"] | chosen["distinct_id"] | chosen["insert_id"]
    return Columns(frozenset(texts), frozenset(chosen["time"]))


def _span(times: Sequence[int]) -> tuple[int, int] | None:
    """The first and the last moment, in milliseconds, for times of either unit."""
    if not times:
        return None
    first, last = min(times), max(times)
    if first < _MILLISECONDS <= last:
        every = [in_milliseconds(each) for each in times]
        return min(every), max(every)
    return in_milliseconds(first), in_milliseconds(last)
