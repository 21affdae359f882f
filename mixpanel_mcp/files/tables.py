"""Tables in files: CSV and TSV row by row, Parquet through DuckDB; each row becomes a flat object.

CSV is read by Python's own module: what a cell is may depend on nothing but the cell, or the same
row would get another id in another file, and a reader that guesses types from a sample would turn
the id 007 into 7. DuckDB can leave every cell a text too, but it does not say on which line a row
ends, so a fault found later could not be placed; and it hands rows to Python at half the speed.
"""

import csv
import io
import json
import re
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from functools import partial
from typing import Any, TypeAlias, cast

from mixpanel_mcp.files.errors import UnreadableFileError
from mixpanel_mcp.files.records import Lines, Rejection, Unreadable
from mixpanel_mcp.files.unpacking import Buffered

_INTEGER = re.compile(r"-?(0|[1-9][0-9]{0,17})")
_NUMBER = re.compile(r"-?(0|[1-9][0-9]{0,17})(\.[0-9]{1,17})?([eE][+-]?[0-9]{1,2})?")
_MOMENT = re.compile(r"\d{4}-\d\d-\d\d[ T]\d\d:\d\d(:\d\d(\.\d{1,9})?)?(Z| ?[+-]\d\d:?\d\d)?")
_WORDS = {"true": True, "false": False}
_LONGEST_WORD = max(map(len, _WORDS))
_BEGIN_NUMBERS = frozenset("-0123456789")
_ROWS = 2_000
_DOCUMENT = "properties"

_Columns: TypeAlias = "Sequence[tuple[str, Callable[[str], Any]]]"


def pieces_of_csv(
    stream: Buffered, separator: str, texts: frozenset[str], moments: frozenset[str]
) -> Iterator[Lines | Unreadable]:
    """The rows of a table with a header; places are the numbers of the lines they end on.

    Args:
        stream: the file.
        separator: what stands between cells.
        texts: columns whose cells stay text, whatever they look like.
        moments: columns that hold the event's time.

    Raises:
        UnreadableFileError: the header cannot be used.
    """
    text = io.TextIOWrapper(stream, encoding="utf-8-sig", errors="surrogateescape", newline="")
    reader = csv.reader(text, delimiter=separator, strict=True)
    try:
        header = next(reader, list[str]())
    except csv.Error as error:
        raise UnreadableFileError(f"its header cannot be read: {error}") from error
    _check_header(header)
    columns = [(name, _reader(text=name in texts, moment=name in moments)) for name in header]
    while piece := _some_rows(reader, columns):
        yield from piece


def _reader(*, text: bool, moment: bool) -> Callable[[str], Any]:
    return str if text else partial(typed, moment=moment)


def _some_rows(reader: Any, columns: _Columns) -> list[Lines | Unreadable]:
    unreadable: list[Lines | Unreadable] = []
    numbers: list[int] = []
    lines: list[bytes] = []
    while len(lines) + len(unreadable) < _ROWS:
        cells: list[str] = []
        try:
            cells = next(reader)
            if cells:
                lines.append(_csv_line(columns, cells))
                numbers.append(reader.line_num)
        except StopIteration:
            break
        except (csv.Error, _CellsError) as error:
            unreadable.append(_unreadable(reader.line_num, str(error), cells))
        except UnicodeEncodeError:
            said = "is not UTF-8; write the file in UTF-8"
            unreadable.append(_unreadable(reader.line_num, said, cells))
    return [*unreadable, Lines(numbers, lines)] if lines else unreadable


class _CellsError(ValueError):
    pass


def _csv_line(columns: _Columns, cells: Sequence[str]) -> bytes:
    if len(cells) != len(columns):
        raise _CellsError(f"has {len(cells)} cells, and the header {len(columns)}")
    read = zip(columns, cells, strict=True)
    row = {name: value(cell) for (name, value), cell in read if cell}
    return _as_line(_with_document(row))


def _check_header(header: Sequence[str]) -> None:
    names = [name for name in header if name]
    if not names or len(names) != len(header) or len(set(names)) != len(names):
        raise UnreadableFileError("its first line must name every column, each name once")
    if any("\udc80" <= letter <= "\udcff" for name in names for letter in name):
        raise UnreadableFileError("its header is not UTF-8; write the file in UTF-8")


def _unreadable(line: int, reason: str, cells: Sequence[str]) -> Unreadable:
    row = json.dumps(cells).encode()
    return Unreadable(Rejection(line, (("", reason),), row))


def typed(cell: str, *, moment: bool = False) -> Any:
    """A cell's value by its looks: numbers, true and false, moments as ISO texts in UTC."""
    if cell[:1] not in _BEGIN_NUMBERS:
        return _WORDS.get(cell.lower(), cell) if len(cell) <= _LONGEST_WORD else cell
    if _INTEGER.fullmatch(cell):
        return int(cell)
    if _NUMBER.fullmatch(cell):
        return float(cell)
    if not moment and _MOMENT.fullmatch(cell):
        return _iso(cell)
    return cell


