"""Raw events out: streamed line by line, counted to the last, and never called whole when cut."""

import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import BeforeValidator, Field

from mixpanel_mcp.api.errors import FailedError, InvalidArgumentsError, UnreadableReplyError
from mixpanel_mcp.api.regions import Family, endpoint
from mixpanel_mcp.api.request import Request, compact_json, pairs
from mixpanel_mcp.files.exports import Format
from mixpanel_mcp.files.growing import GrowingFile
from mixpanel_mcp.files.parquet import OWN_COLUMNS, ColumnType
from mixpanel_mcp.files.root import FilesRoot, OutsideError
from mixpanel_mcp.json_values import is_object
from mixpanel_mcp.operation import Answer, Call, Effect, InProject, Status, Table, operation
from mixpanel_mcp.operations.arguments import Day, Names, from_json
from mixpanel_mcp.operations.export_files import download_to_files
from mixpanel_mcp.operations.export_orders import Order
from mixpanel_mcp.sanitize import counted, quoted

_SHOWN_EVENTS = 200
_FIRST_EVENTS = 20
_LONGEST_LINE = 16 * 1024 * 1024
_LEADING_COLUMNS = ("time", "distinct_id")
_MOST_COLUMNS = 12

Columns = Annotated[
    dict[str, ColumnType],
    BeforeValidator(from_json),
    Field(json_schema_extra={"type": "object"}),
]


class DownloadData(InProject):
    """Arguments of download_data."""

    from_date: Day = Field(description="First day, YYYY-MM-DD.")
    to_date: Day = Field(description="Last day, included; not later than today in the project.")
    event_name: Names | None = Field(
        default=None, description="Only these events: a list, or one name."
    )
    where: str | None = Field(default=None, description='Filter: properties["plan"] == "pro".')
    limit: int | None = Field(default=None, ge=1, le=100_000, description="Most events to get.")
    gzip_encoding: bool = Field(default=True, description="Compress on the wire.")
    format: Format | None = Field(
        default=None,
        description="To files, day by day (one export each), resumable: many events, long spans.",
    )
    deduplicate: bool = Field(
        default=False, description="With format: each event once, by Mixpanel's key."
    )
    time_in_ms: bool | None = Field(
        default=None, description="time in milliseconds (default: in files of a format)."
    )
    columns: Columns = Field(
        default_factory=dict[str, ColumnType],
        description="With parquet: {property: type} as columns too; text number boolean time.",
    )


@operation(
    title="Download events",
    toolset="export",
    effect=Effect.READS,
    docs="export.openapi.yaml /export",
)
async def download_data(call: Call, args: DownloadData) -> Answer:
    """Download raw events of a range of days, as Mixpanel stores them.

    A few come back as a table. Many go to a file (NDJSON) on the server's machine, with path,
    count and the first ones. With format they become an export that query_export and
    analyze_export answer questions about. 60 exports an hour; duplicates are normal.
    """
    _check(args)
    if args.format is not None:
        return await download_to_files(call, _order(call, args, args.format))
    request = Request(
        family=Family.DATA,
        region=call.region,
        method="GET",
        path=endpoint(Family.DATA, "/export"),
        query=pairs(
            {
                "project_id": call.project(),
                "from_date": args.from_date,
                "to_date": args.to_date,
                "event": compact_json(args.event_name) if args.event_name else None,
                "where": args.where,
                "limit": args.limit,
                "time_in_ms": True if args.time_in_ms else None,
            }
        ),
        accept_gzip=args.gzip_encoding,
    )
    with _Received(call, args) as received:
        try:
            async with call.stream(request) as pieces:
                await received.take(pieces)
            received.finish()
        except FailedError as error:
            raise received.broken_off(error) from error
        except OSError as error:
            full = FailedError(f"The file could not be written to its end: {error.strerror}.")
            raise received.broken_off(full) from error
    return received.answer()


