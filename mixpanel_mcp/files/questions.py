"""Questions over exports, answered in a process of their own.

SQL comes from a model, that is, possibly from an attacker. It runs on a connection that sees the
export's Parquet files and nothing else, in a process with a bounded memory that holds no secret and
is ended when its time is up. What a connection cannot bound (a text of gigabytes, made by one
function) the process does.
"""

from __future__ import annotations

import json
import os
import sys
import threading
from collections.abc import Mapping, Sequence
from datetime import date, datetime, time
from decimal import Decimal
from math import isfinite
from typing import TYPE_CHECKING, Any

from mixpanel_mcp.analytics.exported import exported_store
from mixpanel_mcp.files.parquet import quoted
from mixpanel_mcp.files.reports import report
from mixpanel_mcp.json_values import is_list, is_object

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

MOST_BYTES = 2_000_000
"""Of an answer; rows beyond it are left out."""
LONGEST_QUESTION = 4_000_000
_LONGEST_CELL = 10_000
_LONGEST_NAME = 1_000
_LONGEST_ERROR = 2_000
_LARGEST_WHOLE = 2**53
_MEMORY = "512MB"
_MOST_DATA = 1536 * 1024 * 1024
_IDLE_SECONDS = 60.0
_PIECE = 200
_SAMPLE = 20_000
_MOST_PROPERTIES = 200


_NO_ZONES = "A time with a zone cannot be shown: cast it, as in now()::TIMESTAMP (which is UTC)."
_TOO_LARGE = "A value is too large to be shown: cast it to VARCHAR."


class QuestionError(Exception):
    """The question cannot be answered; the text is DuckDB's or ours, and may quote data."""


def main() -> None:
    """Answer a question a line until there are no more for a while."""
    _bound_memory()
    while True:
        idle = threading.Timer(_IDLE_SECONDS, os._exit, [0])
        idle.daemon = True
        idle.start()
        line = sys.stdin.buffer.readline(LONGEST_QUESTION)
        idle.cancel()
        if not line.endswith(b"\n"):
            return
        answer = json.dumps(_answered(json.loads(line)), ensure_ascii=False, default=str)
        sys.stdout.buffer.write(answer.encode("utf-8", "replace") + b"\n")
        sys.stdout.buffer.flush()


def _bound_memory() -> None:
    try:
        import resource  # noqa: PLC0415 - absent on Windows, where DuckDB's own limit is all
    except ImportError:
        return
    resource.setrlimit(resource.RLIMIT_DATA, (_MOST_DATA, _MOST_DATA))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    # No byte goes into any file, whatever a query finds to try.
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))


def _answered(question: Mapping[str, Any]) -> dict[str, Any]:
    import duckdb  # noqa: PLC0415 - an optional extra, and this process's own

    try:
        _check_characters(question)
        return {"ok": _answer(question)}
    except (QuestionError, ValueError) as error:
        text = str(error)
    except duckdb.Error as error:
        # It may quote a text of any length.
        text = str(error)[:_LONGEST_ERROR]
        text = _NO_ZONES if "'pytz'" in text else text
    except OverflowError:
        text = _TOO_LARGE
    except MemoryError:
        text = "Out of Memory Error: the question takes more memory than it may."
    return {"error": text}


def _answer(question: Mapping[str, Any]) -> Mapping[str, Any]:
    files = question["events"], question["profiles"]
    connection = locked(*files, for_reports="report" in question)
    try:
        if "sql" in question:
            return select(connection, question["sql"], question["limit"])
        if "report" in question:
            return report(exported_store(connection, *files), question["report"])
        return described(connection, question["describe"])
    finally:
        connection.close()


def _check_characters(question: Mapping[str, Any]) -> None:
    """JSON can say half of a character, and DuckDB cannot read it.

    Raises:
        QuestionError: it does.
    """
    try:
        json.dumps(question, ensure_ascii=False).encode()
    except UnicodeEncodeError as error:
        raise QuestionError(
            "The question has half of a character (a surrogate without its other half): write it "
            "whole."
        ) from error


def locked(
    events: Sequence[str], profiles: Sequence[str], *, for_reports: bool = False
) -> DuckDBPyConnection:
    """A connection that reads these files, and can be talked into nothing else."""
    import duckdb  # noqa: PLC0415 - heavy, and an optional extra

    connection = duckdb.connect(config={"memory_limit": _MEMORY, "temp_directory": ""})
    run = connection.execute
    if not for_reports:
        for name, files in (("events", events), ("profiles", profiles)):
            if files:
                run(f"CREATE VIEW {name} AS SELECT * FROM read_parquet({_listed(files)})")  # noqa: S608 - paths are quoted
    run("SET TimeZone = 'UTC'")
    run("SET autoinstall_known_extensions = false")
    run("SET autoload_known_extensions = false")
    run(f"SET allowed_paths = {_listed([*events, *profiles])}")
    run("SET enable_external_access = false")
    run("SET lock_configuration = true")
    return connection


