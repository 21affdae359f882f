"""Saved Insights reports, computed over the days they were saved with.

Source: `query.openapi.yaml` (`/insights`).
"""

from __future__ import annotations

from datetime import date
from typing import Any

from mixpanel_mcp.analytics.insights import InsightsQuery, InsightsReport, Metric, insights
from mixpanel_mcp.analytics.selectors import Selector
from mixpanel_mcp.sandbox.clock import moment
from mixpanel_mcp.sandbox.queries import Query


def query_insights(query: Query) -> InsightsReport:
    bookmark_id = query.parameters.required_integer("bookmark_id")
    saved = query.project.saved("insights").get(bookmark_id)
    if saved is None:
        raise query.parameters.refuse(f"report {bookmark_id} does not exist in this project")
    return insights(query.project.store, _asked(saved), moment(query.project.clock.now()))


def _asked(saved: dict[str, Any]) -> InsightsQuery:
    return InsightsQuery(
        metrics=[
            Metric(Selector(each["event"], each.get("where")), each["math"])
            for each in saved["events"]
        ],
        from_date=date.fromisoformat(saved["from_date"]),
        to_date=date.fromisoformat(saved["to_date"]),
        unit=saved["unit"],
        chart=saved["chart"],
        breakdown=saved.get("breakdown"),
    )
