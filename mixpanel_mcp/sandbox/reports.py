"""Saved reports and cohorts: listed and checked, not yet computed.

Source: `query.openapi.yaml`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from anyio import to_thread
from starlette.responses import JSONResponse, Response

from mixpanel_mcp.sandbox.authentication import require_service_account
from mixpanel_mcp.sandbox.bodies import read_form
from mixpanel_mcp.sandbox.credentials import PROJECT_ID
from mixpanel_mcp.sandbox.parameters import Parameters
from mixpanel_mcp.sandbox.replies import not_computed
from mixpanel_mcp.sandbox.state import Kind, Project, project_of

if TYPE_CHECKING:
    from starlette.requests import Request

_LONGEST_WINDOW = {"day": 90, "hour": 90 * 24, "minute": 90 * 1440, "second": 90 * 86400}


async def list_funnels(request: Request) -> Response:
    _authenticated(request)
    funnels = await _saved(project_of(request), "funnel")
    return JSONResponse([{"funnel_id": i, "name": body["name"]} for i, body in funnels.items()])


async def query_funnel(request: Request) -> Response:
    parameters = _authenticated(request)
    funnel_id = parameters.required_integer("funnel_id")
    parameters.required_dates()
    unit = parameters.choice("length_unit", tuple(_LONGEST_WINDOW)) or "day"
    parameters.integer("length", most=_LONGEST_WINDOW[unit])
    parameters.integer("interval")
    parameters.choice("unit", ("day", "week", "month"))
    parameters.integer("limit", most=10_000)
    parameters.expression("on")
    parameters.expression("where")
    if funnel_id not in await _saved(project_of(request), "funnel"):
        raise parameters.refuse(f"funnel {funnel_id} does not exist in this project")
    raise not_computed("funnels")


async def query_insights(request: Request) -> Response:
    parameters = _authenticated(request)
    bookmark_id = parameters.required_integer("bookmark_id")
    if bookmark_id not in await _saved(project_of(request), "insights"):
        raise parameters.refuse(f"report {bookmark_id} does not exist in this project")
    raise not_computed("insights reports")


async def list_cohorts(request: Request) -> Response:
    form = dict(await read_form(request))
    _authenticated(request, form.get("project_id"))
    cohorts = await _saved(project_of(request), "cohort")
    return JSONResponse([_cohort(identifier, body) for identifier, body in cohorts.items()])


def _authenticated(request: Request, project_id: str | None = None) -> Parameters:
    require_service_account(request, request.query_params.get("project_id", project_id))
    parameters = Parameters.of(request)
    parameters.integer("workspace_id")
    return parameters


async def _saved(project: Project, kind: Kind) -> dict[int, dict[str, Any]]:
    return await to_thread.run_sync(project.saved, kind)


def _cohort(identifier: int, body: dict[str, Any]) -> dict[str, Any]:
    listed = {
        "id": identifier,
        "name": body["name"],
        "description": body.get("description", ""),
        "created": body["created"],
        "is_visible": 1,
        "project_id": PROJECT_ID,
    }
    # How many profiles a `where` selects is not computed yet, and a number would be invented.
    if "distinct_ids" in body:
        listed["count"] = len(set(body["distinct_ids"]))
    return listed
