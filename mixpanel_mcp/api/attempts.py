"""A line in the log and a span in the trace for each attempt to get an answer.

Nothing in them comes from a project.
"""

import logging
import re
from collections.abc import AsyncIterator, Awaitable
from functools import lru_cache
from typing import TypeVar

from mixpanel_mcp import spans
from mixpanel_mcp.api.errors import MixpanelError
from mixpanel_mcp.api.observers import attempted
from mixpanel_mcp.api.replies import Reply
from mixpanel_mcp.api.request import Request
from mixpanel_mcp.api.retry import AttemptFailedError, Pacing

_log = logging.getLogger(__name__)

_Answer = TypeVar("_Answer")

# The words of Mixpanel's own paths. Whatever else stands in a path names something of somebody: a
# project, a schema, a user.
_WORD = re.compile(
    r"""
    2\.0 | addiction | annotations | api | app | average | cancel | cohorts | create
    | data-deletions | data-retrievals | edit | engage | events | experiments | export
    | feature-flags | flags | funnels | groups | import | insights | jobs | jql | list
    | lookup-tables | me | names | nessie | numeric | organizations | pause | pipeline | projects
    | properties | query | resume | retention | schemas | segmentation | service-accounts | status
    | stream | sum | tags | timeline | top | track | v3\.0 | values | warehouse-sources | workspaces
    """,
    re.VERBOSE,
)


@lru_cache
def shown_path(path: str) -> str:
    """A path with `*` for each part that is no word of Mixpanel's."""
    return "/".join(part if not part or _WORD.fullmatch(part) else "*" for part in path.split("/"))


async def logged(
    request: Request, attempt: Awaitable[_Answer], *, number: int, pacing: Pacing
) -> _Answer:
    """Wait for an attempt and write down how it ended."""
    with spans.span(
        f"{request.method} {shown_path(request.path)}", _asked(request, number), outgoing=True
    ):
        return await _timed(request, attempt, number, pacing)


async def _timed(
    request: Request, attempt: Awaitable[_Answer], number: int, pacing: Pacing
) -> _Answer:
    begun, ended = pacing.clock(), "cancelled"
    try:
        answer = await attempt
    except AttemptFailedError as failed:
        if failed.reply is None:
            ended = failed.outcome.name.lower()
            spans.note({"error.type": ended})
        else:
            ended = _ended(failed.reply)
            _note_status(failed.reply.status)
        raise
    except MixpanelError as error:
        ended = type(error).__name__
        raise
    else:
        ended = _ended(answer)
        _note_status(getattr(answer, "status", None))
        return answer
    finally:
        attempted(request, ended, number=number)
        _log.debug(
            "%s %s: %s, %.0f ms, attempt %d",
            request.method,
            shown_path(request.path),
            ended,
            1000 * (pacing.clock() - begun),
            number,
        )


async def counted(
    request: Request, pieces: AsyncIterator[bytes], pacing: Pacing
) -> AsyncIterator[bytes]:
    """Hand on the pieces of a streamed reply, and write down how many bytes there were."""
    begun, size = pacing.clock(), 0
    try:
        async for piece in pieces:
            size += len(piece)
            yield piece
    finally:
        _log.debug(
            "%s %s: %d bytes streamed, %.0f ms",
            request.method,
            shown_path(request.path),
            size,
            1000 * (pacing.clock() - begun),
        )


def _asked(request: Request, number: int) -> spans.Attributes:
    return {
        "http.request.method": request.method,
        "url.template": shown_path(request.path),
        "http.request.resend_count": number - 1 or None,
        "mixpanel.api": request.family.value,
        "mixpanel.region": request.region.value,
    }


def _note_status(status: int | None) -> None:
    failed = status is not None and status >= 400
    spans.note({"http.response.status_code": status, "error.type": str(status) if failed else None})


def _ended(answer: object) -> str:
    """Status and size of a reply that was read; of a stream that is open its status alone."""
    if isinstance(answer, Reply):
        return f"{answer.status}, {len(answer.body)} bytes"
    return str(getattr(answer, "status", "answered"))
