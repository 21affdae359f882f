"""Requests that go no further than their headers, and what is answered instead."""

from collections.abc import Mapping

import mcp.types as t
from starlette.responses import JSONResponse, Response


class RequestRefusedError(Exception):
    """A request is answered with an error before any server sees it."""

    def __init__(
        self, status: int, body: Mapping[str, object], headers: Mapping[str, str] | None = None
    ) -> None:
        self.status = status
        self._body = body
        self._headers = headers
        super().__init__(f"HTTP {status}: {body}")

    def response(self) -> Response:
        return JSONResponse(self._body, status_code=self.status, headers=self._headers)


def misunderstood(description: str) -> RequestRefusedError:
    """A header that cannot be obeyed: 400, in the form of which clients show the message."""
    error = {"code": t.INVALID_REQUEST, "message": description}
    return RequestRefusedError(400, {"jsonrpc": "2.0", "id": None, "error": error})


def challenge(
    status: int, error: str | None, description: str, resource_metadata: str | None
) -> RequestRefusedError:
    """What RFC 6750 section 3 answers to a token that does not do.

    Args:
        status: 401, or 403 where the token is good and its holder is nobody here.
        error: None where no token was sent.
        description: for a person; never quotes the token, nor says which part of it is wrong.
        resource_metadata: where OAuth clients learn whom to ask for a token (RFC 9728).
    """
    parameters = {
        "error": error,
        "error_description": description if error else None,
        "resource_metadata": resource_metadata,
    }
    given = ", ".join(f'{name}="{value}"' for name, value in parameters.items() if value)
    body = {"error": error or "unauthorized", "error_description": description}
    return RequestRefusedError(status, body, {"WWW-Authenticate": f"Bearer {given}".rstrip()})
