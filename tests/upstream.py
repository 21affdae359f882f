"""A Mixpanel that does as it is told: a real HTTP server on loopback that records and replays.

It runs in the test's own event loop, keeps every request whole, and answers with what the test
put in line for a path (or `default`): a `Reply`, or one of the ways to fail.
"""

import asyncio
import gzip
import json
from collections import defaultdict, deque
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import h11


@dataclass(frozen=True)
class Received:
    """One request as it arrived."""

    method: str
    target: str
    headers: dict[str, str]
    raw_headers: list[tuple[str, str]]
    body: bytes

    @property
    def path(self) -> str:
        return urlsplit(self.target).path

    @property
    def query(self) -> list[tuple[str, str]]:
        return parse_qsl(urlsplit(self.target).query, keep_blank_values=True)

    @property
    def content(self) -> bytes:
        """The body without its compression."""
        gzipped = self.headers.get("content-encoding") == "gzip"
        return gzip.decompress(self.body) if gzipped else self.body

    @property
    def form(self) -> list[tuple[str, str]]:
        return parse_qsl(self.content.decode(), keep_blank_values=True)

    def json(self) -> Any:
        return json.loads(self.content)


@dataclass(frozen=True)
class Reply:
    """What to answer. `json` wins over `body`; `pieces` are sent one by one."""

    status: int = 200
    body: bytes | str = b""
    json: Any = None
    headers: dict[str, str] = field(default_factory=dict[str, str])
    pieces: Sequence[bytes] | None = None
    cut: bool = False  # the connection ends in the middle of the (chunked) body
    length: int | None = None  # what content-length says, whatever the body has
    until: asyncio.Event | None = None  # the answer, or the end of its pieces, waits for this


class Drop:
    """The connection ends without an answer."""


class Hang:
    """No answer comes; the connection stays open until the client leaves."""


@dataclass(frozen=True)
class Held:
    """An answer that is kept back until the event."""

    until: asyncio.Event
    then: Reply | Drop | Callable[[Received], Reply]


Answer = Reply | Drop | Hang | Held | Callable[[Received], Reply]


