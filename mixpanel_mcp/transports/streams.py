"""One request at the server that answers it, until it is answered or the server ends."""

import math
from collections.abc import Generator
from contextlib import contextmanager

import anyio
from starlette.responses import JSONResponse
from starlette.types import Message, Scope, Send

NOTHING_BEGUN = "This server is stopping, and nothing was begun. Connect again."
READ_BACK = "A write may have happened: read the data back before it is repeated."
_NO_SESSION = (
    "There is no such session: it has ended, or it began with another token or other X-Mixpanel "
    "headers. Open a new one, and send the same headers with each of its requests."
)


class OpenRequests:
    """What is under way, until all of it is ended together."""

    def __init__(self) -> None:
        self.ended = False
        self._scopes: set[anyio.CancelScope] = set()

    def __len__(self) -> int:
        return len(self._scopes)

    def end(self) -> None:
        """End them, and whatever comes later."""
        self.ended = True
        for scope in self._scopes:
            scope.cancel()

    @contextmanager
    def entered(self, seconds: float = math.inf) -> Generator[anyio.CancelScope]:
        """Be one of them, for so many seconds at most."""
        with anyio.move_on_after(seconds) as scope:
            self._scopes.add(scope)
            if self.ended:
                scope.cancel()
            try:
                yield scope
            finally:
                self._scopes.discard(scope)


class Reply:
    """The answer to one request, as far as it was sent."""

    def __init__(self, scope: Scope, send: Send, *, in_session: bool) -> None:
        """Begin with nothing sent.

        Args:
            scope: the request's.
            send: where the answer goes.
            in_session: whether the request names a session, so that 404 means that there is none.
        """
        self._scope = scope
        self._in_session = in_session
        self._send = send
        self._begun = self._ended = False

    async def send(self, message: Message) -> None:
        if self._ended:
            return
        if message["type"] == "http.response.start":
            if message["status"] == 404 and self._in_session:
                await self.finish(404, -32600, _NO_SESSION)
                return
            self._begun = True
        elif not message.get("more_body", False):
            self._ended = True
        await self._send(message)

    async def close(self) -> None:
        """End it in good order, from wherever it is: its server ends."""
        if self._ended:
            return
        if self._begun:
            self._ended = True
            await self._send({"type": "http.response.body", "body": b"", "more_body": False})
        else:
            await self.finish(503, -32603, f"This server has stopped. {READ_BACK}")

    async def finish(self, status: int, code: int, text: str) -> None:
        self._begun = self._ended = True
        await error_response(status, code, text)(self._scope, _nothing, self._send)


def error_response(
    status: int, code: int, text: str, headers: dict[str, str] | None = None
) -> JSONResponse:
    """An answer to a request that no server has read: an error as JSON-RPC writes them."""
    body = {"jsonrpc": "2.0", "id": None, "error": {"code": code, "message": text}}
    return JSONResponse(body, status_code=status, headers=headers)


async def _nothing() -> Message:
    return {"type": "http.disconnect"}
