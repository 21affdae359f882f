"""Retention and frequency.

Source: `query.openapi.yaml` (`/retention`, `/retention/addiction`). `where` is said there to filter
the born events, in the words of `born_where`; here it filters the events that count as a return.
The reply of the frequency report has `data` around it, as in the specification; the page
`retention-frequency-query` shows it bare.
"""

from __future__ import annotations

from typing import Any

from mixpanel_mcp.analytics.frequency import FrequencyQuery, frequency, segmented_frequency
from mixpanel_mcp.analytics.retention import RetentionQuery, retention, segmented_retention
from mixpanel_mcp.analytics.segments import DEFAULT_SEGMENTS
from mixpanel_mcp.analytics.selectors import Selector
from mixpanel_mcp.sandbox.queries import Query

_LONGEST_DAYS = 90
_MOST_INTERVALS = 1_000
_MOST_SEGMENTS = 10_000


def query_retention(query: Query) -> Any:
    parameters = query.parameters
    dates = parameters.required_dates()
    is_birth = parameters.choice("retention_type", ("birth", "compounded")) != "compounded"
    unit = parameters.choice("unit", ("day", "week", "month")) or "day"
    most = _LONGEST_DAYS if unit == "day" else _MOST_INTERVALS
    born_where = parameters.condition("born_where")
    on, limit = parameters.segment("on"), parameters.integer("limit", most=_MOST_SEGMENTS)
    asked = RetentionQuery(
        from_date=dates[0],
        to_date=dates[1],
        born=Selector(parameters.required("born_event"), born_where) if is_birth else None,
        returned=Selector(parameters.text("event"), parameters.condition("where")),
        unit=unit,
        interval=parameters.integer("interval", most=most) or 1,
        interval_count=parameters.integer("interval_count", most=_MOST_INTERVALS) or 1,
        unbounded=parameters.switch("unbounded_retention") is True,
    )
    store = query.project.store
    if on is None:
        return retention(store, asked)
    return segmented_retention(store, asked, on, limit or DEFAULT_SEGMENTS)


def query_frequency(query: Query) -> Any:
    parameters = query.parameters
    dates = parameters.required_dates()
    parameters.required("unit")
    parameters.required("addiction_unit")
    unit = parameters.choice("unit", ("day", "week", "month")) or "day"
    on, limit = parameters.segment("on"), parameters.integer("limit", most=_MOST_SEGMENTS)
    asked = FrequencyQuery(
        from_date=dates[0],
        to_date=dates[1],
        unit=unit,
        addiction_unit=parameters.choice("addiction_unit", ("hour", "day")) or "hour",
        selector=Selector(parameters.text("event"), parameters.condition("where")),
    )
    store = query.project.store
    if on is None:
        return {"data": frequency(store, asked)}
    return {"data": segmented_frequency(store, asked, on, limit or DEFAULT_SEGMENTS)}
