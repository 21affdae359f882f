"""A real Redis on a free port, which a test may end and start again."""

import asyncio
import shutil
import signal
import socket
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress

_SOON = 10.0


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


async def until(is_so: Callable[[], bool | Awaitable[bool]], seconds: float = _SOON) -> None:
    """Wait for something that happens elsewhere."""
    async with asyncio.timeout(seconds):
        while True:
            found = is_so()
            if found if isinstance(found, bool) else await found:
                return
            await asyncio.sleep(0.02)


class RedisServer:
    """Keeps nothing on disk: when it is killed, its memory is gone."""

    def __init__(self, *options: str) -> None:
        command = shutil.which("redis-server") or shutil.which("valkey-server")
        assert command, "redis-server is not installed: apt-get install redis-server"
        self._command = command
        self._options = options
        self.port = free_port()
        self.url = f"redis://127.0.0.1:{self.port}/0"
        self._process: asyncio.subprocess.Process | None = None

    async def start(self, *options: str) -> None:
        self._process = await asyncio.create_subprocess_exec(
            self._command,
            *("--port", str(self.port), "--bind", "127.0.0.1"),
            *("--save", "", "--appendonly", "no", *self._options, *options),
            stdout=asyncio.subprocess.DEVNULL,
        )
        await until(self._answers)

    async def kill(self) -> None:
        if self._process is not None and self._process.returncode is None:
            self._process.kill()
            await self._process.wait()

    def freeze(self) -> None:
        assert self._process
        self._process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        assert self._process
        self._process.send_signal(signal.SIGCONT)

    async def tell(self, *words: str) -> bytes:
        """Send one command, and get the first piece of the answer."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        try:
            writer.write((" ".join(words) + "\r\n").encode())
            return await reader.read(65_536)
        finally:
            writer.close()

    async def begin(self, *words: str) -> None:
        """Send one command, and wait for nothing."""
        _, writer = await asyncio.open_connection("127.0.0.1", self.port)
        writer.write((" ".join(words) + "\r\n").encode())
        await writer.drain()
        writer.close()

    async def _answers(self) -> bool:
        with suppress(OSError):
            return (await self.tell("PING")).startswith((b"+PONG", b"-LOADING"))
        return False


@asynccontextmanager
async def running_redis(*options: str) -> AsyncGenerator[RedisServer]:
    redis = RedisServer(*options)
    await redis.start()
    try:
        yield redis
    finally:
        await redis.kill()
