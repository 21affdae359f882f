"""Funnels: how many users go through ordered steps, bucket by bucket.

Sources: `query.openapi.yaml` /funnels, the pages "Funnels" and "Query Saved Report".

- Users are counted, not events. A user enters a bucket once, with the first event in it that fits
  the first step; who does it again in a later bucket enters there as well.
- A later step is the first fitting event strictly later than the event of the step before, and at
  most the window after the entry, its last millisecond included. Two equal steps thus need two
  events, and an event after `to_date` may still complete a funnel that was entered before.
- `where` holds for the events of every step. Days are days in UTC.
- With `on` a user belongs to the value that the entry's event has, whatever the later events say.
  Of two entries in the same millisecond the one with the smaller value counts. A missing property
  is the segment that `expressions.segment` calls it.

Where Mixpanel's documents are silent: every bucket is listed, also an empty one, whose first step
has the ratios 1 and the others 0. Times are whole seconds, rounded to the nearest. `avg_time` is
null for the first step and where nobody came; `avg_time_from_start` is 0 there, as its schema
knows no null. `worst` is the index of the step with the lowest `step_conv_ratio`, the first one of
equals; of a single step 0. With `on`, each date has one list of steps for each segment entered on
it, and one named "$overall" for all users, not only those of the `limit` most entered segments.
No step has `custom_event`: there are no custom events here.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, Literal, NamedTuple, TypedDict

from mixpanel_mcp.analytics.buckets import DAY, HOUR, Buckets, DayUnit
from mixpanel_mcp.analytics.expressions import Bindings
from mixpanel_mcp.analytics.numbering import numbered
from mixpanel_mcp.analytics.segments import DEFAULT_SEGMENTS, by_name, is_shown, segment_name
from mixpanel_mcp.analytics.selectors import Selector, selected_events

if TYPE_CHECKING:
    from mixpanel_mcp.analytics.store import Store

LengthUnit = Literal["second", "minute", "hour", "day"]

_LENGTHS: dict[LengthUnit, int] = {"second": 1_000, "minute": 60_000, "hour": HOUR, "day": DAY}


@dataclass(frozen=True)
class FunnelQuery:
    steps: Sequence[Selector]
    from_date: date
    to_date: date
    length: int = 14
    length_unit: LengthUnit = "day"
    unit: DayUnit = "day"
    interval: int = 1
    """How many units a bucket holds. Mixpanel's parameter of this name counts days."""
    where: str | None = None

    @property
    def window(self) -> int:
        """In milliseconds."""
        return self.length * _LENGTHS[self.length_unit]


class Step(TypedDict):
    count: int
    avg_time: int | None
    avg_time_from_start: int
    step_conv_ratio: float
    overall_conv_ratio: float
    goal: str
    event: str
    step_label: str


class Analysis(TypedDict):
    completion: int
    starting_amount: int
    steps: int
    worst: int


class Bucket(TypedDict):
    steps: list[Step]
    analysis: Analysis


class Meta(TypedDict):
    dates: list[str]


class Funnel(TypedDict):
    meta: Meta
    data: dict[str, Bucket]


class SegmentedFunnel(TypedDict):
    meta: Meta
    data: dict[str, dict[str, list[Step]]]


class _Reached(NamedTuple):
    """How many users came to a step, and their milliseconds added up."""

    users: int
    since_previous: int
    since_entry: int


def funnel(store: Store, query: FunnelQuery) -> Funnel:
    """Count users per step and bucket.

    Raises:
        ExpressionError: a `where` is no expression.
        ValueError: there is no step, or the days or the interval are impossible.
    """
    buckets = _buckets(query)
    bindings = Bindings()
    sql = f"{_counted(query, buckets, None, bindings)} {_overall(query)}"
    found = {bucket: reached for bucket, _, reached in _rows(store, sql, bindings)}
    data: dict[str, Bucket] = {}
    for number, start in enumerate(buckets.dates):
        steps = _steps(query, found.get(number))
        data[start] = {"steps": steps, "analysis": _analysis(steps)}
    return {"meta": {"dates": buckets.dates}, "data": data}


def segmented_funnel(
    store: Store, query: FunnelQuery, on: str, limit: int = DEFAULT_SEGMENTS
) -> SegmentedFunnel:
    """Count users per step, bucket and value of `on`, for the `limit` most entered values.

    Raises:
        ExpressionError: `on` or a `where` is no expression.
        ValueError: there is no step, or the days or the interval are impossible.
    """
    buckets = _buckets(query)
    bindings = Bindings()
    counted = _counted(query, buckets, on, bindings)
    columns = ", ".join(("bucket", "name", *_sums(query)))
    shown = is_shown("totals", "count_1", limit)
    sql = f"""{counted}
        SELECT {columns} FROM totals LEFT JOIN candidates_segments USING (segment) WHERE {shown}
        UNION ALL {_overall(query)}
        ORDER BY bucket, count_1 DESC, name"""  # noqa: S608  # values are parameters, names and numbers ours
    found: dict[int, dict[str | None, list[Step]]] = {
        bucket: {None: _steps(query, None)} for bucket in range(len(buckets.dates))
    }
    for bucket, name, reached in _rows(store, sql, bindings):
        found[bucket][name] = _steps(query, reached)
    data = {start: by_name(found[bucket]) for bucket, start in enumerate(buckets.dates)}
    return {"meta": {"dates": buckets.dates}, "data": data}