def _check(args: DownloadData) -> None:
    faults: list[str] = []
    if args.to_date < args.from_date:
        faults.append("to_date: lies before from_date")
    if args.format is None:
        faults += [
            f"{name}: needs format" for name in ("deduplicate", "columns") if getattr(args, name)
        ]
    elif args.limit is not None:
        faults.append("limit: an export to files of a format is whole; leave one of the two out")
    if args.columns and args.format not in {None, "parquet"}:
        faults.append("columns: only parquet has columns")
    faults += [
        f"columns: {quoted(name)} is a column of every export; it needs no second one"
        for name in args.columns
        if name.lower() in OWN_COLUMNS
    ]
    if faults:
        raise InvalidArgumentsError(faults)


def _order(call: Call, args: DownloadData, file_format: Format) -> Order:
    return Order(
        project=call.project(),
        region=call.region,
        from_date=args.from_date,
        to_date=args.to_date,
        events=args.event_name,
        where=args.where,
        format=file_format,
        deduplicate=args.deduplicate,
        time_in_ms=args.time_in_ms is not False,
        gzip_encoding=args.gzip_encoding,
        columns=args.columns,
    )


class _Received:
    """The events that came so far: the first ones in memory, all of them in a file if there is one.

    The file begins with the first event that the table would not hold, under a name that says it
    is not finished; only a proved end gives it its final name.
    """

    def __init__(self, call: Call, args: DownloadData) -> None:
        self._call = call
        self._args = args
        self._shown: list[bytes] = []
        self._root = call.files
        self._file: GrowingFile | None = None
        self._count = 0
        self._bytes = 0
        self._last_time: object = None

    async def take(self, pieces: AsyncIterator[bytes]) -> None:
        """Read to the end of the stream.

        Raises:
            UnreadableReplyError: a line that is no event, or an end that is none.
        """
        rest = b""
        async for piece in pieces:
            lines = (rest + piece).split(b"\n")
            rest = lines.pop()
            if len(rest) > _LONGEST_LINE:
                raise UnreadableReplyError("A line of the export does not end.")
            for line in lines:
                await self._line(line)
        # The last line may end with the stream; if it was cut in the middle it does not parse.
        await self._line(rest)

    async def _line(self, line: bytes) -> None:
        if not line.strip():
            return
        event = _event(line)
        if self._count < _SHOWN_EVENTS:
            self._shown.append(line)
        elif self._root is not None:
            self._write(self._root, line)
        self._count += 1
        self._bytes += len(line) + 1
        self._last_time = event["properties"].get("time", self._last_time)
        if self._count % 20_000 == 0:
            await self._call.progress(self._count, None, "events received")

    def _write(self, root: FilesRoot, line: bytes) -> None:
        if self._file is None:
            stem = f"export-{self._args.from_date}-{self._args.to_date}"
            try:
                self._file = GrowingFile(root, stem, "ndjson")
            except OutsideError as error:
                raise FailedError(f"The export could not be written to a file: {error}.") from error
            self._file.write(b"\n".join(self._shown) + b"\n")
        self._file.write(line + b"\n")

    def finish(self) -> None:
        """Say that the stream came to a proved end."""
        if self._file is not None:
            self._file.finish()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        """Leave no half file behind (cancelled, or a bug of ours), unless an error tells of it."""
        if kind is not None and not issubclass(kind, FailedError) and self._file is not None:
            self._file.discard()

    def broken_off(self, error: FailedError) -> FailedError:
        """The error that says what is there and what is missing."""
        if not self._count:
            return error
        there = f"{self._count} whole events are there"
        first = [_event(line) for line in self._shown[:_FIRST_EVENTS]]
        data: dict[str, Any] = {"events_received": self._count, "first_events": first, **error.data}
        if self._file is not None:
            self._file.abandon()
            data["incomplete_file"] = str(self._file.path)
            there += f", in {self._file.path.name}"
        return FailedError(
            f"The export is incomplete: {error} {there}, the last one from "
            f"{_moment(self._last_time)}; what should follow is missing. Call again for fewer days "
            "at a time, or with format: it goes day by day, and on from where it stopped.",
            data=data,
            said=error.said,
        )

    def answer(self) -> Answer:
        scope = {
            "from_date": self._args.from_date,
            "to_date": self._args.to_date,
            "time_zone": "UTC (projects from before 2023: the project's)",
        }
        if self._file is not None:
            return self._answer_with_file(self._file.path, scope)
        events = [_event(line) for line in self._shown]
        if self._count > _SHOWN_EVENTS:
            return self._answer_without_root(events[:_FIRST_EVENTS], scope)
        notes = self._limit_notes()
        if not events:
            notes.append(_nothing_found(self._args))
        return Answer(
            headline=f"{counted(self._count, 'event')}." if events else "No events in these days.",
            data={"events": events, "count": self._count, "bytes": self._bytes},
            table=_table(events, self._count),
            notes=notes,
            complete=not self._limit_notes(),
            scope=scope,
        )

    def _limit_notes(self) -> list[str]:
        reached = self._count == self._args.limit
        return ["the limit was reached: there may be more events"] if reached else []

    def _answer_with_file(self, path: Path, scope: dict[str, Any]) -> Answer:
        events = [_event(line) for line in self._shown[:_FIRST_EVENTS]]
        return Answer(
            headline=f"{self._count} events are in {path} ({self._bytes} bytes).",
            data={
                "path": str(path),
                "count": self._count,
                "bytes": self._bytes,
                "first_events": events,
            },
            table=_table(events, self._count),
            notes=self._limit_notes(),
            complete=not self._limit_notes(),
            scope=scope,
        )

    def _answer_without_root(self, events: list[dict[str, Any]], scope: dict[str, Any]) -> Answer:
        return Answer(
            headline=f"{self._count} events; only the first {len(events)} are here.",
            data={"events": events, "count": self._count, "bytes": self._bytes},
            table=_table(events, self._count),
            notes=[
                "more than fit into an answer go to a file, and no folder is set for files: ask "
                "the person to set MIXPANEL_MCP_FILES_ROOT (or --files-root) and to restart the "
                "server, or narrow the call (event_name, where, fewer days, limit)"
            ],
            status=Status.PARTIAL,
            complete=False,
            scope=scope,
        )