def _iso(cell: str) -> str:
    try:
        return _moment(datetime.fromisoformat(cell.replace(" +", "+").replace(" -", "-")))
    except ValueError:
        return cell


def _moment(value: datetime) -> str:
    # As the data-type page has dates: UTC, to the second, without an offset.
    aware = value.astimezone(UTC) if value.tzinfo else value
    return aware.strftime("%Y-%m-%dT%H:%M:%S")


def pieces_of_parquet(path: str, moments: frozenset[str]) -> Iterator[Lines | Unreadable]:
    """The rows of a Parquet file; places count from 1.

    Raises:
        UnreadableFileError: it is none, or DuckDB is not installed.
    """
    try:
        import duckdb  # noqa: PLC0415 - 40 MB that only Parquet needs
    except ImportError:
        raise UnreadableFileError(
            "Parquet needs DuckDB: install mixpanel-mcp[files], or write the file as NDJSON"
        ) from None
    settings: dict[str, str | bool | int | float | list[str]] = {
        "memory_limit": "256MB",
        "threads": 1,
        "autoload_known_extensions": False,
    }
    with duckdb.connect(":memory:", config=settings) as database:
        # From here on it can read this one file, and nothing else.
        database.execute("SET allowed_paths = [$path]", {"path": path})
        database.execute("SET enable_external_access = false")
        database.execute("SET lock_configuration = true")
        try:
            names = _select_all(database, path)
            first = 1
            while rows := database.fetchmany(_ROWS):
                records = [dict(zip(names, row, strict=True)) for row in rows]
                yield from _parquet_rows(first, records, moments)
                first += len(rows)
        except duckdb.Error as error:
            said = str(error).split("\n", maxsplit=1)[0].replace(path, "the file")
            raise UnreadableFileError(f"it cannot be read as Parquet: {said:.200}") from error


def _select_all(database: Any, path: str) -> list[str]:
    """Begin to read all columns, moments with a zone as moments in UTC; returns their names."""
    described = "DESCRIBE SELECT * FROM read_parquet($path)"
    columns = database.execute(described, {"path": path}).fetchall()
    chosen = [
        _quoted(name) + ("::TIMESTAMP" if kind == "TIMESTAMP WITH TIME ZONE" else "")
        for name, kind, *_ in columns
    ]
    query = f"SELECT {', '.join(chosen)} FROM read_parquet($path)"  # noqa: S608 - quoted names
    database.execute(query, {"path": path})
    return [name for name, *_ in columns]


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _parquet_rows(
    first: int, records: Sequence[dict[str, Any]], moments: frozenset[str]
) -> Iterator[Lines | Unreadable]:
    numbers: list[int] = []
    lines: list[bytes] = []
    for number, record in enumerate(records, first):
        try:
            plain = {
                name: _plain(value, whole=name in moments)
                for name, value in record.items()
                if value is not None
            }
            lines.append(_as_line(_with_document(plain)))
            numbers.append(number)
        except (ValueError, RecursionError):
            fault = ("", "has a value that JSON cannot carry")
            yield Unreadable(Rejection(number, (fault,), str(record)[:1000].encode()))
    if lines:
        yield Lines(numbers, lines)


def _plain(value: Any, *, whole: bool = False) -> Any:
    """A value of DuckDB's as JSON has it; `whole` keeps a moment's fractions."""
    if isinstance(value, dict):
        items = cast("dict[Any, Any]", value).items()
        return {str(name): _plain(item) for name, item in items}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in cast("list[Any]", value)]
    return _scalar(value, whole=whole)


def _scalar(value: Any, *, whole: bool) -> Any:
    if isinstance(value, datetime):
        return value.isoformat() if whole else _moment(value)
    if isinstance(value, Decimal):
        return int(value) if value == value.to_integral_value() else float(value)
    if isinstance(value, bytes):
        return value.decode()
    return value if isinstance(value, (bool, int, float, str)) or value is None else str(value)


def _with_document(row: dict[str, Any]) -> dict[str, Any]:
    """A column `properties` that holds JSON is the event's properties, as exports have it."""
    held = row.get(_DOCUMENT)
    if isinstance(held, str) and held.startswith("{"):
        try:
            return {**row, _DOCUMENT: json.loads(held)}
        except (ValueError, RecursionError):
            return row
    return row


_row = json.JSONEncoder(ensure_ascii=False, allow_nan=False)


def _as_line(row: dict[str, Any]) -> bytes:
    return _row.encode(row).encode() + b"\n"