def _buckets(query: FunnelQuery) -> Buckets:
    if not query.steps:
        raise ValueError("a funnel has at least one step")
    return Buckets(query.from_date, query.to_date, query.unit, query.interval)


def _counted(query: FunnelQuery, buckets: Buckets, on: str | None, bindings: Bindings) -> str:
    """WITH ... totals: the sums of each bucket and segment."""
    sums = ", ".join(f"{sql} AS {name}" for name, sql in _sums(query).items())
    last = len(query.steps)
    parts = [
        _candidates(query, buckets, on, bindings),
        f"""reached_1 AS (
            SELECT person, segment, {buckets.number("time")} AS bucket, time AS time_1
            FROM candidates WHERE is_step_1 AND {buckets.within("time")}
            QUALIFY row_number() OVER (PARTITION BY person, bucket ORDER BY time, segment) = 1
        )""",  # noqa: S608  # values are parameters, names and numbers ours
        *(_reached(step, query.window) for step in range(2, last + 1)),
        f"totals AS (SELECT bucket, segment, {sums} FROM reached_{last} GROUP BY bucket, segment)",  # noqa: S608  # values are parameters, names and numbers ours
    ]
    return f"WITH {', '.join(parts)}"


def _candidates(query: FunnelQuery, buckets: Buckets, on: str | None, bindings: Bindings) -> str:
    """Read the events once, and note which steps each one fits."""
    steps = [f"is_step_{number}" for number in range(1, len(query.steps) + 1)]
    fits = [
        f"{each.sql(bindings)} AS {name}" for each, name in zip(query.steps, steps, strict=True)
    ]
    events = selected_events(
        query.steps,
        bindings,
        query.where,
        on,
        from_time=buckets.from_time,
        to_time=buckets.to_time + query.window,
    )
    segment = [] if on is None else [f"{segment_name(on, bindings)} AS segment"]
    where = Selector(where=query.where).sql(bindings)
    found = f"""SELECT distinct_id, time, {", ".join([*segment, *fits])}
        FROM {events} WHERE {where}"""  # noqa: S608  # values are parameters, names and numbers ours
    return numbered("candidates", found, ["time", *steps], segmented=on is not None)


def _reached(step: int, window: int) -> str:
    """Add the time at which a step was reached, or NULL."""
    return f"""reached_{step} AS (
        SELECT earlier.*,
            CASE WHEN later.time <= earlier.time_1 + {window} THEN later.time END AS time_{step}
        FROM reached_{step - 1} AS earlier
        ASOF LEFT JOIN (SELECT person, time FROM candidates WHERE is_step_{step}) AS later
            ON later.person = earlier.person AND later.time > earlier.time_{step - 1}
    )"""  # noqa: S608  # values are parameters, names and numbers ours


def _sums(query: FunnelQuery) -> dict[str, str]:
    """The columns that `_rows` reads, and how they come from those who were followed."""
    sums = {"count_1": "count(*)"}
    for step in range(2, len(query.steps) + 1):
        sums[f"count_{step}"] = f"count(time_{step})"
        sums[f"since_previous_{step}"] = f"coalesce(sum(time_{step} - time_{step - 1}), 0)"
        sums[f"since_entry_{step}"] = f"coalesce(sum(time_{step} - time_1), 0)"
    return sums


def _overall(query: FunnelQuery) -> str:
    sums = ", ".join(f"sum({name}) AS {name}" for name in _sums(query))
    return f"SELECT bucket, NULL AS segment, {sums} FROM totals GROUP BY bucket"  # noqa: S608  # values are parameters, names and numbers ours


def _rows(
    store: Store, sql: str, bindings: Bindings
) -> Iterator[tuple[int, str | None, list[_Reached]]]:
    for bucket, name, entered, *later in store.rows(sql, bindings.values):
        threes = zip(later[0::3], later[1::3], later[2::3], strict=True)
        yield bucket, name, [_Reached(entered, 0, 0), *map(_Reached._make, threes)]


def _steps(query: FunnelQuery, reached: Sequence[_Reached] | None) -> list[Step]:
    """Write the steps of a bucket; None is a bucket that nobody entered."""
    reached = reached or [_Reached(0, 0, 0)] * len(query.steps)
    return [_step(selector.label, number, reached) for number, selector in enumerate(query.steps)]


def _step(event: str, number: int, reached: Sequence[_Reached]) -> Step:
    here = reached[number]
    later = number > 0
    return {
        "count": here.users,
        "avg_time": _seconds(here.since_previous, here.users) if later and here.users else None,
        "avg_time_from_start": _seconds(here.since_entry, here.users) if here.users else 0,
        "step_conv_ratio": _ratio(here.users, reached[number - 1].users) if later else 1.0,
        "overall_conv_ratio": _ratio(here.users, reached[0].users) if later else 1.0,
        "goal": event,
        "event": event,
        "step_label": event,
    }


def _analysis(steps: Sequence[Step]) -> Analysis:
    later = range(1, len(steps))
    return {
        "completion": steps[-1]["count"],
        "starting_amount": steps[0]["count"],
        "steps": len(steps),
        "worst": min(later, key=lambda number: steps[number]["step_conv_ratio"], default=0),
    }


def _ratio(count: int, of: int) -> float:
    return count / of if of else 0.0


def _seconds(milliseconds: int, count: int) -> int:
    return round(milliseconds / (1_000 * count))
