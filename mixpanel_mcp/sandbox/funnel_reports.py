"""Saved funnels: listed and computed.

Source: `query.openapi.yaml` (`/funnels`, `/funnels/list`). `unit` is an alternative to `interval`
there, so that it counts where both are sent; `limit` does nothing without `on`.
"""

from __future__ import annotations

from typing import Any

from mixpanel_mcp.analytics.funnels import FunnelQuery, funnel, segmented_funnel
from mixpanel_mcp.analytics.segments import DEFAULT_SEGMENTS
from mixpanel_mcp.analytics.selectors import Selector
from mixpanel_mcp.sandbox.queries import Query

_LONGEST_WINDOW = {"day": 90, "hour": 90 * 24, "minute": 90 * 1440, "second": 90 * 86400}
_LONGEST_INTERVAL = 10_000
_MOST_SEGMENTS = 10_000


def list_funnels(query: Query) -> list[dict[str, Any]]:
    funnels = query.project.saved("funnel")
    return [{"funnel_id": i, "name": body["name"]} for i, body in funnels.items()]


def query_funnel(query: Query) -> Any:
    parameters = query.parameters
    funnel_id = parameters.required_integer("funnel_id")
    dates = parameters.required_dates()
    length_unit = parameters.choice("length_unit", ("day", "hour", "minute", "second"))
    length = parameters.integer("length", most=_LONGEST_WINDOW[length_unit or "day"])
    interval = parameters.integer("interval", most=_LONGEST_INTERVAL)
    unit = parameters.choice("unit", ("day", "week", "month"))
    if interval is not None and unit is not None:
        raise parameters.refuse("interval and unit exclude each other: send one of them")
    limit = parameters.integer("limit", most=_MOST_SEGMENTS) or DEFAULT_SEGMENTS
    on = parameters.segment("on")
    where = parameters.condition("where")
    saved = query.project.saved("funnel").get(funnel_id)
    if saved is None:
        raise parameters.refuse(f"funnel {funnel_id} does not exist in this project")
    asked = FunnelQuery(
        steps=[Selector(step["event"], step.get("where")) for step in saved["steps"]],
        from_date=dates[0],
        to_date=dates[1],
        length=length or saved["length"],
        length_unit=length_unit or saved["length_unit"],
        unit=unit or "day",
        interval=interval or 1,
        where=where,
    )
    store = query.project.store
    return funnel(store, asked) if on is None else segmented_funnel(store, asked, on, limit)
