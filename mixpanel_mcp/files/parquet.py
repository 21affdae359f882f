"""Exports as Parquet, by DuckDB: from the files that were kept, within a bounded memory.

Columns of events: `event`, `distinct_id`, `time` (UTC, to the millisecond), `insert_id`,
`processed` (when Mixpanel took it in, milliseconds) and `properties`, all of them as JSON; of
profiles: `distinct_id` and `properties`. Chosen properties are columns of their own beside it,
NULL where a value is not of their type.
"""

from __future__ import annotations

import errno
import os
import shutil
from contextlib import contextmanager
from typing import TYPE_CHECKING, Literal

from mixpanel_mcp.files.inflating import Packer, Unpacker

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator, Mapping, Sequence
    from pathlib import Path

    from duckdb import DuckDBPyConnection

    from mixpanel_mcp.files.exports import Kind

ColumnType = Literal["text", "number", "boolean", "time"]

OWN_COLUMNS = frozenset({"event", "distinct_id", "time", "insert_id", "processed", "properties"})

_MEMORY = "320MB"
# An event has less than 1 MB (page "Import Events"); escapes make it longer. Buffers grow with it.
_LARGEST_OBJECT = 4 * 1024 * 1024
# Each thread holds groups of rows and what it reads; more threads take more than the memory.
_THREADS = 2
# DuckDB's usual count of rows would fill the memory where each has some kilobytes.
_GROUPED = "ROW_GROUP_SIZE 122880, ROW_GROUP_SIZE_BYTES 16777216"
_READ = 256 * 1024


class ConversionError(Exception):
    """A file cannot be read as an export; the text says where."""


class DuckDBMissingError(Exception):
    """Parquet, duplicates and questions need DuckDB."""


def write_parquet(
    source: Path, target: Path, kind: Kind, columns: Mapping[str, ColumnType]
) -> None:
    """Make a Parquet file of lines, in any order; they may be gzip, which only one thread reads.

    Raises:
        ConversionError: a line is no record.
        DuckDBMissingError: DuckDB is not installed.
        OSError: the disk is full, or the file cannot be made.
    """
    part = target.with_name(f"{target.name}.part")
    try:
        with _connection(target) as connection:
            connection.execute(
                f"COPY ({_selected(source, kind, columns)}) TO {quoted(str(part))}"
                f" (FORMAT parquet, COMPRESSION zstd, COMPRESSION_LEVEL 1, {_GROUPED})"
            )
        part.replace(target)
    finally:
        part.unlink(missing_ok=True)


def join_parquet(sources: Sequence[Path], target: Path) -> None:
    """Make one Parquet file of several with the same columns.

    Raises:
        ConversionError: they cannot be read.
        OSError: the disk is full, or the file cannot be made.
    """
    files = ", ".join(quoted(str(each)) for each in sources)
    part = target.with_name(f"{target.name}.part")
    try:
        with _connection(target) as connection:
            connection.execute(
                f"COPY (SELECT * FROM read_parquet([{files}])) TO {quoted(str(part))}"  # noqa: S608 - paths are quoted
                f" (FORMAT parquet, COMPRESSION zstd, COMPRESSION_LEVEL 1, {_GROUPED})"
            )
        part.replace(target)
    finally:
        part.unlink(missing_ok=True)


def remove_duplicates(source: Path) -> tuple[int, int, int]:
    """Leave each event once, by Mixpanel's key; keep what Mixpanel took in last.

    The key is event, distinct_id, time and `$insert_id` (page "Event Deduplication"). Time is part
    of it, so that copies lie in the same day's file. An event without an `$insert_id` has no key.

    Returns how many are left, how many were copies, and how many bytes are left, unpacked.

    Raises:
        ConversionError: a line is no event.
        DuckDBMissingError: DuckDB is not installed.
        OSError: the disk is full, or the file cannot be made.
    """
    copies = _copies(source)
    part = source.with_name(f"{source.name}.part")
    kept = size = 0
    packer = Packer() if source.name.endswith(".gz") else None
    try:
        with part.open("wb") as file:
            for number, line in enumerate(_whole_lines(source)):
                if number in copies:
                    continue
                kept += 1
                size += len(line)
                file.write(packer.take(line) if packer else line)
            if packer:
                file.write(packer.finish())
        part.replace(source)
    finally:
        part.unlink(missing_ok=True)
    return kept, len(copies), size


def quoted(text: str) -> str:
    """A text as SQL."""
    return "'" + text.replace("'", "''") + "'"


def named(name: str) -> str:
    """A name as SQL."""
    return '"' + name.replace('"', '""') + '"'


def _copies(source: Path) -> set[int]:
    """The numbers of the lines that came again later."""
    key = "event, properties->>'/distinct_id', properties->>'/time', properties->>'/$insert_id'"
    processed = "TRY_CAST(properties->>'/mp_processing_time_ms' AS BIGINT)"
    with _connection(source) as connection:
        # Rows shall come in the order of the lines.
        connection.execute("SET threads = 1")
        connection.execute("SET preserve_insertion_order = true")
        rows = connection.execute(f"""
            WITH numbered AS MATERIALIZED (
                SELECT row_number() OVER () - 1 AS line, hash({key}) AS short,
                    {processed} AS processed
                FROM {_lines(source, "events")}
            )
            SELECT line, short, processed FROM numbered WHERE short IN (
                SELECT short FROM numbered GROUP BY short HAVING count(*) > 1
            ) ORDER BY line
            """).fetchall()  # noqa: S608 - our own names
    suspects = {line: processed for line, _, processed in rows}
    return _confirmed(source, suspects)


