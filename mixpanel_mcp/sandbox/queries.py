"""One call of the query API: authenticated, worked on in a thread, answered with JSON."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from anyio import to_thread
from starlette.responses import JSONResponse, Response

from mixpanel_mcp.sandbox.authentication import require_service_account
from mixpanel_mcp.sandbox.bodies import read_form
from mixpanel_mcp.sandbox.parameters import Parameters
from mixpanel_mcp.sandbox.state import Project, project_of

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from starlette.requests import Request


class Query(NamedTuple):
    project: Project
    parameters: Parameters


def answering(work: Callable[[Query], Any]) -> Callable[[Request], Awaitable[Response]]:
    """Make an endpoint of a function that computes the reply, or refuses."""

    async def endpoint(request: Request) -> Response:
        values = dict(request.query_params)
        if request.method == "POST":
            values = dict(await read_form(request)) | values
        require_service_account(request, values.get("project_id"))
        query = Query(project_of(request), Parameters.of(request, values))
        query.parameters.integer("workspace_id")
        return await to_thread.run_sync(_answer, work, query)

    return endpoint


def _answer(work: Callable[[Query], Any], query: Query) -> Response:
    try:
        reply = work(query)
    except ValueError as error:  # how `analytics` refuses a question that nobody can answer
        raise query.parameters.refuse(str(error)) from error
    return reply if isinstance(reply, Response) else JSONResponse(reply)