def _listed(files: Sequence[str]) -> str:
    return f"[{', '.join(map(quoted, files))}]"


def select(connection: DuckDBPyConnection, sql: str, limit: int) -> dict[str, Any]:
    """Run one query that only reads.

    Raises:
        QuestionError: it is none, or several.
        duckdb.Error: it cannot be run.
    """
    import duckdb  # noqa: PLC0415 - heavy, and an optional extra

    statements = connection.extract_statements(sql)
    # EXPLAIN ANALYZE runs what it explains, and files that may be read may be written.
    if len(statements) != 1 or statements[0].type is not duckdb.StatementType.SELECT:
        raise QuestionError("Only one SELECT (or WITH ... SELECT, or FROM ...) can be asked.")
    run = connection.execute(statements[0])
    columns = [each[0][:_LONGEST_NAME] for each in run.description or []]
    rows: list[list[Any]] = []
    size = 0
    while len(rows) <= limit and size <= MOST_BYTES and (piece := run.fetchmany(_PIECE)):
        for row in piece:
            cells = [_cell(value) for value in row]
            size += len(json.dumps(cells, default=str))
            rows.append(cells)
    whole = len(rows) <= limit and size <= MOST_BYTES
    while rows and size > MOST_BYTES:
        size -= len(json.dumps(rows.pop(), default=str))
    return {"columns": columns, "rows": rows[:limit], "complete": whole}


def _cell(value: object) -> object:
    """A value as JSON has it."""
    if is_object(value):
        return {str(name): _cell(each) for name, each in value.items()}
    if is_list(value):
        return [_cell(each) for each in value[:_LONGEST_CELL]]
    return _plain(value)


def _plain(value: object) -> object:
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, int):
        # Programs read larger numbers as something else.
        return value if abs(value) <= _LARGEST_WHOLE else str(value)
    if isinstance(value, float | Decimal):
        return float(value) if isfinite(value) else str(value)
    text = value.hex() if isinstance(value, bytes) else str(value)
    if isinstance(value, datetime | date | time):
        text = value.isoformat()
    return text if len(text) <= _LONGEST_CELL else f"{text[:_LONGEST_CELL]}..."


def described(connection: DuckDBPyConnection, kind: str) -> dict[str, Any]:
    """What there is: columns, counts, the time range, names, and properties by a sample."""
    table = "events" if kind == "events" else "profiles"

    def ask(sql: str) -> list[list[Any]]:
        return [[_cell(value) for value in row] for row in connection.execute(sql).fetchall()]

    columns = ask(f"SELECT column_name, column_type FROM (DESCRIBE {table})")  # noqa: S608 - our own names
    found: dict[str, Any] = {
        "columns": [{"name": name, "type": each} for name, each in columns],
        "records": ask(f"SELECT count(*) FROM {table}")[0][0],  # noqa: S608 - our own names
        "users": ask(f"SELECT count(DISTINCT distinct_id) FROM {table}")[0][0],  # noqa: S608 - our own names
        "properties": [
            {"name": name, "types": types, "share": share, "example": example}
            for name, types, share, example in ask(_properties(table))
        ],
        "sampled": _SAMPLE,
    }
    if kind == "events":
        first, last = ask("SELECT min(time), max(time) FROM events")[0]
        names = ask("SELECT event, count(*) AS n FROM events GROUP BY 1 ORDER BY n DESC LIMIT 50")
        found |= {
            "first": first,
            "last": last,
            "events": [{"event": n, "count": c} for n, c in names],
        }
    return found


def _properties(table: str) -> str:
    pointer = "'/' || replace(replace(name, '~', '~0'), '/', '~1')"
    return f"""
        WITH sampled AS MATERIALIZED (
            SELECT properties FROM {table} USING SAMPLE {_SAMPLE} ROWS (reservoir, 42)
        ), named AS (SELECT properties, unnest(json_keys(properties)) AS name FROM sampled)
        SELECT name, list_sort(list(DISTINCT CASE lower(json_type(properties, {pointer}))
                WHEN 'varchar' THEN 'string' WHEN 'boolean' THEN 'boolean' WHEN 'null' THEN 'null'
                WHEN 'array' THEN 'list' WHEN 'object' THEN 'object' ELSE 'number' END)) AS types,
            round(count(*) / (SELECT count(*) FROM sampled), 3) AS share,
            left(any_value(json_extract_string(properties, {pointer})), 80) AS example
        FROM named GROUP BY name ORDER BY share DESC, name LIMIT {_MOST_PROPERTIES}
    """  # noqa: S608 - our own names


if __name__ == "__main__":
    main()
