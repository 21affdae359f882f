"""One line in the log for each attempt to get an answer: nothing in it comes from a project."""

import logging
import re
from collections.abc import AsyncIterator, Awaitable
from typing import TypeVar

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


def shown_path(path: str) -> str:
    """A path with `*` for each part that is no word of Mixpanel's."""
    return "/".join(part if not part or _WORD.fullmatch(part) else "*" for part in path.split("/"))


async def logged(
    request: Request, attempt: Awaitable[_Answer], *, number: int, pacing: Pacing
) -> _Answer:
    """Wait for an attempt and write down how it ended."""
    begun, ended = pacing.clock(), "cancelled"
    try:
        answer = await attempt
    except AttemptFailedError as failed:
        ended = _ended(failed.reply) if failed.reply is not None else failed.outcome.name.lower()
        raise
    except MixpanelError as error:
        ended = type(error).__name__
        raise
    else:
        ended = _ended(answer)
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


def _ended(answer: object) -> str:
    """Status and size of a reply that was read; of a stream that is open its status alone."""
    if isinstance(answer, Reply):
        return f"{answer.status}, {len(answer.body)} bytes"
    return str(getattr(answer, "status", "answered"))
