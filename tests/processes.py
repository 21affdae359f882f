"""A server as a process of its own, spoken to line by line, every output kept."""

import asyncio
import json
import os
import sys
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

from mcp import StdioServerParameters
from upstream import Upstream

CANARY_PASSWORD = "canary-password-b1946ac9"
CANARY_TOKEN = "canarytoken0123456789abcdef01234"
INITIALIZE = {
    "protocolVersion": "2025-06-18",
    "capabilities": {},
    "clientInfo": {"name": "raw", "version": "1"},
}


def connection_to(upstream: Upstream) -> dict[str, str]:
    return {
        "MIXPANEL_USERNAME": "robot",
        "MIXPANEL_PASSWORD": CANARY_PASSWORD,
        "MIXPANEL_PROJECT_TOKEN": CANARY_TOKEN,
        "MIXPANEL_PROJECT_ID": "4242",
        "MIXPANEL_BASE_URL": upstream.url,
    }


def bare_environment(more: Mapping[str, str] | None = None) -> dict[str, str]:
    """Our own variables, without what a developer may have set for Mixpanel."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("MIXPANEL")}
    return {**kept, **(more or {})}


def server_process(
    *flags: str, environment: Mapping[str, str] | None = None
) -> StdioServerParameters:
    """What a host is told to start."""
    return StdioServerParameters(
        command=sys.executable,
        args=["-m", "mixpanel_mcp", "serve", *flags],
        env=dict(environment or {}),
    )


class RawServer:
    """A server process, spoken to line by line, whose every output is kept."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process
        self.lines: list[str] = []
        self.errors = ""

    async def ask(self, method: str, **params: Any) -> dict[str, Any]:
        number = len(self.lines) + 1000
        self.tell({"jsonrpc": "2.0", "id": number, "method": method, "params": params})
        async with asyncio.timeout(10):
            while True:
                answer = json.loads(await self._line())
                if answer.get("id") == number:
                    return answer

    def tell(self, message: dict[str, Any] | str) -> None:
        assert self.process.stdin is not None
        text = message if isinstance(message, str) else json.dumps(message)
        self.process.stdin.write(text.encode() + b"\n")

    async def _line(self) -> str:
        assert self.process.stdout is not None
        line = (await self.process.stdout.readline()).decode()
        assert line, "the server ended"
        self.lines.append(line)
        return line

    async def end(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.close()
        async with asyncio.timeout(10):
            out, errors = await self.process.communicate()
        self.lines += out.decode().splitlines()
        self.errors = errors.decode()


@asynccontextmanager
async def raw_server(
    *flags: str,
    environment: Mapping[str, str] | None = None,
    command: Sequence[str] = ("-m", "mixpanel_mcp", "serve"),
) -> AsyncGenerator[RawServer]:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *command,
        *flags,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        limit=2**20,
        env=bare_environment(environment),
    )
    server = RawServer(process)
    try:
        yield server
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
