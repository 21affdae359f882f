"""Retention: how many of the users who did one thing came back to do another, interval by interval.

Sources: `query.openapi.yaml` /retention, the pages "Query Retention Report" and "Retention".

- Users are counted, not events. Under "birth" a user is born once, with the first event within the
  dates that fits `born_event` and `born_where`. Under "compounded" `event` and `where` decide both
  births and returns, and a user is born once in each bucket, with the first such event in it.
- A return is an event strictly later than the birth that fits `event` (any event, where it is not
  given) and `where`. The birth itself is no return, so that two equal events need two events.
- Intervals roll from each user's own birth: interval zero is the first 24 hours (7 days, 30 days)
  times `interval`, its end not included, interval one what follows. `counts` has interval zero and
  `interval_count` more.
- Births lie within the dates; returns after `to_date` count as well.
- Unbounded, a user counts in every interval up to that of the last return, however late it was.
- Rows are buckets of `interval` calendar days, weeks (from Monday) or months, in UTC.

Where Mixpanel's documents are silent: every bucket is listed, also an empty one. A first event
before `from_date` does not keep a user from being born later. With `on`, which segments the
returns, each date has a row for each segment, whose `first` is the size of the whole bucket (births
have no segment), and a row "$overall". A user who returned in two segments counts in both. Segments
are ranked by their counts added up; a missing property is "undefined".
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from itertools import accumulate
from typing import TYPE_CHECKING, Literal, TypedDict

from mixpanel_mcp.analytics.buckets import DAY, Buckets
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

RetentionUnit = Literal["day", "week", "month"]

_DAYS: dict[RetentionUnit, int] = {"day": 1, "week": 7, "month": 30}


@dataclass(frozen=True)
class RetentionQuery:
    """`born` None is compounded retention. Both events may be any event (None)."""

    from_date: date
    to_date: date
    born: Selector | None = None
    returned: Selector = ANY_EVENT
    unit: RetentionUnit = "day"
    interval: int = 1
    interval_count: int = 1
    unbounded: bool = False

    @property
    def width(self) -> int:
        """Of an interval, in milliseconds."""
        return self.interval * _DAYS[self.unit] * DAY

    @property
    def horizon(self) -> int:
        """How long after a birth the last interval ends, in milliseconds."""
        return (self.interval_count + 1) * self.width


class Row(TypedDict):
    counts: list[int]
    first: int


Retention = dict[str, Row]
"""A row for the first day of each bucket."""
SegmentedRetention = dict[str, dict[str, Row]]


def retention(store: Store, query: RetentionQuery) -> Retention:
    """Count the returning users of each bucket.

    Raises:
        ExpressionError: a `where` is no expression.
        ValueError: the days or the interval are impossible.
    """
    buckets = Buckets(query.from_date, query.to_date, query.unit, query.interval)
    bindings = Bindings()
    sql = f"{_counted(query, buckets, None, bindings)} {_BORN} UNION ALL {_RETURNED}"
    first = [0] * len(buckets.starts)
    counts = [[0] * (query.interval_count + 1) for _ in first]
    for bucket, _, interval, users in store.rows(sql, bindings.values):
        if interval == _BIRTHS:
            first[bucket] = users
        else:
            counts[bucket][interval] = users
    rows = (_row(query, *row) for row in zip(counts, first, strict=True))
    return dict(zip(buckets.dates, rows, strict=True))


def segmented_retention(
    store: Store, query: RetentionQuery, on: str, limit: int = DEFAULT_SEGMENTS
) -> SegmentedRetention:
    """Count the returning users of each bucket by value of `on`, for the `limit` top values.

    Raises:
        ExpressionError: `on` or a `where` is no expression.
        ValueError: the days or the interval are impossible.
    """
    buckets = Buckets(query.from_date, query.to_date, query.unit, query.interval)
    bindings = Bindings()
    counted = _counted(query, buckets, on, bindings)
    shown = is_among_the_largest("totals", "users", limit)
    sql = f"{counted} {_RETURNED} WHERE {shown} ORDER BY segment"
    counts: dict[tuple[int, str], list[int]] = {}
    for bucket, name, interval, users in store.rows(sql, bindings.values):
        row = counts.setdefault((bucket, name), [0] * (query.interval_count + 1))
        row[interval] = users
    rows = {start: {OVERALL: row} for start, row in retention(store, query).items()}
    for (bucket, name), row in counts.items():
        segments = rows[buckets.dates[bucket]]
        segments[name] = _row(query, row, segments[OVERALL]["first"])
    return rows


# Stands in the place of an interval where a row tells how many were born.
_BIRTHS = -1
_BORN = f"SELECT bucket, NULL, {_BIRTHS}, count(*) FROM births GROUP BY bucket"
_RETURNED = "SELECT bucket, segment, interval, users FROM totals"


def _counted(query: RetentionQuery, buckets: Buckets, on: str | None, bindings: Bindings) -> str:
    """WITH births, and totals: how many users returned per bucket, segment and interval."""
    returned = query.returned.sql(bindings)
    born = returned if query.born is None else query.born.sql(bindings)
    value = "NULL" if on is None else segment_name(on, bindings)
    once = "person, bucket" if query.born is None else "person"
    # Numbers for persons, and a look at the return before instead of SELECT DISTINCT, because
    # there may be many pairs of birth and return for each event.
    return f"""WITH candidates AS MATERIALIZED (
        SELECT dense_rank() OVER (ORDER BY distinct_id) AS person, time, segment,
            is_birth, is_return
        FROM (
            SELECT distinct_id, time, {value} AS segment,
                {born} AS is_birth, {returned} AS is_return
            FROM {_events(query, buckets, on, bindings)}
        ) WHERE is_birth OR is_return
    ), births AS (
        SELECT person, bucket, time AS born
        FROM (
            SELECT person, time, {buckets.number("time")} AS bucket
            FROM candidates WHERE is_birth AND {buckets.within("time")}
        ) QUALIFY row_number() OVER (PARTITION BY {once} ORDER BY time) = 1
    ), returns AS (
        {_UNBOUNDED if query.unbounded else _BOUNDED}
    ), totals AS (
        SELECT bucket, segment,
            least((time - born) // {query.width}, {query.interval_count}) AS interval,
            count(*) AS users
        FROM births JOIN returns ON returns.person = births.person AND time > born
            {"" if query.unbounded else f"AND time < born + {query.horizon}"}
            AND (before IS NULL OR before <= born
                OR (before - born) // {query.width} < (time - born) // {query.width})
        GROUP BY bucket, segment, interval
    )"""


def _events(query: RetentionQuery, buckets: Buckets, on: str | None, bindings: Bindings) -> str:
    selectors = [query.returned] if query.born is None else [query.born, query.returned]
    return selected_events(
        selectors,
        bindings,
        on,
        from_time=buckets.from_time,
        to_time=None if query.unbounded else buckets.to_time + query.horizon,
    )


# `before` is the return before this one, in the same segment.
_BOUNDED = """SELECT person, segment, time,
    lag(time) OVER (PARTITION BY person, segment ORDER BY time) AS before
    FROM candidates WHERE is_return"""
# Who was there on the last day was there on or after each day before: no other return matters.
_UNBOUNDED = """SELECT person, segment, max(time) AS time, NULL AS before
    FROM candidates WHERE is_return GROUP BY person, segment"""


def _row(query: RetentionQuery, counts: list[int], first: int) -> Row:
    if query.unbounded:
        counts = list(accumulate(reversed(counts)))[::-1]
    return {"counts": counts, "first": first}
