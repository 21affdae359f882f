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

from mixpanel_mcp.analytics.buckets import DAY, HOUR, Buckets
from mixpanel_mcp.analytics.expressions import Bindings
from mixpanel_mcp.analytics.segments import (
    DEFAULT_SEGMENTS,
    OVERALL,
    is_among_the_largest,
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
    unit: Literal["day", "week", "month"] = "day"
    addiction_unit: AddictionUnit = "hour"
    selector: Selector = ANY_EVENT


def frequency(store: Store, query: FrequencyQuery) -> Frequency:
    """Count users by how often they did it.

    Raises:
        ExpressionError: `where` is no expression.
        ValueError: the days are impossible.
    """
    buckets = Buckets(query.from_date, query.to_date, query.unit)
    bindings = Bindings()
    sql = f"{_counted(query, buckets, None, bindings)} {_EXACTLY}"
    numbers = [[0] * size for size in _sizes(query, buckets)]
    for bucket, _, times, users in store.rows(sql, bindings.values):
        numbers[bucket][times - 1] = users
    return dict(zip(buckets.dates, map(_at_least, numbers), strict=True))


def segmented_frequency(
    store: Store, query: FrequencyQuery, on: str, limit: int = DEFAULT_SEGMENTS
) -> SegmentedFrequency:
    """Count users by how often they did it and the value of `on`, for the `limit` top values.

    Raises:
        ExpressionError: `on` or `where` is no expression.
        ValueError: the days are impossible.
    """
    buckets = Buckets(query.from_date, query.to_date, query.unit)
    sizes = _sizes(query, buckets)
    bindings = Bindings()
    counted = _counted(query, buckets, on, bindings)
    shown = is_among_the_largest("totals", "users", limit)
    sql = f"{counted} {_EXACTLY} WHERE {shown} ORDER BY segment"
    numbers: dict[tuple[int, str], list[int]] = {}
    for bucket, name, times, users in store.rows(sql, bindings.values):
        exactly = numbers.setdefault((bucket, name), [0] * sizes[bucket])
        exactly[times - 1] = users
    periods = {start: {OVERALL: overall} for start, overall in frequency(store, query).items()}
    for (bucket, name), exactly in numbers.items():
        periods[buckets.dates[bucket]][name] = _at_least(exactly)
    return periods


_EXACTLY = "SELECT bucket, segment, times, users FROM totals"


def _counted(query: FrequencyQuery, buckets: Buckets, on: str | None, bindings: Bindings) -> str:
    """WITH totals: how many users did it in exactly so many units, per bucket and segment."""
    value = "NULL" if on is None else segment_name(on, bindings)
    events = selected_events(
        [query.selector], bindings, on, from_time=buckets.from_time, to_time=buckets.to_time
    )
    return f"""WITH active AS (
        SELECT DISTINCT distinct_id, segment, bucket, unit
        FROM (
            SELECT distinct_id, {value} AS segment, {buckets.number("time")} AS bucket,
                time // {_WIDTHS[query.addiction_unit]} AS unit
            FROM {events} WHERE {query.selector.sql(bindings)}
        )
    ), persons AS (
        SELECT segment, bucket, count(*) AS times
        FROM active GROUP BY distinct_id, segment, bucket
    ), totals AS (
        SELECT segment, bucket, times, count(*) AS users
        FROM persons GROUP BY segment, bucket, times
    )"""


def _sizes(query: FrequencyQuery, buckets: Buckets) -> list[int]:
    """How many hours or days each period has."""
    return [length // _WIDTHS[query.addiction_unit] for length in buckets.lengths]


def _at_least(exactly: list[int]) -> list[int]:
    return list(accumulate(reversed(exactly)))[::-1]
