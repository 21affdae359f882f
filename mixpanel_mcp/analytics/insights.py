"""Insights reports as they are saved: events counted in total or by unique user.

Sources: `query.openapi.yaml` /insights, page "Query Saved Report".

- `series` nests one level per header: the event, the value of the breakdown if there is one, and
  the beginning of the bucket (line) or "all" (bar and table), each with its number.
- Unique users are counted once per bucket; in a bar or table once in the whole range.
- Days are days in UTC, weeks begin on Monday. A breakdown names an event property, or is an
  expression if it begins as one (`properties["plan"]`, `user["plan"]`). A missing property is
  the value "undefined".

Where Mixpanel's documents are silent: every bucket of a line is listed, also with 0. Under a
breakdown "$overall" stands beside the values, and of very many values only the largest are shown.
An event that occurs twice in a report is told apart by what is counted, then by a number.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import TYPE_CHECKING, Literal, NamedTuple, TypedDict

from mixpanel_mcp.analytics.buckets import Buckets, BucketUnit
from mixpanel_mcp.analytics.expressions import Bindings
from mixpanel_mcp.analytics.segments import by_name, is_shown, segment_name
from mixpanel_mcp.analytics.selectors import Selector, selected_events

if TYPE_CHECKING:
    from mixpanel_mcp.analytics.store import Store

Math = Literal["total", "unique"]
Chart = Literal["line", "bar", "table"]

_MOST_SEGMENTS = 3_000


class Metric(NamedTuple):
    selector: Selector
    math: Math = "total"


@dataclass(frozen=True)
class InsightsQuery:
    metrics: Sequence[Metric]
    from_date: date
    to_date: date
    unit: BucketUnit = "day"
    chart: Chart = "line"
    breakdown: str | None = None


class DateRange(TypedDict):
    from_date: str
    to_date: str


Leaf = dict[str, int]
Series = dict[str, Leaf] | dict[str, dict[str, Leaf]]


class InsightsReport(TypedDict):
    computed_at: str
    date_range: DateRange
    headers: list[str]
    series: Series


def insights(store: Store, query: InsightsQuery, computed_at: datetime) -> InsightsReport:
    """Count the events or users of each metric.

    Raises:
        ExpressionError: a `where` or the breakdown is no expression.
        ValueError: there is nothing to count, or the days are impossible.
    """
    if not query.metrics:
        raise ValueError("a report counts at least one event")
    headers = ["$event"] if query.breakdown is None else ["$event", query.breakdown]
    return {
        "computed_at": computed_at.isoformat(),
        "date_range": {
            "from_date": f"{query.from_date}T00:00:00+00:00",
            "to_date": f"{query.to_date}T23:59:59.999000+00:00",
        },
        "headers": headers,
        "series": _series(store, query),
    }


def _series(store: Store, query: InsightsQuery) -> Series:
    buckets = Buckets(query.from_date, query.to_date, query.unit)
    keys = [start.isoformat() for start in buckets.starts] if query.chart == "line" else ["all"]
    labels = dict(enumerate(_labels(query)))
    zeros = dict.fromkeys(keys, 0)
    series: dict[int, dict[str | None, Leaf]] = {metric: {None: zeros.copy()} for metric in labels}
    bindings = Bindings()
    sql = _counted(query, buckets, bindings)
    for metric, bucket, segment, number in store.rows(sql, bindings.values):
        if segment not in series[metric]:
            series[metric][segment] = zeros.copy()
        series[metric][segment][keys[bucket]] = number
    if query.breakdown is None:
        return {labels[metric]: segments[None] for metric, segments in series.items()}
    return {labels[metric]: by_name(segments) for metric, segments in series.items()}


def _counted(query: InsightsQuery, buckets: Buckets, bindings: Bindings) -> str:
    """SQL for rows of metric, bucket, segment and number."""
    relations = [_candidates(query, buckets, bindings)]
    rows: list[str] = []
    for metric, (_, math) in enumerate(query.metrics):
        number = "count(*)" if math == "total" else "count(DISTINCT distinct_id)"
        counted = f"SELECT {metric} AS metric, bucket, segment, {number} AS number"
        found = f"FROM candidates WHERE fits_{metric}"
        rows.append(f"SELECT {metric}, bucket, NULL, {number} {found} GROUP BY bucket")
        if query.breakdown is not None:
            relations.append(f"counted_{metric} AS ({counted} {found} GROUP BY bucket, segment)")
            shown = is_shown(f"counted_{metric}", "number", _MOST_SEGMENTS)
            rows.append(f"SELECT * FROM counted_{metric} WHERE {shown}")  # noqa: S608  # values are parameters, names and numbers ours
    return f"WITH {', '.join(relations)} {' UNION ALL '.join(rows)} ORDER BY 1, 3, 2"


def _candidates(query: InsightsQuery, buckets: Buckets, bindings: Bindings) -> str:
    selectors = [metric.selector for metric in query.metrics]
    columns = [f"{buckets.number('time')} AS bucket" if query.chart == "line" else "0 AS bucket"]
    breakdown = None if query.breakdown is None else _expression(query.breakdown)
    if breakdown is not None:
        columns.append(f"{segment_name(breakdown, bindings)} AS segment")
    columns += [f"{selector.sql(bindings)} AS fits_{i}" for i, selector in enumerate(selectors)]
    events = selected_events(
        selectors,
        bindings,
        breakdown,
        from_time=buckets.from_time,
        to_time=buckets.to_time,
    )
    return f"""candidates AS MATERIALIZED (
        SELECT distinct_id, {", ".join(columns)} FROM {events}
    )"""  # noqa: S608  # values are parameters, names and numbers ours


def _labels(query: InsightsQuery) -> list[str]:
    """Name the metrics by their events, and apart where events are the same."""
    names = [metric.selector.label for metric in query.metrics]
    repeated = {name for name, times in Counter(names).items() if times > 1}
    labels: list[str] = []
    for name, (_, math) in zip(names, query.metrics, strict=True):
        label = wanted = f"{name} - {math.capitalize()}" if name in repeated else name
        number = 1
        while label in labels:
            number += 1
            label = f"{wanted} #{number}"
        labels.append(label)
    return labels


def _expression(breakdown: str) -> str:
    if breakdown.startswith(("properties[", "user[")):
        return breakdown
    escaped = breakdown.replace("\\", "\\\\").replace('"', '\\"')
    return f'properties["{escaped}"]'
