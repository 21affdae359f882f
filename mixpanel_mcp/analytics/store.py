"""The one place that opens a DuckDB connection: in memory, or in a file."""

from __future__ import annotations

import threading
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator, Mapping
    from pathlib import Path

    from duckdb import DuckDBPyConnection

# `time` and `processed` are milliseconds since the epoch, UTC. `properties` is the JSON object
# without what has a column of its own, so that an export can put it together again as text.
# `canonical_ids` holds the ids that were merged into another one; reports count by that one.
_SCHEMA = """
CREATE TABLE IF NOT EXISTS events (
    event VARCHAR NOT NULL,
    distinct_id VARCHAR NOT NULL,
    time BIGINT NOT NULL,
    insert_id VARCHAR NOT NULL,
    processed BIGINT NOT NULL,
    properties JSON NOT NULL
);
CREATE TABLE IF NOT EXISTS profiles (distinct_id VARCHAR PRIMARY KEY, properties JSON NOT NULL);
CREATE TABLE IF NOT EXISTS groups (
    group_key VARCHAR NOT NULL,
    group_id VARCHAR NOT NULL,
    properties JSON NOT NULL,
    PRIMARY KEY (group_key, group_id)
);
CREATE TABLE IF NOT EXISTS canonical_ids (
    distinct_id VARCHAR PRIMARY KEY,
    canonical_id VARCHAR NOT NULL
);
"""

_ROWS_PER_PIECE = 2_000


class StoreUnusableError(Exception):
    """A file is no database, or another process holds it."""


class Store:
    """One database, one lock: a DuckDB connection must not be used by two threads at once."""

    def __init__(self, connection: DuckDBPyConnection, schema: str | None = None) -> None:
        """`schema` makes what reports read, where it is not the usual tables."""
        self._connection = connection
        self._lock = threading.RLock()
        self._in_transaction = False
        self._connection.execute(_SCHEMA if schema is None else schema)
        ((self._database,),) = self.rows("SELECT current_database()")

    def run(self, sql: str, parameters: Mapping[str, Any] | None = None) -> None:
        with self._lock:
            self._connection.execute(sql, dict(parameters or {}))

    def rows(self, sql: str, parameters: Mapping[str, Any] | None = None) -> list[tuple[Any, ...]]:
        with self._lock:
            return self._connection.execute(sql, dict(parameters or {})).fetchall()

    @contextmanager
    def transaction(self) -> Generator[None]:
        """All of it or nothing, and nobody else in between. An inner one joins the outer."""
        with self._lock:
            if self._in_transaction:
                yield
                return
            self._connection.begin()
            self._in_transaction = True
            try:
                # Whatever ends it early, cancellation too, undoes it.
                with ExitStack() as undoing:
                    undoing.callback(self._connection.rollback)
                    yield
                    undoing.pop_all()
                self._connection.commit()
            finally:
                self._in_transaction = False

    def stream(
        self, sql: str, parameters: Mapping[str, Any] | None = None
    ) -> Iterator[list[tuple[Any, ...]]]:
        """Yield the rows in pieces, from one moment in time, while others go on writing."""
        with self._lock:
            # A cursor is a connection of its own: it sees a snapshot and needs no lock.
            cursor = self._connection.cursor()
        try:
            cursor.execute("USE " + _quoted(self._database))
            cursor.execute(sql, dict(parameters or {}))
            while piece := cursor.fetchmany(_ROWS_PER_PIECE):
                yield piece
        finally:
            cursor.close()

    def close(self) -> None:
        with self._lock:
            self._connection.close()


def open_store(path: Path | None = None) -> Store:
    """Open the database at `path`, or a new one in memory.

    Raises:
        ModuleNotFoundError: DuckDB is not installed.
        StoreUnusableError: the file is no database, or another process holds it.
    """
    import duckdb  # noqa: PLC0415  # heavy, and an optional extra

    if path is not None:
        try:
            return Store(duckdb.connect(str(path)))
        except duckdb.Error as error:
            raise StoreUnusableError(path) from error
    connection = duckdb.connect(":memory:")
    # Compressed, a million events take about half the memory; only an attached database can be.
    connection.execute("ATTACH ':memory:' AS compressed (COMPRESS)")
    connection.execute("USE compressed")
    return Store(connection)


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
