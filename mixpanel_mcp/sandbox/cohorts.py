"""Saved cohorts: listed with their sizes, and resolved to their members.

Source: `query.openapi.yaml` (`/cohorts/list`).
"""

from __future__ import annotations

from typing import Any

from mixpanel_mcp.analytics.cohorts import ByCondition, ByIds, Cohort, cohort_members
from mixpanel_mcp.sandbox.credentials import PROJECT_ID
from mixpanel_mcp.sandbox.queries import Query
from mixpanel_mcp.sandbox.state import Project


def list_cohorts(query: Query) -> list[dict[str, Any]]:
    cohorts = query.project.saved("cohort")
    return [
        {
            "id": identifier,
            "name": body["name"],
            "description": body.get("description", ""),
            "count": len(cohort_members(query.project.store, _defined(body))),
            "created": body["created"],
            "is_visible": 1,
            "project_id": PROJECT_ID,
        }
        for identifier, body in cohorts.items()
    ]


def members(project: Project, cohort: int) -> list[str]:
    return cohort_members(project.store, _defined(project.saved("cohort")[cohort]))


def _defined(body: dict[str, Any]) -> Cohort:
    if "distinct_ids" in body:
        return ByIds(body["distinct_ids"])
    return ByCondition(body["where"])
