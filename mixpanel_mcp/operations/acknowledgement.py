"""The answers of `/track`, `/engage` and `/groups`, where a failure is a 200 as well.

Without `verbose` the body is `1` or `0`; with it `{"status": 1|0, "error": text or null}`. Strict
profile writes may answer with `failed_records` (no schema is published), so both are read.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from mixpanel_mcp.api.errors import OutcomeUnknownError, UnreadableReplyError
from mixpanel_mcp.api.replies import Reply, failure
from mixpanel_mcp.api.request import Request
from mixpanel_mcp.json_values import is_list, is_object, objects_in


@dataclass(frozen=True)
class Acknowledgement:
    """Whether Mixpanel took a batch.

    `rejected` maps places in the batch to (field, reason); `misplaced` counts rejections that name
    no record of the batch.
    """

    accepted: bool
    reason: str = ""
    rejected: Mapping[int, tuple[str, str]] = field(default_factory=dict[int, tuple[str, str]])
    misplaced: int = 0


def read_acknowledgement(request: Request, reply: Reply, count: int = 1) -> Acknowledgement:
    """Read what Mixpanel says of a batch of `count` records.

    Raises:
        OutcomeUnknownError: a redirect or a pixel, which say nothing.
        RejectedError: a status other than 200 and 400.
        UnreadableReplyError: a 200 that is none of the documented answers.
    """
    if reply.status not in {200, 400}:
        raise failure(request, reply)
    if reply.headers.get("content-type", "").startswith("image/"):
        raise OutcomeUnknownError(
            f"{request.shown} was answered with a pixel, as img asks: it says nothing of whether "
            "the data was taken. Leave img out to get an answer that does."
        )
    text = reply.text.strip()
    if text in {"0", "1"}:
        return Acknowledgement(text == "1", "" if text == "1" else "Mixpanel answered 0")
    try:
        document: object = json.loads(text)
    except (ValueError, RecursionError):
        document = None
    if is_object(document) and (read := _from_document(document, reply.status, count)):
        return read
    if reply.status == 400:
        raise failure(request, reply)
    raise UnreadableReplyError(
        f"{request.shown} was answered with something that is none of the documented answers; "
        "it is unknown whether the data was taken."
    )


def _from_document(document: dict[str, Any], http: int, count: int) -> Acknowledgement | None:
    rejected, misplaced = failed_records(document, count)
    error = str(document.get("error") or "")
    if rejected or misplaced:
        return Acknowledgement(accepted=True, reason=error, rejected=rejected, misplaced=misplaced)
    status = document.get("status")
    if http == 200 and not error and (status in (1, "OK", "ok")):
        return Acknowledgement(accepted=True)
    if error or status == 0:
        return Acknowledgement(accepted=False, reason=error or "Mixpanel answered with status 0")
    return None


def failed_records(
    document: Mapping[str, Any], count: int
) -> tuple[dict[int, tuple[str, str]], int]:
    """Read per-record errors by place in a batch of `count`, and count those out of place."""
    found: dict[int, tuple[str, str]] = {}
    given = document.get("failed_records")
    for record in objects_in(given):
        index = record.get("index")
        if isinstance(index, (int, float)) and index in range(count):
            reason = str(record.get("message") or record.get("error") or "no reason given")
            found[int(index)] = (str(record.get("field") or ""), reason)
    return found, max(0, len(given) - len(found)) if is_list(given) else 0


def require_known_outcome(request: Request, *, redirect: str | None, img: bool = False) -> None:
    """Say that nothing is known, where the caller asked for an answer that says nothing.

    Raises:
        OutcomeUnknownError: `redirect` or `img` was asked for.
    """
    if redirect is not None or img:
        asked = "redirect" if redirect is not None else "img"
        raise OutcomeUnknownError(
            f"{request.shown} was sent, and its outcome is unknown: {asked} replaces the answer "
            "that would tell. It was not followed. Read the data back before you send it again, "
            f"and leave {asked} out."
        )
