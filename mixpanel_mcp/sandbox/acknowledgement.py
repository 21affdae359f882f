"""How `/track`, `/engage` and `/groups` say that something arrived.

Sources: `ingestion.openapi.yaml` (`Received`: `1` means that at least one object was valid, and
says nothing about the token) with the switches `verbose`, `img` and `callback`; `redirect` is older
than every current specification. The text about `strict` promises "a JSON object with per-record
error messages" without a schema: ours has the keys of `verbose` and the `failed_records` of
`/import`, with status 200.
"""

from __future__ import annotations

import base64
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from starlette.responses import JSONResponse, PlainTextResponse, RedirectResponse, Response

if TYPE_CHECKING:
    from mixpanel_mcp.sandbox.bodies import Submission

_PIXEL = base64.b64decode("R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7")
_FUNCTION_NAME = re.compile(r"[A-Za-z_$][\w$.]{0,99}")


@dataclass
class Receipt:
    """What became of a batch."""

    accepted: int = 0
    failures: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])
    error: str | None = None

    @property
    def status(self) -> int:
        return 1 if self.accepted else 0

    @property
    def message(self) -> str | None:
        if self.error is None and self.failures:
            return str(self.failures[0]["message"])
        return self.error


def acknowledge(submission: Submission, receipt: Receipt) -> Response:
    switches = submission.switches
    if switches.get("redirect", "").startswith(("http://", "https://")):
        return RedirectResponse(switches["redirect"], 302)
    if submission.on("img"):
        return Response(_PIXEL, media_type="image/gif")
    if _FUNCTION_NAME.fullmatch(switches.get("callback", "")):
        return Response(f"{switches['callback']}({receipt.status});", media_type="text/javascript")
    if submission.on("strict"):
        return JSONResponse(_strict(receipt))
    if submission.on("verbose"):
        message = None if receipt.accepted else receipt.message
        return JSONResponse({"error": message, "status": receipt.status})
    return PlainTextResponse(str(receipt.status))


def _strict(receipt: Receipt) -> dict[str, Any]:
    failed = bool(receipt.failures or receipt.error)
    error = receipt.error or "some data points in the request failed validation"
    return {
        "error": error if failed else None,
        "status": 0 if failed else 1,
        "num_good_events": receipt.accepted,
        "failed_records": receipt.failures,
    }