class Upstream:
    """Put replies in line with `on(path, ...)`; look at `requests` afterwards."""

    def __init__(self) -> None:
        self.requests: list[Received] = []
        self.default: Answer = Reply(json={})
        self.url = ""
        self.closed_early = 0  # how often a client left before its answer
        self.open = 0  # requests that came and are not answered yet
        self.most_open = 0
        self._arrived = asyncio.Event()
        self._lines: dict[str, deque[Answer]] = defaultdict(deque)
        self._always: dict[str, Answer] = {}
        self._serving: set[asyncio.Task[Any]] = set()

    def on(self, path: str, *answers: Answer) -> None:
        """Answer the next requests to a path with these, in order; then as before."""
        self._lines[path].extend(answers)

    def always(self, path: str, answer: Answer) -> None:
        self._always[path] = answer

    def to(self, path: str) -> list[Received]:
        return [request for request in self.requests if request.path == path]

    @property
    def last(self) -> Received:
        return self.requests[-1]

    async def opened(self, count: int) -> None:
        """Wait until so many requests are open at once."""
        while self.open < count:
            self._arrived.clear()
            await self._arrived.wait()

    def _next(self, request: Received) -> Answer:
        line = self._lines[request.path]
        return line.popleft() if line else self._always.get(request.path, self.default)

    async def leave(self) -> None:
        """End the connections that clients keep open."""
        serving = list(self._serving)
        for task in serving:
            task.cancel()
        await asyncio.gather(*serving, return_exceptions=True)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._serving.add(task)
        try:
            # asyncio would report a handler that was cancelled as one that failed.
            with suppress(asyncio.CancelledError):
                await self._converse(reader, writer)
        finally:
            self._serving.discard(task)
            writer.close()

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError, asyncio.IncompleteReadError, h11.RemoteProtocolError):
            while (request := await self._read(reader)) is not None:
                self.requests.append(request)
                if not await self._answered(request, reader, writer):
                    break

    async def _read(self, reader: asyncio.StreamReader) -> Received | None:
        connection = h11.Connection(h11.SERVER)
        head: h11.Request | None = None
        body = b""
        while True:
            event = connection.next_event()
            if event is h11.NEED_DATA:
                data = await reader.read(65536)
                if not data and head is None:
                    return None
                connection.receive_data(data)
            elif isinstance(event, h11.Request):
                head = event
            elif isinstance(event, h11.Data):
                body += bytes(event.data)
            elif isinstance(event, h11.EndOfMessage):
                break
            else:
                return None
        if head is None:
            return None
        raw = [(name.decode(), value.decode("latin-1")) for name, value in head.headers]
        return Received(head.method.decode(), head.target.decode(), dict(raw), raw, body)

    async def _answered(
        self, request: Received, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> bool:
        try:
            return await self._answer(self._next(request), request, reader, writer)
        except ConnectionError:  # as rude a way to leave as any other
            self.closed_early += 1
            return False

    async def _answer(
        self,
        answer: Answer,
        request: Received,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
    ) -> bool:
        self.open += 1
        self.most_open = max(self.most_open, self.open)
        self._arrived.set()
        try:
            if isinstance(answer, Held):
                await answer.until.wait()
                answer = answer.then
        finally:
            # Before the answer: who reads it may send the next request at once.
            self.open -= 1
        if isinstance(answer, Drop):
            writer.transport.abort()
            return False
        if isinstance(answer, Hang):
            left = await reader.read(1) == b""
            self.closed_early += left  # added at once: several may leave meanwhile
            return False
        reply = answer if isinstance(answer, Reply) else answer(request)
        if reply.pieces is None and not await self._due(reply, reader):
            return False
        await self._write(reply, request, reader, writer)
        return not reply.cut and reply.length is None

    async def _due(self, reply: Reply, reader: asyncio.StreamReader) -> bool:
        """Wait until a reply may go on; False where the client leaves before."""
        if reply.until is None:
            return True
        leaves = asyncio.ensure_future(reader.read(1))
        due = asyncio.ensure_future(reply.until.wait())
        await asyncio.wait({leaves, due}, return_when=asyncio.FIRST_COMPLETED)
        left = leaves.done()
        for task in (leaves, due):
            task.cancel()
        await asyncio.gather(leaves, due, return_exceptions=True)
        self.closed_early += left
        return not left

    async def _write(
        self,
        reply: Reply,
        request: Received,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
    ) -> None:
        body = reply.body.encode() if isinstance(reply.body, str) else reply.body
        headers = {"content-type": "text/plain", **reply.headers}
        if reply.json is not None:
            body = json.dumps(reply.json).encode()
            headers["content-type"] = "application/json"
        lines = [f"HTTP/1.1 {reply.status} Told"]
        lines += [f"{name}: {value}" for name, value in headers.items()]
        chunked = reply.pieces is not None or reply.cut
        declared = len(body) if reply.length is None else reply.length
        length = "transfer-encoding: chunked" if chunked else f"content-length: {declared}"
        writer.write("\r\n".join([*lines, length, "", ""]).encode())
        if request.method == "HEAD":
            return
        if not chunked:
            writer.write(body)
            await writer.drain()
            return
        for piece in reply.pieces if reply.pieces is not None else [body]:
            writer.write(f"{len(piece):x}\r\n".encode() + piece + b"\r\n")
            await writer.drain()
        if reply.pieces is not None and not await self._due(reply, reader):
            return
        if reply.cut:
            writer.transport.abort() if not reply.pieces and not body else writer.close()
        else:
            writer.write(b"0\r\n\r\n")
            await writer.drain()


@asynccontextmanager
async def running_upstream() -> AsyncGenerator[Upstream]:
    upstream = Upstream()
    server = await asyncio.start_server(upstream.serve, "127.0.0.1", 0)
    upstream.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield upstream
    finally:
        server.close()
        await upstream.leave()
