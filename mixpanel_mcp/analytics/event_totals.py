"""Events by name: several over time, the most common ones, and those of today.

Sources: `query.openapi.yaml` /events, /events/names, /events/top.

- Each name that was asked for has a series, also one that never occurred.
- Names come with the most common first; equals in the order of their names.
- Of today's events, `percent_change` compares with the whole of yesterday: 0.5 is half as much
  again. Where Mixpanel's documents are silent: an event that did not occur yesterday has 1.0.
  Events that did not occur today are left out.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, timedelta
from typing import TYPE_CHECKING, TypedDict

from mixpanel_mcp.analytics.buckets import Buckets
from mixpanel_mcp.analytics.counted import events_source
from mixpanel_mcp.analytics.dialect import at_most
from mixpanel_mcp.analytics.expressions import Bindings
from mixpanel_mcp.analytics.series import (
    Measure,
    SeriesReport,
    amount,
    count_series,
    empty_values,
    series_report,
)

if TYPE_CHECKING:
    from mixpanel_mcp.analytics.store import Store


class TopEvent(TypedDict):
    amount: float
    event: str
    percent_change: float


def event_totals(
    store: Store, names: Iterable[str], buckets: Buckets, measure: Measure
) -> SeriesReport:
    """Count each of the events in each bucket.

    Raises:
        ValueError: there would be too many numbers.
    """
    names, bindings = list(dict.fromkeys(names)), Bindings()
    source = events_source(
        bindings, from_time=buckets.from_time, to_time=buckets.to_time, names=names
    )
    values = empty_values(names, buckets)
    values |= count_series(
        store,
        f"SELECT event AS segment, time, distinct_id FROM {source}",  # noqa: S608  # parameters
        bindings,
        buckets=buckets,
        measure=measure,
    )
    return series_report(buckets, values)


def event_names(store: Store, span: Buckets, measure: Measure, limit: int) -> list[str]:
    """List the most common events of the span's days; Mixpanel's own span is the last 31 days."""
    return list(_ranked(store, span, measure, limit))


def top_events(store: Store, today: date, measure: Measure, limit: int) -> list[TopEvent]:
    """List the most common events of today, with how they changed since yesterday."""
    yesterday = today - timedelta(days=1)
    with store.transaction():
        now = _ranked(store, Buckets(today, today), measure, limit)
        before = _ranked(store, Buckets(yesterday, yesterday), measure, None)
    return [
        {"amount": amount, "event": event, "percent_change": _change(before.get(event), amount)}
        for event, amount in now.items()
    ]


def _ranked(store: Store, span: Buckets, measure: Measure, limit: int | None) -> dict[str, float]:
    bindings = Bindings()
    source = events_source(bindings, from_time=span.from_time, to_time=span.to_time)
    most = "" if limit is None else at_most(limit)
    rows = store.rows(
        f"SELECT event, {amount(measure)} AS amount FROM {source}"  # noqa: S608  # parameters
        f" GROUP BY event ORDER BY amount DESC, event {most}",
        bindings.values,
    )
    return dict(rows)


def _change(before: float | None, now: float) -> float:
    return 1.0 if before is None else (now - before) / before
