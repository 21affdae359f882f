"""The bodies Mixpanel answers with when it refuses: one shape per family of endpoints."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from starlette.responses import JSONResponse, PlainTextResponse, Response

if TYPE_CHECKING:
    from starlette.requests import Request


class RefusedError(Exception):
    """Carries the answer; the application sends it as it is."""

    def __init__(self, response: Response) -> None:
        super().__init__(f"refused with {response.status_code}")
        self.response = response


def refused(request: Request, status: int, error: str) -> RefusedError:
    """Refuse as the query API and the pipelines do; they echo what was asked for."""
    echo = request.url.path + (f"?{request.url.query}" if request.url.query else "")
    body = {"request": echo, "error": error, "status": "error"}
    return RefusedError(JSONResponse(body, status))


def refused_ingestion(code: int, error: str, **more: Any) -> RefusedError:
    """Refuse as `/import` does (`ingestion.openapi.yaml`, Strict... responses)."""
    body = {"code": code, "error": error, "status": HTTPStatus(code).phrase, **more}
    return RefusedError(JSONResponse(body, code))


def refused_plainly(error: str) -> RefusedError:
    """Refuse as the raw export does: plain text."""
    return RefusedError(PlainTextResponse(error, 400))


def not_computed(what: str) -> RefusedError:
    """Say that an answer would have to be invented."""
    body = {"error": f"The sandbox does not compute {what} yet."}
    return RefusedError(JSONResponse(body, 501))
