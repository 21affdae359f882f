"""The raw export: `/api/2.0/export`.

Source: `export.openapi.yaml`. Events come in the order they were stored and may repeat: an export
is never de-duplicated. The refusals are plain text. `distinct_id` is the canonical one.
"""

from __future__ import annotations

import zlib
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING

from anyio import to_thread
from starlette.responses import Response, StreamingResponse

from mixpanel_mcp.analytics.raw_export import export_lines
from mixpanel_mcp.sandbox.authentication import require_service_account
from mixpanel_mcp.sandbox.clock import midnight
from mixpanel_mcp.sandbox.parameters import Parameters
from mixpanel_mcp.sandbox.replies import refused_plainly
from mixpanel_mcp.sandbox.state import Project, project_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from starlette.requests import Request

MOST_EVENTS = 100_000

_SMALLEST_ZIPPED = 1_400


async def export(request: Request) -> Response:
    require_service_account(request, request.query_params.get("project_id"))
    parameters = Parameters(request.query_params, refused_plainly)
    pieces = _pieces(project_of(request), parameters)
    first = await to_thread.run_sync(next, pieces, b"")
    headers = {"Vary": "Accept-Encoding"}
    if _wants_gzip(request) and len(first) > _SMALLEST_ZIPPED:
        headers["Content-Encoding"] = "gzip"
        body = _zipped(_all(first, pieces))
    else:
        body = _all(first, pieces)
    return StreamingResponse(body, media_type="text/plain", headers=headers)


def _pieces(project: Project, parameters: Parameters) -> Iterator[bytes]:
    from_date, to_date = parameters.required_dates()
    if to_date > project.clock.today():
        raise refused_plainly("to_date cannot be later than today")
    names = parameters.texts("event")
    limit = parameters.integer("limit", most=MOST_EVENTS)
    time_in_ms = parameters.switch("time_in_ms")
    where = parameters.condition("where")
    return export_lines(
        project.store,
        from_time=midnight(from_date),
        to_time=midnight(to_date + timedelta(days=1)),
        names=names,
        where=where,
        limit=limit,
        time_in_ms=bool(time_in_ms),
    )


async def _all(first: bytes, pieces: Iterator[bytes]) -> AsyncIterator[bytes]:
    """Yield piece by piece; each is fetched in a thread, so that others are served meanwhile."""
    piece = first
    while piece:
        yield piece
        piece = await to_thread.run_sync(next, pieces, b"")


async def _zipped(pieces: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    zipper = zlib.compressobj(level=6, wbits=31)
    async for piece in pieces:
        packed = await to_thread.run_sync(partial(zipper.compress, piece))
        if packed:
            yield packed
    yield zipper.flush()


def _wants_gzip(request: Request) -> bool:
    for choice in request.headers.get("accept-encoding", "").split(","):
        coding, _, weight = choice.partition(";")
        if coding.strip().lower() == "gzip":
            return weight.replace(" ", "") not in ("q=0", "q=0.0", "q=0.00", "q=0.000")
    return False
