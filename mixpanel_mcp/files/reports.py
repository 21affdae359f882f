"""The reports of `analytics`, asked by name over an export."""

from collections.abc import Mapping
from datetime import date
from typing import Any

from mixpanel_mcp.analytics.buckets import Buckets
from mixpanel_mcp.analytics.frequency import FrequencyQuery, frequency, segmented_frequency
from mixpanel_mcp.analytics.funnels import FunnelQuery, funnel, segmented_funnel
from mixpanel_mcp.analytics.retention import RetentionQuery, retention, segmented_retention
from mixpanel_mcp.analytics.segmentation import SegmentationQuery, segmentation
from mixpanel_mcp.analytics.selectors import Selector
from mixpanel_mcp.analytics.store import Store


def report(store: Store, asked: Mapping[str, Any]) -> Mapping[str, Any]:
    """Count what is asked for; the shapes are those of the Query API.

    Args:
        store: the events.
        asked: `report`, `from_date`, `to_date`, and what the report takes; None is not given.

    Raises:
        ValueError: an argument is missing or impossible, or an expression is none.
    """
    given = {name: value for name, value in asked.items() if value is not None}
    given["from_date"] = date.fromisoformat(given["from_date"])
    given["to_date"] = date.fromisoformat(given["to_date"])
    return _REPORTS[given.pop("report")](store, given)


def _segmentation(store: Store, given: dict[str, Any]) -> Mapping[str, Any]:
    first, last = given["from_date"], given["to_date"]
    query = SegmentationQuery(
        event=given["event"],
        buckets=Buckets(first, last, given.get("unit", "day"), given.get("interval", 1)),
        **_chosen(given, "on", "where", "measure", "limit"),
    )
    return segmentation(store, query)


def _funnel(store: Store, given: dict[str, Any]) -> Mapping[str, Any]:
    first, last = given["from_date"], given["to_date"]
    query = FunnelQuery(
        steps=[Selector(**each) for each in given["steps"]],
        # Mixpanel's own answer is for all days together, unless days are asked for.
        interval=given.get("interval", (last - first).days + 1 if "unit" not in given else 1),
        **_chosen(given, "from_date", "to_date", "length", "length_unit", "unit", "where"),
    )
    on = given.get("on")
    return (
        funnel(store, query) if on is None else segmented_funnel(store, query, on, **_limit(given))
    )


def _retention(store: Store, given: dict[str, Any]) -> Mapping[str, Any]:
    born = given.get("born_event")
    query = RetentionQuery(
        born=None if born is None else Selector(born, given.get("born_where")),
        returned=Selector(given.get("event"), given.get("where")),
        **_chosen(given, "from_date", "to_date", "unit", "interval", "interval_count", "unbounded"),
    )
    on = given.get("on")
    if on is None:
        return retention(store, query)
    return segmented_retention(store, query, on, **_limit(given))


def _frequency(store: Store, given: dict[str, Any]) -> Mapping[str, Any]:
    query = FrequencyQuery(
        selector=Selector(given.get("event"), given.get("where")),
        **_chosen(given, "from_date", "to_date", "unit", "addiction_unit"),
    )
    on = given.get("on")
    if on is None:
        return frequency(store, query)
    return segmented_frequency(store, query, on, **_limit(given))


_REPORTS = {
    "segmentation": _segmentation,
    "funnel": _funnel,
    "retention": _retention,
    "frequency": _frequency,
}


def _chosen(given: Mapping[str, Any], *names: str) -> dict[str, Any]:
    return {name: given[name] for name in names if name in given}


def _limit(given: Mapping[str, Any]) -> dict[str, int]:
    return {"limit": given["limit"]} if "limit" in given else {}
