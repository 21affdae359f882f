"""What arrived: the record that tests and people look at. It never holds a credential."""

from __future__ import annotations

from collections import deque
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlencode

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

_MOST_KEPT = 10_000
_SECRET_NAMES = frozenset(
    ("api_key", "api_secret", "client_secret", "password", "secret", "sig", "token")
)


@dataclass
class Arrival:
    method: str
    path: str
    query: str
    status: int | None = None
    """None where no answer was sent."""
    bytes: int = 0
    """Of the request's body, as it came over the wire."""


class RequestsLog:
    def __init__(self) -> None:
        self._arrivals: deque[Arrival] = deque(maxlen=_MOST_KEPT)

    def add(self, arrival: Arrival) -> None:
        self._arrivals.append(arrival)

    def clear(self) -> None:
        self._arrivals.clear()

    def entries(self) -> list[dict[str, Any]]:
        return [asdict(arrival) for arrival in self._arrivals]


class RequestsLogMiddleware:
    def __init__(self, app: ASGIApp, log: RequestsLog) -> None:
        self.app = app
        self.log = log

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"].startswith("/sandbox"):
            await self.app(scope, receive, send)
            return
        arrival = Arrival(scope["method"], scope["path"], _public_query(scope["query_string"]))
        self.log.add(arrival)

        async def counting_receive() -> Message:
            message = await receive()
            arrival.bytes += len(message.get("body", b""))
            return message

        async def noting_send(message: Message) -> None:
            if message["type"] == "http.response.start":
                arrival.status = message["status"]
            await send(message)

        await self.app(scope, counting_receive, noting_send)


def _public_query(query: bytes) -> str:
    text = query.decode("ascii", errors="replace")
    pairs = parse_qsl(text, keep_blank_values=True)
    if _SECRET_NAMES.isdisjoint(name.lower() for name, _ in pairs):
        return text
    return urlencode(
        [(name, "***" if name.lower() in _SECRET_NAMES else value) for name, value in pairs]
    )