def _event(line: bytes) -> dict[str, Any]:
    """Read one event.

    Raises:
        UnreadableReplyError: the line is something else, and so the export is not what it should.
    """
    if line.strip() == b"terminated early":
        raise UnreadableReplyError("Mixpanel ended the export before its end (terminated early).")
    try:
        event: object = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise UnreadableReplyError("A line of the export is not JSON.") from error
    if is_object(event):
        fields = event
        if isinstance(fields.get("event"), str) and is_object(fields.get("properties")):
            return fields
    raise UnreadableReplyError("A line of the export is not an event.")


def _nothing_found(args: DownloadData) -> str:
    if args.event_name:
        return (
            "an empty export does not tell whether the names exist: they are case-sensitive, and "
            "an unknown name is no error"
        )
    return "nothing was stored in these days, or the filter matches nothing"


def _moment(value: object) -> str:
    if not isinstance(value, (int, float)):
        return "an unknown time"
    seconds = value / 1000 if value > 1e11 else value
    try:
        return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds")
    except (ValueError, OverflowError, OSError):
        return "an unknown time"


def _table(events: list[dict[str, Any]], total: int) -> Table:
    """Event, time and user first, then the properties that come first in the data."""
    names: dict[str, None] = {}
    for event in events:
        names.update(dict.fromkeys(event["properties"]))
    rest = [name for name in names if name not in _LEADING_COLUMNS][:_MOST_COLUMNS]
    columns = [*_LEADING_COLUMNS, *rest]
    rows = [
        [event["event"], *(event["properties"].get(name) for name in columns)] for event in events
    ]
    return Table(columns=["event", *columns], rows=rows, total=total)
