"""JQL: checked, not yet computed.

Source: `query.openapi.yaml`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.responses import Response

from mixpanel_mcp.sandbox.authentication import require_service_account
from mixpanel_mcp.sandbox.bodies import read_form
from mixpanel_mcp.sandbox.json_values import NotJsonError, is_object, parse_json
from mixpanel_mcp.sandbox.parameters import Parameters
from mixpanel_mcp.sandbox.replies import not_computed

if TYPE_CHECKING:
    from starlette.requests import Request


async def query_jql(request: Request) -> Response:
    form = dict(await read_form(request))
    _authenticated(request, form.get("project_id"))
    parameters = Parameters.of(request, form)
    parameters.required("script")
    params = parameters.text("params")
    if params is not None and not _is_json_object(params):
        raise parameters.refuse("params must be a JSON object")
    raise not_computed("JQL")


def _authenticated(request: Request, project_id: str | None = None) -> Parameters:
    require_service_account(request, request.query_params.get("project_id", project_id))
    parameters = Parameters.of(request)
    parameters.integer("workspace_id")
    return parameters


def _is_json_object(text: str) -> bool:
    try:
        return is_object(parse_json(text))
    except NotJsonError:
        return False
