"""Processes that are killed at a moment: the command line, and a server with a call in it."""

import asyncio
import json
import os
import random
import signal
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from processes import INITIALIZE, bare_environment, connection_to
from upstream import Upstream

_MORTAL = Path(__file__).with_name("mortal.py")
_LONGEST_SECONDS = 60


@dataclass(frozen=True)
class Moment:
    """When a process ends: before a change of a file, or so long after it began or first asked."""

    change: int = 0
    seconds: float | None = None
    after_first_request: bool = False

    @classmethod
    def drawn(cls, chance: random.Random, changes: int, seconds: float) -> "Moment":
        """Draw one; a run makes about so many changes, and takes so long once it asks."""
        match chance.randrange(4):
            case 0:
                return cls(seconds=chance.uniform(0.05, 0.5 + seconds))
            case 1:
                return cls(seconds=chance.uniform(0, seconds), after_first_request=True)
            case _:
                return cls(change=chance.randint(1, changes))


NEVER = Moment()


@dataclass(frozen=True)
class Work:
    """What to do: a command line, or a tool and its arguments."""

    arguments: Sequence[str] = ()
    tool: str | None = None
    given: Mapping[str, Any] | None = None


async def outcome(
    work: Work, upstream: Upstream, asked: asyncio.Event, moment: Moment
) -> dict[str, Any] | None:
    """Do the work in a process until it answers; None where it was killed before."""
    serving = work.tool is not None
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        str(_MORTAL),
        str(moment.change),
        *(("serve", *work.arguments) if serving else work.arguments),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        limit=2**22,
        env=bare_environment(connection_to(upstream)),
    )
    talk = asyncio.ensure_future(_called(process, work) if serving else _ended(process))
    end = asyncio.ensure_future(_end_at(process, asked, moment))
    try:
        async with asyncio.timeout(_LONGEST_SECONDS):
            return await talk
    finally:
        end.cancel()
        _kill(process)
        await process.wait()


async def _end_at(
    process: asyncio.subprocess.Process, asked: asyncio.Event, moment: Moment
) -> None:
    if moment.seconds is None:
        return
    if moment.after_first_request:
        await asked.wait()
    await asyncio.sleep(moment.seconds)
    _kill(process)


def _kill(process: asyncio.subprocess.Process) -> None:
    # `process.kill` may take away the code of a process that ends just now from who waits for it.
    if process.returncode is None:
        with suppress(ProcessLookupError):
            os.kill(process.pid, signal.SIGKILL)


async def _ended(process: asyncio.subprocess.Process) -> dict[str, Any] | None:
    out, said = await process.communicate()
    if process.returncode == -9:
        return None
    assert process.returncode in {0, 1}, f"{process.returncode}: {said.decode()}"
    return json.loads(out)


async def _called(process: asyncio.subprocess.Process, work: Work) -> dict[str, Any] | None:
    """The call's structured answer. What the server says besides is read away."""
    assert process.stdin is not None
    assert process.stdout is not None
    messages = [
        {"id": 1, "method": "initialize", "params": INITIALIZE},
        {"method": "notifications/initialized"},
        {
            "id": 2,
            "method": "tools/call",
            "params": {"name": work.tool, "arguments": dict(work.given or {})},
        },
    ]
    for message in messages:
        process.stdin.write(json.dumps({"jsonrpc": "2.0", **message}).encode() + b"\n")
    while line := await process.stdout.readline():
        answer: dict[str, Any] = json.loads(line) if line.endswith(b"\n") else {}
        if answer.get("id") == 2:
            return answer["result"]["structuredContent"]
    assert process.stderr is not None
    said = (await process.stderr.read()).decode()
    assert await process.wait() == -9, said
    return None
