"""`POST /jql` of the query API, on its present and its older path.

Source: `query.openapi.yaml` /jql. A script at fault is answered with 400, its message and place.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.responses import JSONResponse, Response

from mixpanel_mcp.sandbox.authentication import require_service_account
from mixpanel_mcp.sandbox.bodies import read_form
from mixpanel_mcp.sandbox.jql.errors import EngineMissingError, JqlError
from mixpanel_mcp.sandbox.json_values import NotJsonError, is_object, parse_json
from mixpanel_mcp.sandbox.parameters import Parameters
from mixpanel_mcp.sandbox.replies import RefusedError, not_computed
from mixpanel_mcp.sandbox.state import project_of

if TYPE_CHECKING:
    from starlette.requests import Request

    from mixpanel_mcp.sandbox.jql.scripts import Scripts


async def query_jql(request: Request) -> Response:
    form = dict(await read_form(request))
    parameters = Parameters.of(request, form)
    _authenticate(request, form)
    script = parameters.required("script")
    if parameters.choice("format", ("json", "csv")) == "csv":
        raise not_computed("JQL results as CSV")
    params = parameters.text("params")
    if params is not None and not _is_json_object(params):
        raise parameters.refuse("params must be a JSON object")
    return Response(await _run(request, script, params or "{}"), media_type="application/json")


async def _run(request: Request, script: str, params: str) -> bytes:
    scripts: Scripts = request.app.state.scripts
    try:
        return await scripts.run(project_of(request).store, script, params)
    except JqlError as error:
        raise Parameters.of(request).refuse(str(error)) from error
    except EngineMissingError:
        raise _no_engine() from None


def _authenticate(request: Request, form: dict[str, str]) -> None:
    project_id = request.query_params.get("project_id", form.get("project_id"))
    require_service_account(request, project_id)
    Parameters.of(request).integer("workspace_id")


def _is_json_object(text: str) -> bool:
    try:
        return is_object(parse_json(text))
    except NotJsonError:
        return False


def _no_engine() -> RefusedError:
    error = (
        "JQL needs a JavaScript engine that is not installed here. Install it with: "
        "pip install quickjs-ng"
    )
    return RefusedError(JSONResponse({"error": error}, 501))
