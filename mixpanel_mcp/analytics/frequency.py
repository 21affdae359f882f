"""Frequency: in how many hours (or days) of each period users did something.

Sources: `query.openapi.yaml` /retention/addiction, page "Query Frequency Report".

The nth number of a period counts the users who did it in at least n different hours of it, so the
numbers never rise. There are as many as the period has hours or days: a month has those of its own.

Periods are calendar days, weeks (from Monday) and months, in UTC. Where Mixpanel's documents are
silent: hours are those of the clock; events outside the dates do not count, also where a week or
month reaches beyond them; every period is listed. With `on`, each period has one list for each
segment, which knows only the events of the segment, and one named "$overall". Segments are ranked
by their users in each period added up.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from itertools import accumulate
from typing import TYPE_CHECKING, Literal

from mixpanel_mcp.analytics.buckets import DAY, HOUR, Buckets, DayUnit
from mixpanel_mcp.analytics.expressions import Bindings
from mixpanel_mcp.analytics.numbering import numbered
from mixpanel_mcp.analytics.segments import (
    DEFAULT_SEGMENTS,
    OVERALL,
    by_name,
    is_shown,
    segment_name,
)
from mixpanel_mcp.analytics.selectors import ANY_EVENT, Selector, selected_events

if TYPE_CHECKING:
    from mixpanel_mcp.analytics.store import Store

AddictionUnit = Literal["hour", "day"]

_WIDTHS: dict[AddictionUnit, int] = {"hour": HOUR, "day": DAY}

Frequency = dict[str, list[int]]
"""The numbers of each period, by its first day."""
SegmentedFrequency = dict[str, dict[str, list[int]]]


@dataclass(frozen=True)
class FrequencyQuery:
    from_date: date
    to_date: date
    unit: DayUnit = "day"
    addiction_unit: AddictionUnit = "hour"
    selector: Selector = ANY_EVENT


def frequency(store: Store, query: FrequencyQuery) -> Frequency:
    """Count users by how often they did it.

    Raises:
        ExpressionError: `where` is no expression.
        ValueError: the days are impossible.
    """
    buckets = Buckets(query.from_date, query.to_date, query.unit)
    periods = _periods(store, query, buckets)
    return {start: periods[bucket][OVERALL] for bucket, start in enumerate(buckets.dates)}


def segmented_frequency(
    store: Store, query: FrequencyQuery, on: str, limit: int = DEFAULT_SEGMENTS
) -> SegmentedFrequency:
    """Count users by how often they did it and the value of `on`, for the `limit` top values.

    Raises:
        ExpressionError: `on` or `where` is no expression.
        ValueError: the days are impossible.
    """
    buckets = Buckets(query.from_date, query.to_date, query.unit)
    return dict(zip(buckets.dates, _periods(store, query, buckets, on, limit), strict=True))


def _periods(
    store: Store, query: FrequencyQuery, buckets: Buckets, on: str | None = None, limit: int = 0
) -> list[dict[str, list[int]]]:
    """The numbers of each period by segment, first those of all segments."""
    bindings = Bindings()
    sql = f"""{_counted(query, buckets, on, bindings)}
        SELECT bucket, name, times, users
        FROM totals LEFT JOIN candidates_segments USING (segment)
        WHERE {is_shown("totals", "users", limit)} ORDER BY name"""  # noqa: S608  # values are parameters, names and numbers ours
    width = _WIDTHS[query.addiction_unit]
    nobody = {number: [0] * (length // width) for number, length in enumerate(buckets.lengths)}
    exactly: dict[int, dict[str | None, list[int]]] = {
        number: {None: zeros.copy()} for number, zeros in nobody.items()
    }
    for bucket, name, times, users in store.rows(sql, bindings.values):
        exactly[bucket].setdefault(name, nobody[bucket].copy())[times - 1] = users
    return [
        by_name({name: _at_least(users) for name, users in period.items()})
        for period in exactly.values()
    ]


def _counted(query: FrequencyQuery, buckets: Buckets, on: str | None, bindings: Bindings) -> str:
    """WITH totals: how many users did it in exactly so many units, per bucket and segment."""
    segment = "" if on is None else f", {segment_name(on, bindings)} AS segment"
    events = selected_events(
        [query.selector], bindings, on, from_time=buckets.from_time, to_time=buckets.to_time
    )
    found = f"""SELECT distinct_id, {buckets.number("time")} AS bucket,
        time // {_WIDTHS[query.addiction_unit]} AS unit{segment}
        FROM {events} WHERE {query.selector.sql(bindings)}"""  # noqa: S608  # values are parameters, names and numbers ours
    kinds = ("NULL",) if on is None else ("NULL", "segment")
    # Grouping twice is faster than count(DISTINCT unit).
    persons = [
        f"""SELECT bucket, segment, count(*) AS times
        FROM (SELECT DISTINCT person, bucket, {kind} AS segment, unit FROM candidates)
        GROUP BY person, bucket, segment"""  # noqa: S608  # values are parameters, names and numbers ours
        for kind in kinds
    ]
    return f"""WITH {numbered("candidates", found, ["bucket", "unit"], segmented=on is not None)},
    persons AS (
        {" UNION ALL ".join(persons)}
    ), totals AS (
        SELECT bucket, segment, times, count(*) AS users
        FROM persons GROUP BY bucket, segment, times
    )"""  # noqa: S608  # values are parameters, or numbers of ours


def _at_least(exactly: list[int]) -> list[int]:
    return list(accumulate(reversed(exactly)))[::-1]
