"""`POST /jql` of the query API, on its present and its older path.

Source: `query.openapi.yaml` /jql. A script at fault is answered with 400, its message and place.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from anyio import CapacityLimiter, to_thread
from anyio.lowlevel import RunVar
from starlette.responses import JSONResponse, Response

from mixpanel_mcp.sandbox.authentication import require_service_account
from mixpanel_mcp.sandbox.bodies import read_form
from mixpanel_mcp.sandbox.jql.errors import EngineMissingError, JqlError
from mixpanel_mcp.sandbox.jql.execution import run_script
from mixpanel_mcp.sandbox.jql.process import ScriptProcess
from mixpanel_mcp.sandbox.json_values import NotJsonError, is_object, parse_json
from mixpanel_mcp.sandbox.parameters import Parameters
from mixpanel_mcp.sandbox.replies import RefusedError, not_computed
from mixpanel_mcp.sandbox.state import project_of

if TYPE_CHECKING:
    from starlette.requests import Request

# As many as Mixpanel runs at once. Others wait: each may take all the memory that a script has.
_SCRIPTS_AT_ONCE = 5
_turns: RunVar[CapacityLimiter] = RunVar("jql_turns")


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
    process = ScriptProcess(request.app.state.jql_limits)
    work = partial(run_script, project_of(request).store, process, script, params)
    try:
        # Who goes away, or a server that stops, waits for no script.
        return await to_thread.run_sync(work, abandon_on_cancel=True, limiter=_limiter())
    except JqlError as error:
        raise Parameters.of(request).refuse(str(error)) from error
    except EngineMissingError:
        raise _no_engine() from None
    finally:
        process.stop()


def _authenticate(request: Request, form: dict[str, str]) -> None:
    project_id = request.query_params.get("project_id", form.get("project_id"))
    require_service_account(request, project_id)
    Parameters.of(request).integer("workspace_id")


def _limiter() -> CapacityLimiter:
    try:
        return _turns.get()
    except LookupError:
        limiter = CapacityLimiter(_SCRIPTS_AT_ONCE)
        _turns.set(limiter)
        return limiter


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
