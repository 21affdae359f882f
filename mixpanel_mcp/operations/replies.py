"""Reading the replies of the Query, export and pipeline hosts, which share no envelope."""

import json
from collections.abc import Sequence
from typing import Any

from mixpanel_mcp.api.errors import OutcomeUnknownError, RejectedError, UnreadableReplyError
from mixpanel_mcp.api.replies import Reply, failure
from mixpanel_mcp.api.request import Request
from mixpanel_mcp.json_values import is_list, is_object
from mixpanel_mcp.operation import Answer, Call


async def json_reply(call: Call, request: Request) -> Any:
    """Read what is JSON, whatever its shape; an equal read's reply may still be kept.

    Raises:
        MixpanelError: what its status, or an error inside a 200, means.
    """
    return _document(request, await call.read(request))


async def json_object(call: Call, request: Request) -> dict[str, Any]:
    return _object(request, await json_reply(call, request))


async def json_list(call: Call, request: Request) -> Sequence[Any]:
    document = await json_reply(call, request)
    if not is_list(document):
        raise _unexpected(request, "a list")
    return document


async def written_object(call: Call, request: Request) -> dict[str, Any]:
    """Send a write whose reply is a JSON object."""
    return _object(request, _document(request, await call.send(request)))


async def acknowledged(call: Call, request: Request) -> object:
    """Send a request whose success has no promised body; whatever else is said means failure.

    Raises:
        MixpanelError: what its status, or an error inside a 200, means.
        OutcomeUnknownError: a 200 that says something nobody promised.
    """
    reply = await call.send(request)
    if reply.status != 200:
        raise failure(request, reply)
    text = reply.text.strip()
    try:
        document: object = json.loads(text) if text else None
    except (ValueError, RecursionError):
        document = text
    if is_object(document):
        raise_error_inside(request, document)
        return document
    if document is None or document in ([], 1, "OK", "ok"):
        return document
    raise OutcomeUnknownError(
        f"{request.shown} was answered with a 200 that says neither yes nor no. Look at "
        "list_pipelines before you repeat it.",
        said=text[:500],
    )


def raise_error_inside(request: Request, document: dict[str, Any]) -> None:
    """Notice an error that came with a 200."""
    error = document.get("error")
    if isinstance(error, str) and error and document.get("status") in {"error", 0, None}:
        raise RejectedError(
            f"Mixpanel answered {request.shown} with an error inside a 200. Change the arguments.",
            status=200,
            said=error,
        )


def lacking(part: str) -> UnreadableReplyError:
    """The error for a reply whose substance is not there: nothing is not the same as none."""
    return UnreadableReplyError(
        f"Mixpanel answered without {part}. Nothing can be concluded from it; try once more."
    )


def without_numbers(call: Call, what: str, part: str, notes: Sequence[str]) -> Answer:
    """An answer for a reply that is whole but has no numbers: no failure, and no zero either."""
    call.forget_reads()
    return Answer(
        headline=f"{what}: Mixpanel's reply has no {part}, so nothing can be concluded from it.",
        notes=notes,
        complete=False,
    )


def _document(request: Request, reply: Reply) -> Any:
    if reply.status != 200:
        raise failure(request, reply)
    document = reply.json()
    if is_object(document):
        raise_error_inside(request, document)
    return document


def _object(request: Request, document: object) -> dict[str, Any]:
    if not is_object(document):
        raise _unexpected(request, "an object")
    return document


def _unexpected(request: Request, promised: str) -> UnreadableReplyError:
    return UnreadableReplyError(
        f"{request.shown} was answered with JSON that is not {promised}, which its specification "
        "promises. Nothing can be concluded from it."
    )
