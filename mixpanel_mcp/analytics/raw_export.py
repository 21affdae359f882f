"""Events as Mixpanel's raw export writes them, in the order they were stored."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mixpanel_mcp.analytics.expressions import Bindings, Subject, condition, event_parts, needs_user

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from mixpanel_mcp.analytics.store import Store


def export_lines(
    store: Store,
    *,
    from_time: int,
    to_time: int,
    names: Sequence[str] | None = None,
    where: str | None = None,
    limit: int | None = None,
    time_in_ms: bool = False,
) -> Iterator[bytes]:
    """Yield pieces of JSON Lines: events with `from_time` <= time < `to_time`, duplicates too.

    `distinct_id` is the canonical one; an event that came with another says so in
    `$distinct_id_before_identity`.

    Raises:
        ExpressionError: `where` is no expression, or never a boolean.
    """
    bindings = Bindings()
    window = f"time >= {bindings.add(from_time)} AND time < {bindings.add(to_time)}"
    if names is not None:
        window += f" AND list_contains({bindings.add([*names])}::VARCHAR[], event)"
    with_user = needs_user(where)
    user = "profiles.properties" if with_user else "NULL::JSON"
    sql = _lines(
        "TRUE" if where is None else condition(where, Subject.EVENTS, bindings),
        window=window,
        limit="" if limit is None else f"LIMIT {bindings.add(limit)}",
        time="time" if time_in_ms else "time // 1000",
        parts=event_parts(bindings, "sent.properties", user),
        with_user=with_user,
    )
    return _written(store, sql, bindings.values)


def _lines(where: str, *, window: str, limit: str, time: str, parts: str, with_user: bool) -> str:
    join = "LEFT JOIN profiles ON profiles.distinct_id = canonical" if with_user else ""
    # Without ORDER BY the rows come in the order they were stored, and never all at once.
    return f"""
SELECT '{{"event":' || to_json(event)
    || ',"properties":{{"time":' || {time}
    || ',"distinct_id":' || to_json(distinct_id)
    || CASE WHEN sent_id <> distinct_id
        THEN ',"$distinct_id_before_identity":' || to_json(sent_id) ELSE '' END
    || ',"$insert_id":' || to_json(insert_id)
    || ',"mp_processing_time_ms":' || processed
    || CASE WHEN properties::VARCHAR = '{{}}' THEN '}}' ELSE ',' || (properties::VARCHAR)[2:] END
    || '}}'
FROM (
    SELECT event, canonical AS distinct_id, sent_id, time, insert_id, processed,
        sent.properties, {parts}
    FROM (
        SELECT event, events.distinct_id AS sent_id, time, insert_id, processed, properties,
            COALESCE(canonical_id, events.distinct_id) AS canonical
        FROM events LEFT JOIN canonical_ids ON canonical_ids.distinct_id = events.distinct_id
        WHERE {window}
    ) AS sent {join}
)
WHERE {where} {limit}
"""  # noqa: S608  # every value is a parameter


def _written(store: Store, sql: str, values: dict[str, Any]) -> Iterator[bytes]:
    for piece in store.stream(sql, values):
        yield "".join(f"{line}\n" for (line,) in piece).encode()
