"""Request bodies: whole, of bounded size and in bounded time, before anybody looks at them."""

from starlette.types import Message, Receive, Scope

from mixpanel_mcp.transports.streams import NOTHING_BEGUN, OpenRequests

_SECONDS = 30.0


class BodyRefusedError(Exception):
    """A body is not taken; `status` and `description` are what to answer."""

    def __init__(self, status: int, description: str) -> None:
        self.status = status
        self.description = description
        super().__init__(description)


class ClientGoneError(Exception):
    """Whoever sent the beginning of a body has left: nobody waits for an answer."""


async def with_whole_body(
    scope: Scope, receive: Receive, limit: int, bodies: OpenRequests, seconds: float = _SECONDS
) -> Receive:
    """Read the body, and give back a `receive` that hands it on in one piece.

    Args:
        scope: the request's.
        receive: where its body comes from.
        limit: in bytes.
        bodies: those that are on their way; none goes on when they are ended.
        seconds: how long it may take.

    Raises:
        BodyRefusedError: it is too large, comes too slowly, or the server stops before its end.
        ClientGoneError: it will never be whole.
    """
    if _declared(scope) > limit:
        raise _too_large(limit)
    with bodies.entered(seconds) as arriving:
        body = await _whole(receive, limit)
    if arriving.cancelled_caught:
        raise BodyRefusedError(503, NOTHING_BEGUN) if bodies.ended else _too_slow(seconds)
    waiting: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def receive_again() -> Message:
        return waiting.pop() if waiting else await receive()

    return receive_again


async def _whole(receive: Receive, limit: int) -> bytes:
    body = bytearray()
    while True:
        message = await receive()
        if message["type"] != "http.request":
            raise ClientGoneError
        body += message.get("body", b"")
        if len(body) > limit:
            raise _too_large(limit)
        if not message.get("more_body", False):
            return bytes(body)


def _declared(scope: Scope) -> int:
    for name, value in scope["headers"]:
        if name == b"content-length":
            return int(value) if value.isdigit() else 0
    return 0


def _too_large(limit: int) -> BodyRefusedError:
    return BodyRefusedError(413, f"A request body may have {limit} bytes.")


def _too_slow(seconds: float) -> BodyRefusedError:
    return BodyRefusedError(408, f"A request body has to arrive within {seconds:.0f} s.")
