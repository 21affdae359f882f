"""Retention: how many of the users who did one thing came back to do another, interval by interval.

Sources: `query.openapi.yaml` /retention, the pages "Query Retention Report", "Retention" and
"Retention Report Basics".

- Users are counted, not events. Under "birth" a user is born once, with the first event within the
  dates that fits `born_event` and `born_where`, whatever happened before them. Under "compounded"
  `event` and `where` decide births as well as returns, and a user is born once in each bucket, with
  the first such event in it.
- A return is an event strictly later than the birth that fits `event` (any event, where it is not
  given) and `where`. The birth itself is no return, so that two equal events need two events.
- Intervals roll from each user's own birth: interval zero is the first 24 hours (7 days, 30 days)
  times `interval`, its end not included, interval one what follows. `counts` has interval zero and
  `interval_count` more.
- Births lie within the dates; returns after `to_date` count as well.
- Unbounded, a user counts in every interval up to that of the last return, however late it was.
- Rows are buckets of `interval` calendar days, weeks (from Monday) or months, in UTC.

Where Mixpanel's documents are silent: every bucket is listed, also an empty one. With `on`, which
segments the returns, each date has a row "$overall" and one for each segment in which someone
returned; its `first` is the size of the whole bucket, as births have no segment, and a user who
returned in two segments counts in both. Segments are ranked by their returning users, added up over
buckets and (unless unbounded) intervals. A missing property is the segment "undefined".
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from itertools import accumulate
from typing import TYPE_CHECKING, TypedDict

from mixpanel_mcp.analytics.buckets import DAY, Buckets, DayUnit
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

_DAYS: dict[DayUnit, int] = {"day": 1, "week": 7, "month": 30}


@dataclass(frozen=True)
class RetentionQuery:
    """`born` None is compounded retention. Both events may be any event (None)."""

    from_date: date
    to_date: date
    born: Selector | None = None
    returned: Selector = ANY_EVENT
    unit: DayUnit = "day"
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
    rows = _rows(store, query, buckets)
    return {start: rows[bucket][OVERALL] for bucket, start in enumerate(buckets.dates)}


def segmented_retention(
    store: Store, query: RetentionQuery, on: str, limit: int = DEFAULT_SEGMENTS
) -> SegmentedRetention:
    """Count the returning users of each bucket by value of `on`, for the `limit` top values.

    Raises:
        ExpressionError: `on` or a `where` is no expression.
        ValueError: the days or the interval are impossible.
    """
    buckets = Buckets(query.from_date, query.to_date, query.unit, query.interval)
    return dict(zip(buckets.dates, _rows(store, query, buckets, on, limit), strict=True))


# Stands in the place of an interval where a row tells how many were born.
_BIRTHS = -1


def _rows(
    store: Store, query: RetentionQuery, buckets: Buckets, on: str | None = None, limit: int = 0
) -> list[dict[str, Row]]:
    """The rows of each bucket, first the one for all segments."""
    bindings = Bindings()
    sql = f"""{_counted(query, buckets, on, bindings)}
        SELECT bucket, NULL, {_BIRTHS}, count(*) FROM births GROUP BY bucket
        UNION ALL
        SELECT bucket, name, intervals_later, users
        FROM totals LEFT JOIN candidates_segments USING (segment)
        WHERE {is_shown("totals", "users", limit)}
        ORDER BY 2, 3"""  # noqa: S608  # values are parameters, or numbers of ours
    nobody = [0] * (query.interval_count + 1)
    first = dict.fromkeys(range(len(buckets.starts)), 0)
    counts: dict[int, dict[str | None, list[int]]] = {b: {None: nobody.copy()} for b in first}
    for bucket, name, interval, users in store.rows(sql, bindings.values):
        if interval == _BIRTHS:
            first[bucket] = users
        else:
            counts[bucket].setdefault(name, nobody.copy())[interval] = users
    return [
        by_name({name: _row(query, users, first[bucket]) for name, users in segments.items()})
        for bucket, segments in counts.items()
    ]


def _counted(query: RetentionQuery, buckets: Buckets, on: str | None, bindings: Bindings) -> str:
    """WITH births, and totals: how many users returned per bucket, segment and interval."""
    returned = query.returned.sql(bindings)
    born = returned if query.born is None else query.born.sql(bindings)
    segment = "" if on is None else f", {segment_name(on, bindings)} AS segment"
    kinds = ("NULL",) if on is None else ("NULL", "segment")
    returns = [_returns(query, kind) for kind in kinds]
    once = f"person, {buckets.number('time')}" if query.born is None else "person"
    found = f"""SELECT * FROM (
        SELECT distinct_id, time, {born} AS is_birth, {returned} AS is_return{segment}
        FROM {_events(query, buckets, on, bindings)}
    ) WHERE is_birth OR is_return"""  # noqa: S608  # values are parameters, names and numbers ours
    # A look at the return before instead of SELECT DISTINCT, because there may be many pairs of
    # birth and return for each event.
    columns = ("time", "is_birth", "is_return")
    return f"""WITH {numbered("candidates", found, columns, segmented=on is not None)},
    births AS (
        SELECT person, born, {buckets.number("born")} AS bucket
        FROM (
            SELECT person, min(time) AS born
            FROM candidates WHERE is_birth AND {buckets.within("time")} GROUP BY {once}
        )
    ), returns AS (
        {" UNION ALL ".join(returns)}
    ), totals AS (
        SELECT bucket, segment,
            least((time - born) // {query.width}, {query.interval_count}) AS intervals_later,
            count(*) AS users
        FROM births JOIN returns ON returns.person = births.person AND time > born
            {"" if query.unbounded else f"AND time < born + {query.horizon}"}
            AND (before IS NULL OR before <= born
                OR (before - born) // {query.width} < (time - born) // {query.width})
        GROUP BY bucket, segment, intervals_later
    )"""  # noqa: S608  # values are parameters, names and numbers ours


def _events(query: RetentionQuery, buckets: Buckets, on: str | None, bindings: Bindings) -> str:
    selectors = [query.returned] if query.born is None else [query.born, query.returned]
    return selected_events(
        selectors,
        bindings,
        on,
        from_time=buckets.from_time,
        to_time=None if query.unbounded else buckets.to_time + query.horizon,
    )


def _returns(query: RetentionQuery, segment: str) -> str:
    """SQL for the returns that matter, and the one before each in its segment."""
    if query.unbounded:
        # Who was there on the last day was there on or after each day before.
        return f"""SELECT person, {segment} AS segment, max(time) AS time, NULL AS before
            FROM candidates WHERE is_return GROUP BY person, {segment}"""  # noqa: S608  # our own names
    return f"""SELECT person, {segment} AS segment, time,
        lag(time) OVER (PARTITION BY person, {segment} ORDER BY time) AS before
        FROM candidates WHERE is_return"""  # noqa: S608  # our own names


def _row(query: RetentionQuery, counts: list[int], first: int) -> Row:
    if query.unbounded:
        counts = list(accumulate(reversed(counts)))[::-1]
    return {"counts": counts, "first": first}
