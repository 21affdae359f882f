"""Exports as Parquet: bounded in memory however wide the events are."""

import json
import os
from pathlib import Path

import duckdb

from mixpanel_mcp.files.parquet import write_parquet
from mixpanel_mcp.files.slices import Room

_EVENTS = 12_000
_WIDTH = 3_000


def test_wide_events_are_written_in_groups_of_bounded_bytes(tmp_path: Path) -> None:
    """By count alone they would be one group of a size that no memory limit allows for long."""
    source, target = tmp_path / "events.ndjson", tmp_path / "events.parquet"
    with source.open("w") as file:
        for number in range(_EVENTS):
            properties = {"time": number, "text": os.urandom(_WIDTH // 2).hex()}
            file.write(json.dumps({"event": "Wide", "properties": properties}) + "\n")
    write_parquet(source, target, "events", {})
    with duckdb.connect() as connection:
        groups = connection.execute(
            "SELECT max(row_group_num_rows), sum(row_group_num_rows) FROM parquet_metadata(?)"
            " WHERE path_in_schema = 'event'",
            [str(target)],
        ).fetchall()
    most, all_rows = groups[0]
    assert all_rows == _EVENTS
    assert most * _WIDTH < 32 * 1024 * 1024


def test_what_was_given_back_may_be_taken_again() -> None:
    room = Room(10)
    room.take(10)
    room.give_back(4)
    room.take(4)
