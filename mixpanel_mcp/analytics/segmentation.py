"""Segmentation: one event over time, as a whole or by the values of an expression.

Sources: `query.openapi.yaml` /segmentation, page "Query Segmentation Report".

- Without `on` there is one series, named as the event; with it one for each value, of which the
  `limit` largest are shown. A missing property is the segment "undefined", a null is "null", a
  number appears without needless zeros (5.0 is the segment 5), a list or an object as JSON.
- `where` drops the events for which it is false or undefined.
- Days are days in UTC, weeks begin on Monday. With an `interval`, the buckets are that many days
  long, and the first begins with the first day.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from mixpanel_mcp.analytics.expressions import Bindings
from mixpanel_mcp.analytics.segments import segment_name
from mixpanel_mcp.analytics.selectors import Selector, selected_events
from mixpanel_mcp.analytics.series import (
    Measure,
    SeriesReport,
    count_series,
    empty_values,
    series_report,
)

if TYPE_CHECKING:
    from mixpanel_mcp.analytics.buckets import Buckets
    from mixpanel_mcp.analytics.store import Store

DEFAULT_LIMIT = 60


@dataclass(frozen=True)
class SegmentationQuery:
    event: str
    buckets: Buckets
    on: str | None = None
    where: str | None = None
    measure: Measure = "general"
    limit: int = DEFAULT_LIMIT


def segmentation(store: Store, query: SegmentationQuery) -> SeriesReport:
    """Count the event in each bucket.

    Raises:
        ExpressionError: `on` or `where` is no expression.
        ValueError: there would be too many numbers.
    """
    buckets, bindings = query.buckets, Bindings()
    selector = Selector(query.event, query.where)
    source = selected_events(
        [selector], bindings, query.on, from_time=buckets.from_time, to_time=buckets.to_time
    )
    segment = bindings.add(query.event) if query.on is None else segment_name(query.on, bindings)
    values = count_series(
        store,
        f"SELECT {segment} AS segment, time, distinct_id FROM {source}"  # noqa: S608  # parameters
        f" WHERE {selector.sql(bindings)}",
        bindings,
        buckets=buckets,
        measure=query.measure,
        limit=query.limit,
    )
    if query.on is None:
        values = values or empty_values([query.event], buckets)
    return series_report(buckets, values)
