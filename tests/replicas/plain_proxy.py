"""A round-robin proxy that knows of sessions what a plain one can: where an id was given out."""

import asyncio
import re
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager, suppress
from itertools import count

_SESSION = re.compile(rb"(?:mcp-session-id: |session_id=)([0-9a-fA-F-]+)", re.IGNORECASE)
_LENGTH = re.compile(rb"content-length: (\d+)", re.IGNORECASE)
_CONNECTION = re.compile(rb"connection: [^\r]+\r\n", re.IGNORECASE)


class Proxy:
    """One request a connection; what belongs to no session goes to the next replica."""

    def __init__(self, ports: Sequence[int]) -> None:
        self.ports = list(ports)
        self.served = dict.fromkeys(ports, 0)
        self.url = ""
        self._homes: dict[bytes, int] = {}
        self._turn = count()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError, EOFError, asyncio.CancelledError):
            head = await reader.readuntil(b"\r\n\r\n")
            length = _LENGTH.search(head)
            body = await reader.readexactly(int(length[1])) if length else b""
            await self._pass_on(_CONNECTION.sub(b"", head, count=1), body, reader, writer)
        writer.transport.abort() if writer.is_closing() else writer.close()

    async def _pass_on(
        self,
        head: bytes,
        body: bytes,
        client: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
    ) -> None:
        found = _SESSION.search(head)
        home = self._homes.get(found[1]) if found else None
        reader, replica, port = await self._opened(home)
        self.served[port] += 1
        replica.write(head[:-2] + b"Connection: close\r\n\r\n" + body)
        answering = asyncio.create_task(self._answer(reader, writer, port, fresh=found is None))
        leaving = asyncio.create_task(client.read(1))  # it says nothing more, but may leave
        try:
            await asyncio.wait({answering, leaving}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in (answering, leaving):
                task.cancel()
            await asyncio.gather(answering, leaving, return_exceptions=True)
            replica.close()

    async def _opened(
        self, home: int | None
    ) -> tuple[asyncio.StreamReader, asyncio.StreamWriter, int]:
        """The replica of a session, or else the next one that is there."""
        if home is not None:
            return (*await asyncio.open_connection("127.0.0.1", home), home)
        for _ in self.ports:
            port = self.ports[next(self._turn) % len(self.ports)]
            with suppress(OSError):
                return (*await asyncio.open_connection("127.0.0.1", port), port)
        raise ConnectionRefusedError

    async def _answer(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        port: int,
        *,
        fresh: bool,
    ) -> None:
        begin = b""
        while piece := await reader.read(65_536):
            if fresh and len(begin) < 4096:
                begin += piece
                for session in _SESSION.findall(begin):
                    self._homes[session] = port
            writer.write(piece)
            await writer.drain()


@asynccontextmanager
async def running_proxy(ports: Sequence[int]) -> AsyncGenerator[Proxy]:
    proxy = Proxy(ports)
    server = await asyncio.start_server(proxy.serve, "127.0.0.1", 0, backlog=1024)
    proxy.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield proxy
    finally:
        server.close()