def _confirmed(source: Path, suspects: Mapping[int, int | None]) -> set[int]:
    """Which of the lines with an equal hash are copies indeed."""
    import json  # noqa: PLC0415 - only where there are any

    latest: dict[str, tuple[int, int]] = {}
    copies: set[int] = set()
    if not suspects:
        return copies
    for number, line in enumerate(_whole_lines(source)):
        if number not in suspects:
            continue
        event = json.loads(line)
        properties = event["properties"]
        if properties.get("$insert_id") is None:
            continue
        parts = [properties.get(name) for name in ("distinct_id", "time", "$insert_id")]
        key = json.dumps([event["event"], *parts])
        moment = suspects[number] or 0
        before = latest.get(key)
        if before is None or moment >= before[0]:
            latest[key] = (moment, number)
            if before is not None:
                copies.add(before[1])
        else:
            copies.add(number)
    return copies


def _whole_lines(source: Path) -> Iterator[bytes]:
    """The lines with their breaks, blank ones left out."""
    rest = b""
    with source.open("rb") as file:
        unpacker = Unpacker() if source.name.endswith(".gz") else None
        while data := file.read(_READ):
            for piece in unpacker.take(data) if unpacker else (data,):
                lines = (rest + piece).split(b"\n")
                rest = lines.pop()
                yield from (line + b"\n" for line in lines if line.strip())
    if rest.strip():
        yield rest + b"\n"


def _lines(source: Path, kind: Kind) -> str:
    names = ("event", "properties") if kind == "events" else ("$distinct_id", "$properties")
    columns = f"{quoted(names[0])}: 'VARCHAR', {quoted(names[1])}: 'JSON'"
    packed = "gzip" if source.name.endswith(".gz") else "none"
    return (
        f"read_json({quoted(str(source))}, format = 'newline_delimited',"
        f" columns = {{{columns}}}, compression = '{packed}',"
        f" maximum_object_size = {_LARGEST_OBJECT})"
    )


def _selected(source: Path, kind: Kind, columns: Mapping[str, ColumnType]) -> str:
    """SQL for the records with their columns; each record's JSON is read once for all of them."""
    if kind == "events":
        own, column = _EVENT_PROPERTIES, "properties"
        first = {
            "event": "event",
            "distinct_id": "found[1]",
            "time": _moment("found[2]"),
            "insert_id": "found[3]",
            "processed": "TRY_CAST(found[4] AS BIGINT)",
        }
    else:
        own, column = (), '"$properties"'
        first = {"distinct_id": '"$distinct_id"'}
    pointers = [f"/{name.replace('~', '~0').replace('/', '~1')}" for name in (*own, *columns)]
    wanted = ", ".join(map(quoted, pointers))
    found = f"json_extract_string({column}, [{wanted}])" if pointers else "NULL"
    chosen = {
        name: _typed(f"found[{number}]", each)
        for number, (name, each) in enumerate(columns.items(), start=len(own) + 1)
    }
    select = {**first, "properties": column, **chosen}
    listed = ", ".join(f"{sql} AS {named(name)}" for name, sql in select.items())
    return f"SELECT {listed} FROM (SELECT *, {found} AS found FROM {_lines(source, kind)})"  # noqa: S608 - paths and names are quoted


_EVENT_PROPERTIES = ("distinct_id", "time", "$insert_id", "mp_processing_time_ms")


def _typed(value: str, column: ColumnType) -> str:
    match column:
        case "text":
            return value
        case "number":
            return f"TRY_CAST({value} AS DOUBLE)"
        case "boolean":
            return f"TRY_CAST({value} AS BOOLEAN)"
        case "time":
            return f"COALESCE({_moment(value)}, TRY_CAST({value} AS TIMESTAMP))"


def _moment(value: str) -> str:
    # Seconds and milliseconds cannot be mistaken: 1e11 seconds are the year 5138.
    number = f"TRY_CAST({value} AS DOUBLE)"
    scaled = f"CASE WHEN abs({number}) > 1e11 THEN {number} ELSE {number} * 1000 END"
    return f"make_timestamp_ms(TRY_CAST({scaled} AS BIGINT))"


@contextmanager
def _connection(beside: Path) -> Generator[DuckDBPyConnection]:
    """A connection that spills beside a file.

    Raises:
        DuckDBMissingError: DuckDB is not installed.
    """
    try:
        import duckdb  # noqa: PLC0415 - heavy, and an optional extra
    except ImportError as error:
        raise DuckDBMissingError from error
    spill = beside.with_name(f".{beside.name}.spill")
    connection = duckdb.connect(
        config={
            "memory_limit": _MEMORY,
            "temp_directory": str(spill),
            "threads": str(_THREADS),
            # An export has no order; to keep one, threads wait for each other with full hands.
            "preserve_insertion_order": "false",
            "autoinstall_known_extensions": "false",
            "autoload_known_extensions": "false",
        }
    )
    try:
        yield connection
    except duckdb.IOException as error:
        full = "No space" in str(error)
        # Its text has our own path and the system's reason.
        said = os.strerror(errno.ENOSPC) if full else str(error).split("\n", maxsplit=1)[0][:200]
        raise OSError(errno.ENOSPC if full else errno.EIO, said) from error
    except duckdb.Error as error:
        raise ConversionError(str(error).split("\n", maxsplit=1)[0][:300]) from error
    finally:
        connection.close()
        shutil.rmtree(spill, ignore_errors=True)
