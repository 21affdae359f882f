"""Reports over events that lie in Parquet files, as an export keeps them: nothing is loaded."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mixpanel_mcp.analytics.store import Store

if TYPE_CHECKING:
    from collections.abc import Sequence

    from duckdb import DuckDBPyConnection

# More than any file has rows, so that no two events share a number.
_ROWS_A_FILE = 2**40


def exported_store(
    connection: DuckDBPyConnection, events: Sequence[str], profiles: Sequence[str]
) -> Store:
    """What reports read, as views over files with the columns that an export has.

    An export has the canonical ids already. An event without an `$insert_id` is like no other.
    """
    return Store(connection, f"{_events(events)}; {_profiles(profiles)}; {_REST}")


def _events(files: Sequence[str]) -> str:
    parts = [
        f"""SELECT file_row_number + {number * _ROWS_A_FILE} AS rowid,
            coalesce(event, '') AS event, coalesce(distinct_id, '') AS distinct_id,
            epoch_ms(time) AS time,
            coalesce(insert_id, '-{number}-' || file_row_number) AS insert_id,
            coalesce(processed, 0) AS processed, properties
        FROM read_parquet({_quoted(file)}, file_row_number = true)"""  # noqa: S608 - paths are quoted
        for number, file in enumerate(files)
    ]
    return f"CREATE VIEW events AS {' UNION ALL '.join(parts) or _NO_EVENTS}"


def _profiles(files: Sequence[str]) -> str:
    listed = ", ".join(map(_quoted, files))
    source = f"SELECT distinct_id, properties FROM read_parquet([{listed}])"  # noqa: S608 - paths are quoted
    return f"CREATE VIEW profiles AS {source if files else _NO_PROFILES}"


_NO_EVENTS = """SELECT 0::BIGINT AS rowid, '' AS event, '' AS distinct_id, 0::BIGINT AS time,
    '' AS insert_id, 0::BIGINT AS processed, '{}'::JSON AS properties WHERE FALSE"""
_NO_PROFILES = "SELECT '' AS distinct_id, '{}'::JSON AS properties WHERE FALSE"
_REST = "CREATE TABLE canonical_ids (distinct_id VARCHAR, canonical_id VARCHAR)"


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
