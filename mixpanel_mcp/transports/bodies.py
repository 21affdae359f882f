"""Request bodies: whole, of bounded size and in bounded time, before anybody looks at them."""

import asyncio

from starlette.types import Message, Receive, Scope

_SECONDS = 30.0


class BodyRefusedError(Exception):
    """A body is not taken; `status` and `description` are what to answer."""

    def __init__(self, status: int, description: str) -> None:
        self.status = status
        self.description = description
        super().__init__(description)


async def with_whole_body(
    scope: Scope, receive: Receive, limit: int, seconds: float = _SECONDS
) -> Receive:
    """Read the body, and give back a `receive` that hands it on in one piece.

    Raises:
        BodyRefusedError: it is too large, or comes too slowly.
    """
    if _declared(scope) > limit:
        raise _too_large(limit)
    first = await _soon(receive, seconds)
    if first["type"] == "http.request" and first.get("more_body", False):
        first = await _rest(first, receive, limit, seconds)
    elif len(first.get("body", b"")) > limit:
        raise _too_large(limit)
    waiting: list[Message] = [first]

    async def receive_again() -> Message:
        return waiting.pop() if waiting else await receive()

    return receive_again


async def _rest(first: Message, receive: Receive, limit: int, seconds: float) -> Message:
    body = bytearray(first.get("body", b""))
    try:
        async with asyncio.timeout(seconds):
            while True:
                if len(body) > limit:
                    raise _too_large(limit)
                message = await receive()
                if message["type"] != "http.request":
                    return message
                body += message.get("body", b"")
                if not message.get("more_body", False):
                    break
    except TimeoutError:
        raise _too_slow(seconds) from None
    if len(body) > limit:
        raise _too_large(limit)
    return {"type": "http.request", "body": bytes(body), "more_body": False}


async def _soon(receive: Receive, seconds: float) -> Message:
    try:
        async with asyncio.timeout(seconds):
            return await receive()
    except TimeoutError:
        raise _too_slow(seconds) from None


def _declared(scope: Scope) -> int:
    for name, value in scope["headers"]:
        if name == b"content-length":
            return int(value) if value.isdigit() else 0
    return 0


def _too_large(limit: int) -> BodyRefusedError:
    return BodyRefusedError(413, f"A request body may have {limit} bytes.")


def _too_slow(seconds: float) -> BodyRefusedError:
    return BodyRefusedError(408, f"A request body has to arrive within {seconds:.0f} s.")
