"""Events as rows: added in batches, read back as Mixpanel's raw export writes them."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from mixpanel_mcp.analytics.counted import events_source
from mixpanel_mcp.analytics.expressions import Bindings

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from mixpanel_mcp.analytics.store import Store


class Event(NamedTuple):
    event: str
    distinct_id: str
    time: int
    """Milliseconds since the epoch, UTC."""
    insert_id: str
    processed: int
    """When it arrived, in milliseconds since the epoch."""
    properties: str
    """The JSON text of the other properties."""


# Lists as parameters take a batch of 2,000 in some 10 ms; `executemany` takes 300.
_ADD = """
INSERT INTO events SELECT
    unnest($event::VARCHAR[]), unnest($distinct_id::VARCHAR[]), unnest($time::BIGINT[]),
    unnest($insert_id::VARCHAR[]), unnest($processed::BIGINT[]), unnest($properties::VARCHAR[])
"""

# Without ORDER BY the rows come in the order they were stored, and never all at once.
_LINES = """
SELECT '{"event":' || to_json(event)
    || ',"properties":{"time":' || CASE WHEN $time_in_ms THEN time ELSE time // 1000 END
    || ',"distinct_id":' || to_json(distinct_id)
    || ',"$insert_id":' || to_json(insert_id)
    || ',"mp_processing_time_ms":' || processed
    || CASE WHEN properties::VARCHAR = '{}' THEN '}' ELSE ',' || (properties::VARCHAR)[2:] END
    || '}'
FROM events
WHERE time >= $from_time AND time < $to_time
    AND ($names IS NULL OR list_contains($names::VARCHAR[], event))
LIMIT $limit
"""

_NO_LIMIT = 2**62


def add_events(store: Store, events: Sequence[Event]) -> None:
    if not events:
        return
    columns = zip(*events, strict=True)
    store.run(_ADD, dict(zip(Event._fields, map(list, columns), strict=True)))


def count_events(store: Store) -> int:
    """Count as reports do: once per (event, canonical distinct_id, time, $insert_id)."""
    bindings = Bindings()
    source = events_source(bindings)
    return store.rows(f"SELECT count(*) FROM {source}", bindings.values)[0][0]  # noqa: S608


def export_lines(
    store: Store,
    *,
    from_time: int,
    to_time: int,
    names: list[str] | None = None,
    limit: int | None = None,
    time_in_ms: bool = False,
) -> Iterator[bytes]:
    """Yield pieces of JSON Lines: events with `from_time` <= time < `to_time`, duplicates too."""
    parameters = {
        "from_time": from_time,
        "to_time": to_time,
        "names": names,
        "limit": _NO_LIMIT if limit is None else limit,
        "time_in_ms": time_in_ms,
    }
    for piece in store.stream(_LINES, parameters):
        yield "".join(f"{line}\n" for (line,) in piece).encode()
