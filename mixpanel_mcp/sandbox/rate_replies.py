"""How each family of endpoints says that it was too much: always 429, never the same body.

Sources: `ingestion.openapi.yaml` (`RateLimitExceeded`); replies captured in the field for the
query API, the raw export and ingestion that is not strict. None is documented to carry headers.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.responses import JSONResponse, Response

from mixpanel_mcp.sandbox.credentials import PROJECT_ID
from mixpanel_mcp.sandbox.replies import RefusedError

if TYPE_CHECKING:
    from starlette.types import Scope

_TOO_FAST = "Project exceeded rate limits. Please retry the request with exponential backoff."
_TOO_MANY_EXPORTS = "too many export requests in progress for this project"


def too_many_queries(scope: Scope, *, running: int, in_hour: int) -> Response:
    error = (
        f"Query rate limit exceeded for project_id: {PROJECT_ID}."
        f" {running}/5 queries running concurrently"
        f" and {in_hour}/60 queries running in the last hour."
    )
    return JSONResponse({"request": echo(scope), "error": error}, 429)


def too_many_exports() -> Response:
    return JSONResponse({"error": _TOO_MANY_EXPORTS}, 429)


def too_fast(path: str, *, strict: bool) -> Response:
    if path.rstrip("/") == "/import" and strict:
        body = {"code": 429, "error": _TOO_FAST, "status": "Too Many Requests"}
    else:
        body = {"error": _TOO_FAST, "status": 0}
    return JSONResponse(body, 429)


def too_much_data(path: str, *, strict: bool) -> RefusedError:
    return RefusedError(too_fast(path, strict=strict))


def echo(scope: Scope) -> str:
    """What was asked for, as the query API repeats it."""
    query = scope["query_string"].decode("ascii", errors="replace")
    return scope["path"] + (f"?{query}" if query else "")
