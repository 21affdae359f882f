"""A server that ends its work before it ends itself."""

import asyncio
import signal
import socket
from collections.abc import Callable
from types import FrameType

import anyio
import uvicorn

from mixpanel_mcp.transports.caller_server import CallerServers
from mixpanel_mcp.transports.calls import Calls

# For calls to let go when they are ended, and for their answers to be written.
_ENDING_SECONDS = 2.0
# For what was answered already to leave the house.
_LAST_WORDS_SECONDS = 0.2


class GracefulServer(uvicorn.Server):
    """The first signal lets running calls end and begins no new ones; the second ends at once."""

    def __init__(
        self,
        config: uvicorn.Config,
        calls: Calls,
        servers: CallerServers,
        *,
        stop_seconds: float,
        started: Callable[[], None],
    ) -> None:
        super().__init__(config)
        self._calls = calls
        self._servers = servers
        self._stop_seconds = stop_seconds
        self._say_started = started
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stopping: asyncio.Task[None] | None = None

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        self._loop = asyncio.get_running_loop()
        await super().startup(sockets)
        self._say_started()

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        del frame
        if self._loop is None or self._calls.stopping:
            signal.signal(sig, signal.SIG_DFL)
            signal.raise_signal(sig)
            return
        self._calls.stopping = True
        self._loop.call_soon_threadsafe(self._begin_to_stop)

    def _begin_to_stop(self) -> None:
        self._stopping = asyncio.ensure_future(self._stop())

    async def _stop(self) -> None:
        with anyio.move_on_after(self._stop_seconds):
            await self._calls.stop()
        # Whoever waits for it is told so while there is a way to.
        self._calls.unfinished.end()
        with anyio.move_on_after(_ENDING_SECONDS):
            await self._calls.stop()
        await anyio.sleep(_LAST_WORDS_SECONDS)
        self.end()

    def end(self) -> None:
        """End every body, session, stream and call there still is, and then the server."""
        self._calls.stopping = True
        self._calls.bodies.end()
        self._servers.end()
        self.should_exit = True
