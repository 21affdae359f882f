"""Streams end when the token expires that opened them."""

import time
from collections.abc import Awaitable, Callable

import anyio
from starlette.types import Message, Receive, Scope, Send

_LONGEST_SECONDS = 10 * 365 * 86_400.0

Serve = Callable[[Scope, Receive, Send], Awaitable[None]]


async def serve_until(
    expires: float | None, serve: Serve, scope: Scope, receive: Receive, send: Send
) -> None:
    """Serve a request; one that holds a stream open ends at `expires`, seconds since the epoch.

    Everything else is short, was begun in time, and is authenticated anew each time.
    """
    if expires is None or not _is_stream(scope):
        await serve(scope, receive, send)
        return
    begun = ended = gone = False

    async def watched(message: Message) -> None:
        nonlocal begun, ended
        if gone:
            return
        begun = True
        ended = message["type"] == "http.response.body" and not message.get("more_body", False)
        await send(message)

    deadline = anyio.current_time() + min(expires - time.time(), _LONGEST_SECONDS)

    async def received() -> Message:
        nonlocal gone
        with anyio.move_on_after(deadline - anyio.current_time()):
            return await receive()
        # To whoever serves, it is as if the client had gone: that is how streams end in order.
        gone = True
        return {"type": "http.disconnect"}

    await serve(scope, received, watched)
    if begun and not ended:
        await send({"type": "http.response.body", "body": b"", "more_body": False})


def _is_stream(scope: Scope) -> bool:
    """A GET of SSE or of a session's notices, and the protocol's newest way to listen."""
    return scope["method"] == "GET" or (b"mcp-method", b"subscriptions/listen") in scope["headers"]
