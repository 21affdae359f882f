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
from mixpanel_mcp.json_values import is_object, objects_in


@dataclass(frozen=True)
class Acknowledgement:
    """Whether Mixpanel took a batch; `rejected` maps places in the batch to (field, reason)."""

    accepted: bool
    reason: str = ""
    rejected: Mapping[int, tuple[str, str]] = field(default_factory=dict[int, tuple[str, str]])


def read_acknowledgement(request: Request, reply: Reply) -> Acknowledgement:
    """Read what Mixpanel says of a batch.

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
    if not is_object(document):
        if reply.status == 400:
            raise failure(request, reply)
        raise UnreadableReplyError(
            f"{request.shown} was answered with something that is none of the documented answers; "
            "it is unknown whether the data was taken."
        )
    return _from_document(document, reply.status)


def _from_document(document: dict[str, Any], status: int) -> Acknowledgement:
    rejected = failed_records(document)
    error = str(document.get("error") or "")
    said = document.get("status")
    good = status == 200 and not error and said in {1, "OK", "ok", None}
    if rejected:
        return Acknowledgement(accepted=True, reason=error, rejected=rejected)
    return Acknowledgement(good, error or ("" if good else "Mixpanel answered with status 0"))


def failed_records(document: Mapping[str, Any]) -> dict[int, tuple[str, str]]:
    """Read per-record errors, by place in the batch."""
    found: dict[int, tuple[str, str]] = {}
    for record in objects_in(document.get("failed_records")):
        index = record.get("index")
        if isinstance(index, (int, float)):
            reason = str(record.get("message") or record.get("error") or "no reason given")
            found[int(index)] = (str(record.get("field") or ""), reason)
    return found
