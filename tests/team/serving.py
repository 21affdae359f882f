"""`mixpanel-mcp serve --transport http` as a process of its own."""

import asyncio
import sys
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager

from hosted_server import forget_streams
from processes import bare_environment


class ServingProcess:
    """A process that serves over HTTP; what it says on stderr is kept."""

    def __init__(self, process: asyncio.subprocess.Process, lines: list[str]) -> None:
        self.process = process
        self.lines = lines
        (self.url,) = [line.split()[3] for line in lines if "listens on" in line]
        self.origin = self.url.removesuffix("/mcp")

    async def ended(self) -> int:
        """Wait for its end; the exit code."""
        assert self.process.stderr is not None
        async with asyncio.timeout(15):
            rest = await self.process.stderr.read()
            code = await self.process.wait()
        self.lines += rest.decode().splitlines()
        return code


@asynccontextmanager
async def serving_process(
    *flags: str, environment: Mapping[str, str] | None = None
) -> AsyncGenerator[ServingProcess]:
    command = [sys.executable, "-m", "mixpanel_mcp", "serve", "--transport", "http", "--port", "0"]
    process = await asyncio.create_subprocess_exec(
        *command, *flags, stderr=asyncio.subprocess.PIPE, env=bare_environment(environment)
    )
    try:
        lines: list[str] = []
        assert process.stderr is not None
        async with asyncio.timeout(20):
            while not any("listens on" in line for line in lines):
                line = (await process.stderr.readline()).decode()
                assert line, f"it ended: {lines}"
                lines.append(line.strip())
        yield ServingProcess(process, lines)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
        forget_streams()
