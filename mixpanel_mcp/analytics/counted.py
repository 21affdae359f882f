"""The events that reports count: each once, under the canonical id of its user.

An event is sent again when event, canonical distinct_id, time and `$insert_id` are the same; the
one that arrived last counts ("Event Deduplication"). An export keeps them all.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mixpanel_mcp.analytics.dialect import texts
from mixpanel_mcp.analytics.expressions import event_parts

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mixpanel_mcp.analytics.expressions import Bindings


def events_source(
    bindings: Bindings,
    *,
    from_time: int | None = None,
    to_time: int | None = None,
    names: Sequence[str] | None = None,
    with_user: bool = False,
) -> str:
    """SQL to select from: the rows over which expressions about events are compiled.

    Columns: `event`, `distinct_id` (canonical), `time`, `insert_id`, `processed`, `properties` and
    `event_parts`. There are none of the user unless `with_user`, which joins the user's profile.
    `from_time` <= time < `to_time`, in milliseconds; None is without a limit.
    """
    user = "profiles.properties" if with_user else "NULL::JSON"
    join = "LEFT JOIN profiles USING (distinct_id)" if with_user else ""
    condition = _condition(bindings, from_time, to_time, names)
    return f"""(
    SELECT event, distinct_id, time, insert_id, processed, selected.properties,
        {event_parts(bindings, "selected.properties", user)}
    FROM ({_selected(condition, "processed", "properties")}) AS selected {join}
    LEFT JOIN ({_superseded(condition)}) AS superseded ON superseded.arrival = selected.arrival
    WHERE superseded.arrival IS NULL
)"""  # noqa: S608  # every value is a parameter


def _selected(condition: str, *columns: str) -> str:
    return f"""
        SELECT {", ".join(["events.rowid AS arrival", *columns])},
            event, COALESCE(canonical_id, events.distinct_id) AS distinct_id, time, insert_id
        FROM events LEFT JOIN canonical_ids ON canonical_ids.distinct_id = events.distinct_id
        WHERE {condition}
    """  # noqa: S608  # every value is a parameter


def _superseded(condition: str) -> str:
    """Which of the selected came again later.

    A window over all events would carry each of them through a sort. Few share their hash with
    another one, and only these are looked at closely.
    """
    short = "hash(time, insert_id)"
    return f"""
        SELECT arrival FROM ({_selected(condition)})
        WHERE {short} IN (
            SELECT {short} FROM events WHERE {condition} GROUP BY 1 HAVING count(*) > 1
        )
        QUALIFY row_number() OVER (
            PARTITION BY event, distinct_id, time, insert_id ORDER BY arrival DESC
        ) > 1
    """  # noqa: S608  # every value is a parameter


def _condition(
    bindings: Bindings, from_time: int | None, to_time: int | None, names: Sequence[str] | None
) -> str:
    conditions = ["TRUE"]
    if from_time is not None:
        conditions.append(f"time >= {bindings.add(from_time)}")
    if to_time is not None:
        conditions.append(f"time < {bindings.add(to_time)}")
    if names is not None:
        conditions.append(f"event IN {texts(bindings.add(list(names)))}")
    return " AND ".join(conditions)
