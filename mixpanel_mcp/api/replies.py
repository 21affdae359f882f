"""A reply, read with care: text first, never without a bound, errors turned into sentences."""

import json
import re
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Any

from mixpanel_mcp.api import errors
from mixpanel_mcp.api.regions import Family
from mixpanel_mcp.api.request import Request
from mixpanel_mcp.files.inflating import DamagedError, Unpacker
from mixpanel_mcp.json_values import is_object

# A reply that a model is to read is far smaller; this bounds what a broken or hostile one costs.
REPLY_LIMIT = 64 * 1024 * 1024
_LONGEST_REASON = 5_000


@dataclass(frozen=True)
class Reply:
    """A whole reply. `headers` have lower-case names."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def text(self) -> str:
        return self.body.decode("utf-8", errors="replace")

    def json(self) -> Any:
        """The body as JSON.

        Raises:
            UnreadableReplyError: it is not JSON.
        """
        try:
            return json.loads(self.body)
        except (ValueError, RecursionError) as error:
            raise errors.UnreadableReplyError(
                "Mixpanel answered with something that is not JSON, although its specification "
                "promises JSON. Nothing can be concluded from it; try once more."
            ) from error


@dataclass(frozen=True)
class EncodedBody:
    """A body on its way, as it comes off the wire; `encoding` may be empty."""

    encoding: str
    pieces: AsyncIterator[bytes]


async def decoded(raw: AsyncIterator[bytes], encoding: str) -> AsyncIterator[bytes]:
    """Undo gzip in bounded pieces, over several members, and insist on its end.

    A gzip body that was cut while the HTTP framing is whole decodes without an error in most
    libraries; only the trailer tells that it is complete.

    Raises:
        UnreadableReplyError: another encoding, damaged or incomplete gzip.
    """
    encoding = encoding.lower()
    if encoding in {"", "identity"}:
        async for piece in raw:
            yield piece
        return
    if encoding != "gzip":
        raise errors.UnreadableReplyError(
            f"Mixpanel answered in an encoding nobody asked for: {encoding!r:.40}."
        )
    unpacker = Unpacker()
    try:
        async for piece in raw:
            for part in unpacker.take(piece):
                yield part
        unpacker.finish()
    except DamagedError as error:
        raise errors.UnreadableReplyError(f"The reply cannot be read: {error}.") from error


async def read_whole(pieces: AsyncIterator[bytes], limit: int = REPLY_LIMIT) -> bytes:
    body = bytearray()
    async for piece in pieces:
        body += piece
        if len(body) > limit:
            raise errors.UnreadableReplyError(
                f"The reply is larger than {limit // 1024 // 1024} MB and was not read to its end. "
                "Narrow the request: fewer days, a filter, a limit."
            )
    return bytes(body)


def retry_after_seconds(headers: Mapping[str, str], now: float) -> float | None:
    """The pause that Mixpanel asks for; `now` is seconds since the epoch."""
    value = headers.get("retry-after", "").strip()
    if value.isascii() and value.isdigit():
        return float(value)
    try:
        return max(0.0, parsedate_to_datetime(value).timestamp() - now)
    except ValueError:
        return None


def reason_of(reply: Reply) -> str:
    """Mixpanel's own words for an error, in one line; empty where there are none.

    Bodies may be JSON, plain text or a proxy's HTML page; a page says nothing worth repeating.
    """
    text = reply.text.strip()
    try:
        document: object = json.loads(text)
    except (ValueError, RecursionError):
        document = None
    if is_object(document):
        error = document.get("error")
        text = error if isinstance(error, str) else ""
    elif document is not None or text.startswith("<"):
        text = ""
    return re.sub(r"\s+", " ", text[:_LONGEST_REASON])


def failure(
    request: Request, reply: Reply, *, waited: str = "", spent: str = ""
) -> errors.MixpanelError:
    """Turn an unsuccessful reply into the error it means, with what to do now.

    `waited` says how long another attempt would have waited, `spent` why none can go out soon.
    """
    said, status = reason_of(reply), reply.status
    if 300 <= status < 400:
        return errors.OutcomeUnknownError(
            f"{request.shown} was answered with a redirect (HTTP {status}), which is never "
            "followed: it is unknown whether Mixpanel did what was asked. Read the data back "
            "before sending it again.",
            data={"http_status": status},
        )
    if status == 501:
        return errors.FailedError(
            f"{request.shown} is not offered there (HTTP 501); asking again changes nothing.",
            data={"http_status": status},
            said=said,
        )
    if status >= 500:
        return errors.UnavailableError(
            f"Mixpanel failed at {request.shown} (HTTP {status})."
            f"{(spent and ' ' + spent) or waited or ' Try again in a minute.'}",
            data={"http_status": status},
            said=said,
        )
    head = f"Mixpanel refused {request.shown} (HTTP {status})."
    if status == 429:
        return errors.RateLimitedError(
            f"{head} {spent or rate_rule(request) + waited}", status=status, said=said
        )
    kind, advice = _REJECTIONS.get(status, _REJECTED)
    return kind(f"{head} {advice}", status=status, said=said)


_REJECTED = (
    errors.RejectedError,
    "Sending the same again will be refused again: change the arguments.",
)

_REJECTIONS: Mapping[int, tuple[type[errors.RejectedError], str]] = {
    401: (
        errors.CredentialsError,
        "The service account's name or secret is wrong, it has expired, or it belongs to another "
        "region or organization. Ask the person to check MIXPANEL_USERNAME, MIXPANEL_PASSWORD and "
        "MIXPANEL_REGION.",
    ),
    402: (
        errors.PlanError,
        "The project's plan does not include this API; the credentials are not the problem. "
        "download_data is usually open on such plans.",
    ),
    403: (
        errors.PermissionDeniedError,
        "The service account's role may not do this, the project is another one, or the dates "
        "reach further back than the plan keeps data.",
    ),
    404: (
        errors.NotFoundError,
        "The name or id does not exist in this project, or the project has no such API.",
    ),
    413: (errors.TooLargeError, "The request is too large; send less at a time."),
}


def rate_rule(request: Request) -> str:
    """Which of Mixpanel's limits a 429 speaks of."""
    if request.path.endswith("/export"):
        return "The export API allows 60 calls an hour, 3 a second and 100 at once."
    match request.family:
        case Family.QUERY:
            return "The Query API allows 60 queries an hour and 5 at once for the whole project."
        case Family.INGESTION:
            return "Ingestion allows 2 GB or about 1.8 million events a minute for the project."
        case _:
            return "This API allows only so many calls at a time."
