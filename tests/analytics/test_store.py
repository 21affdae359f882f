"""A store in memory and one in a file answer alike."""

from pathlib import Path

import pytest

from mixpanel_mcp.analytics.events import Event, add_events, count_events
from mixpanel_mcp.analytics.raw_export import export_lines
from mixpanel_mcp.analytics.store import open_store


@pytest.mark.parametrize("name", [None, "events.db", "two words.db", 'a "quote".db', "select"])
def test_events_are_read_while_others_are_written(tmp_path: Path, name: str | None) -> None:
    store = open_store(None if name is None else tmp_path / name)
    event = Event("Sign Up", "ann", 1_000, "i-1", 1, "{}")
    add_events(store, [event])
    pieces = export_lines(store, from_time=0, to_time=2_000)
    first = next(pieces)
    add_events(store, [event._replace(insert_id="i-2")])
    assert [first, *pieces] == [first]
    assert first.count(b"\n") == 1
    assert count_events(store) == 2
    store.close()
