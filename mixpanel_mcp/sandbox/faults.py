"""Faults on order: the answers that a client must survive, and that a healthy server never gives.

A `429`, `500`, `reset` or `zero` happens before the request is looked at; a `slow` or `cut` request
is carried out.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Literal

from anyio import move_on_after
from pydantic import BaseModel, ConfigDict, Field, field_validator
from starlette.responses import JSONResponse, PlainTextResponse, Response

from mixpanel_mcp.sandbox.rate_replies import echo, too_fast, too_many_exports, too_many_queries

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

_CUT_AFTER = 64 * 1024


class Fault(BaseModel):
    """An order: let the first `after` requests to `path` pass, then spoil `times` of them."""

    model_config = ConfigDict(extra="forbid")

    path: str = Field(pattern="^/")
    kind: Literal["429", "500", "reset", "slow", "cut", "zero"]
    times: int = Field(default=1, ge=1)
    after: int = Field(default=0, ge=0)
    seconds: float = Field(default=30, ge=0, le=3600)

    @field_validator("kind", mode="before")
    @classmethod
    def _as_text(cls, kind: Any) -> Any:
        # A status is a number to most people.
        return str(kind) if isinstance(kind, int) else kind


class Faults:
    """The orders that are still open. Touched only by the event loop."""

    def __init__(self) -> None:
        self._orders: list[Fault] = []
        self._released = asyncio.Event()

    def order(self, fault: Fault) -> None:
        self._orders.append(fault.model_copy())

    def clear(self) -> None:
        self._orders.clear()

    def take(self, path: str) -> Fault | None:
        """Count a request against the oldest order for its path."""
        for fault in self._orders:
            if fault.path != path:
                continue
            if fault.after:
                fault.after -= 1
                return None
            fault.times -= 1
            if not fault.times:
                self._orders.remove(fault)
            return fault
        return None

    async def delay(self, seconds: float) -> None:
        with move_on_after(seconds):
            await self._released.wait()

    def release(self) -> None:
        """Let everything that is being delayed go on: the server is about to stop."""
        self._released.set()


class FaultsMiddleware:
    def __init__(self, app: ASGIApp, faults: Faults) -> None:
        self.app = app
        self.faults = faults

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        fault = None if scope["type"] != "http" else self.faults.take(scope["path"])
        if fault is None:
            await self.app(scope, receive, send)
        elif fault.kind == "slow":
            await self.faults.delay(fault.seconds)
            await self.app(scope, receive, send)
        elif fault.kind == "cut":
            await self._cut(scope, receive, send)
        else:
            await _read_all(receive)
            if fault.kind == "reset":
                await _drop(scope, receive, at_once=True)
            else:
                await _answer(fault.kind, scope)(scope, receive, send)

    async def _cut(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let the application answer in full, and send on half of how that begins."""
        start: Message = {}
        body = b""

        async def keep(message: Message) -> None:
            nonlocal start, body
            if message["type"] == "http.response.start":
                start = message
            elif len(body) < _CUT_AFTER:
                body += message.get("body", b"")

        await self.app(scope, receive, keep)
        await send(start)
        half = body[: len(body) // 2]
        await send({"type": "http.response.body", "body": half, "more_body": True})
        await _drop(scope, receive, at_once=False)


async def _read_all(receive: Receive) -> None:
    while (message := await receive())["type"] == "http.request" and message.get("more_body"):
        pass


async def _drop(scope: Scope, receive: Receive, *, at_once: bool) -> None:
    """Close the connection, and wait until the server has seen it closed."""
    drop = scope.get("state", {}).get("drop_connection")
    if drop is None:
        raise ConnectionResetError("This fault needs a real connection: use running_sandbox.")
    drop(at_once=at_once)
    while (await receive())["type"] != "http.disconnect":
        pass


def _answer(kind: Literal["429", "500", "zero"], scope: Scope) -> Response:
    path: str = scope["path"]
    if kind == "zero":
        return PlainTextResponse("0")
    if kind == "500":
        return JSONResponse(_internal_error(scope), 500)
    if not path.startswith("/api/"):
        return too_fast(path, strict=True)
    if path == "/api/2.0/export" or "/nessie/" in path:
        return too_many_exports()
    return too_many_queries(scope, running=1, in_hour=61)


def _internal_error(scope: Scope) -> dict[str, Any]:
    path: str = scope["path"]
    if path == "/import":
        return {"code": 500, "error": "Internal error", "status": "Internal Server Error"}
    if not path.startswith("/api/"):
        return {"error": "Internal error", "status": 0}
    return {"request": echo(scope), "error": "Internal error", "status": "error"}
