"""uvicorn, told to be quiet, to stop soon, and to drop connections on purpose."""

from __future__ import annotations

import socket
import struct
import sys
from typing import TYPE_CHECKING

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

if TYPE_CHECKING:
    import asyncio

    from starlette.applications import Starlette

# Linger for no time: the peer gets a reset instead of an orderly end.
_RESET = struct.pack("hh" if sys.platform == "win32" else "ii", 1, 0)
# Longer than any client keeps an idle connection, or it would send into a closing one.
_KEEP_ALIVE_SECONDS = 600


class DroppableProtocol(H11Protocol):
    """Puts `drop_connection` into the state of each request: ASGI has no such message."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # pyright: ignore[reportIncompatibleMethodOverride]  # as its base
        def drop(*, at_once: bool) -> None:
            if at_once:
                connection: socket.socket = transport.get_extra_info("socket")
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
                transport.abort()
            else:
                transport.close()

        self.app_state = {**self.app_state, "drop_connection": drop}
        super().connection_made(transport)


class SandboxServer(uvicorn.Server):
    def __init__(self, app: Starlette, config: uvicorn.Config) -> None:
        super().__init__(config)
        self._app = app

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._app.state.project.faults.release()
        self._app.state.scripts.stop()
        await super().shutdown(sockets)


def sandbox_server(app: Starlette) -> SandboxServer:
    config = uvicorn.Config(
        app,
        http=DroppableProtocol,
        ws="none",
        loop="asyncio",
        lifespan="on",
        log_config=None,
        log_level="warning",
        access_log=False,
        server_header=False,
        timeout_keep_alive=_KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=1,
    )
    return SandboxServer(app, config)
