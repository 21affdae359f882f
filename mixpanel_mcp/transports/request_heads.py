"""Bounds for what comes before a body, which neither uvicorn nor its fast parser has."""

import asyncio
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol as _Protocol
else:  # one of two, by what is installed
    from uvicorn.protocols.http.auto import AutoHTTPProtocol as _Protocol

_LARGEST_HEAD = 64 * 1024
_SECONDS = 20.0


class BoundedHeads(_Protocol):
    """Ends a connection whose request line and headers are too long, or do not come to an end."""

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self._head_bytes = 0
        self._head_due: asyncio.TimerHandle | None = None

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        self._expect_head()

    def connection_lost(self, exc: Exception | None) -> None:
        self._head_came()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        before = self.cycle
        super().data_received(data)
        now = self.cycle
        if now is not before:
            self._head_came()
        elif not now or now.response_complete:
            # Still no request to answer: this is a part of its head.
            self._head_bytes += len(data)
            if self._head_bytes > _LARGEST_HEAD:
                self.transport.close()
            elif self._head_due is None:
                self._expect_head()

    def on_header(self, name: bytes, value: bytes) -> None:
        # The fast parser leaves on what may stand around a value (RFC 9110, 5.5).
        super().on_header(name, value.strip(b" \t"))

    def _expect_head(self) -> None:
        loop = asyncio.get_running_loop()
        self._head_due = loop.call_later(_SECONDS, self._give_up)

    def _head_came(self) -> None:
        self._head_bytes = 0
        if self._head_due is not None:
            self._head_due.cancel()
            self._head_due = None

    def _give_up(self) -> None:
        self.transport.close()
