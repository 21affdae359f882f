"""The sandbox as a server of its own, in a thread of its own."""

from __future__ import annotations

import socket
import sys
import threading
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from importlib.util import find_spec
from typing import TYPE_CHECKING

from mixpanel_mcp.sandbox.unavailable import SandboxUnavailableError

if TYPE_CHECKING:
    from collections.abc import Callable, Generator
    from pathlib import Path

    from starlette.applications import Starlette
    from uvicorn import Server

    from mixpanel_mcp.sandbox.state import IdMerge

HOST = "127.0.0.1"

_BACKLOG = 128
_SECONDS_TO_STOP = 2.0


@dataclass(frozen=True)
class RunningSandbox:
    base_url: str
    port: int
    wait: Callable[[], None]
    """Blocks until the server has stopped."""


@contextmanager
def running_sandbox(
    *,
    port: int = 0,
    demo: bool = True,
    data: Path | None = None,
    id_merge: IdMerge | None = None,
    limits: bool = False,
) -> Generator[RunningSandbox]:
    """Serve on loopback while the block runs. Early requests wait until the data is ready.

    Raises:
        SandboxUnavailableError: DuckDB is not installed, or `data` cannot be used.
        OSError: the port is taken.
    """
    if find_spec("duckdb") is None:
        raise SandboxUnavailableError
    listener = _listen(port)
    create = partial(_create_app, demo=demo, data=data, id_merge=id_merge, limits=limits)
    thread = _ServingThread(listener, create)
    try:
        if data is not None:
            # A file may be locked or foreign: better said now than by a server that is not there.
            thread.open()
        thread.start()
        port = listener.getsockname()[1]
        yield RunningSandbox(f"http://{HOST}:{port}", port, thread.wait)
    finally:
        thread.stop()
        listener.close()


class _ServingThread(threading.Thread):
    """Imports, loads and serves beside its caller, who need not wait for any of it."""

    def __init__(self, listener: socket.socket, create: Callable[[], Starlette]) -> None:
        super().__init__(name="mixpanel-sandbox", daemon=True)
        self._listener = listener
        self._create = create
        self._app: Starlette | None = None
        self._server: Server | None = None
        self._stopping = threading.Event()
        # Waited for instead of join(): up to CPython 3.12, a join that Ctrl-C interrupts may take
        # a thread that still runs for an ended one, and then the process aborts at its exit.
        self._ended = threading.Event()

    def open(self) -> None:
        self._app = self._create()
        self._app.state.project.open()

    def run(self) -> None:
        try:
            from mixpanel_mcp.sandbox.server import sandbox_server  # noqa: PLC0415  # heavy

            self._server = sandbox_server(self._app or self._create())
            if not self._stopping.is_set():
                self._server.run(sockets=[self._listener])
        finally:
            # Whoever waits in the backlog is told that nobody will come.
            self._listener.close()
            self._ended.set()

    def wait(self) -> None:
        # A wait without a limit cannot be interrupted from the keyboard everywhere.
        while not self._ended.wait(0.5):
            pass

    def stop(self) -> None:
        self._stopping.set()
        if self._server is not None:
            self._server.should_exit = True
        if self.ident is not None:
            self._ended.wait(_SECONDS_TO_STOP)


def _create_app(
    *, demo: bool, data: Path | None, id_merge: IdMerge | None, limits: bool
) -> Starlette:
    from mixpanel_mcp.sandbox.app import create_app  # noqa: PLC0415  # heavy

    return create_app(demo=demo, data=data, id_merge=id_merge, limits=limits)


def _listen(port: int) -> socket.socket:
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    if sys.platform != "win32":
        # Elsewhere a port that was just left could not be taken again for a minute.
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((HOST, port))
        listener.listen(_BACKLOG)
    except OSError as error:
        listener.close()
        raise OSError(
            error.errno, f"Port {port} on {HOST} is taken. Choose another one, or 0 for any."
        ) from error
    return listener
