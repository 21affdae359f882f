"""A large export streams through: the server's memory does not grow with it.

The real server runs as a process of its own, over stdio, because only a process has a memory that
can be measured.
"""

import asyncio
import gzip
import json
import os
import secrets
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import mcp.types as t
import pytest
from harness import CANARY_PASSWORD
from mcp import Client, StdioServerParameters
from upstream import Reply, Upstream

MEGABYTE = 1024 * 1024
EXPORT_BYTES = 100 * MEGABYTE
ROOM = 20 * MEGABYTE

EVENT = json.dumps(
    {
        "event": "Page View",
        "properties": {
            "time": 1_767_225_600,
            "distinct_id": "user-12345",
            "$insert_id": "0b2f1c0e-7d5a-4c3e-9a51-6f1de2b9c7aa",
            "url": "https://example.com/" + "path/" * 60,
            "text": "x" * 1500,
            "price": 12.5,
        },
    }
).encode()
# A megabyte of whole lines; the same bytes are sent again and again, so that nobody holds them all.
BLOCK = (EVENT + b"\n") * (MEGABYTE // (len(EVENT) + 1))
EVENTS_A_BLOCK = MEGABYTE // (len(EVENT) + 1)
BLOCKS = EXPORT_BYTES // len(BLOCK) + 1


def plain(blocks: int) -> Reply:
    # Lines are torn at the borders of the pieces, as a network does.
    size = 65_521
    torn = [BLOCK[start : start + size] for start in range(0, len(BLOCK), size)]
    return Reply(pieces=torn * blocks)


def zipped(blocks: int) -> Reply:
    return Reply(pieces=[gzip.compress(BLOCK, 1)] * blocks, headers={"content-encoding": "gzip"})


def server_of(mark: str) -> int:
    """The process id of the server that this test started, known by a mark in its environment."""
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            try:
                if mark.encode() in (entry / "environ").read_bytes():
                    return int(entry.name)
            except OSError:  # it has ended, or is somebody else's
                continue
    raise AssertionError("the server's process was not found")


def memory_of(process: int, kind: str) -> int:
    """VmRSS (now) or VmHWM (at most so far), in bytes."""
    for line in Path(f"/proc/{process}/status").read_text().splitlines():
        if line.startswith(f"{kind}:"):
            return int(line.split()[1]) * 1024
    raise AssertionError(f"{kind} is not shown")


def size_of_and_gone(path: str) -> int:
    """The size of a file, which is large and so does not stay."""
    size = Path(path).stat().st_size
    Path(path).unlink()
    return size


async def exported(client: Client) -> dict[str, Any]:
    days = {"from_date": "2026-01-01", "to_date": "2026-01-02"}
    answer = await client.call_tool("download_data", days)
    assert isinstance(answer, t.CallToolResult)
    assert answer.structured_content is not None
    assert answer.structured_content["status"] == "ok"
    return answer.structured_content["data"]


def started_with(mark: str, upstream: Upstream, files_root: Path) -> StdioServerParameters:
    return StdioServerParameters(
        command=sys.executable,
        args=["-m", "mixpanel_mcp"],
        env={
            "THIS_TEST": mark,
            "MIXPANEL_USERNAME": "robot",
            "MIXPANEL_PASSWORD": CANARY_PASSWORD,
            "MIXPANEL_PROJECT_ID": "4242",
            "MIXPANEL_BASE_URL": upstream.url,
            "MIXPANEL_MCP_FILES_ROOT": str(files_root),
        },
    )


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="memory is read from /proc")
@pytest.mark.parametrize("reply", [plain, zipped])
async def test_a_hundred_megabytes_pass_through_twenty(
    upstream: Upstream, tmp_path: Path, reply: Callable[[int], Reply]
) -> None:
    sizes = iter([1, BLOCKS])
    upstream.default = lambda _request: reply(next(sizes))
    mark = f"mark-{secrets.token_hex(8)}"
    server = started_with(mark, upstream, tmp_path)

    async with Client(server) as client:
        await exported(client)  # a small one first: what is loaded once is no growth
        process = server_of(mark)
        before = memory_of(process, "VmRSS")
        data = await exported(client)
        grown = memory_of(process, "VmHWM") - before

    assert data["count"] == BLOCKS * EVENTS_A_BLOCK
    assert data["bytes"] == BLOCKS * len(BLOCK) >= EXPORT_BYTES
    assert size_of_and_gone(data["path"]) == data["bytes"]
    assert grown < ROOM, f"the server grew by {grown / MEGABYTE:.1f} MB"


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="memory is read from /proc")
@pytest.mark.parametrize("kept", ["ndjson", "ndjson.gz"])
async def test_a_day_in_files_stays_as_flat_and_others_are_answered_meanwhile(
    upstream: Upstream, tmp_path: Path, kept: str
) -> None:
    sizes = iter([1, BLOCKS])
    upstream.default = lambda _request: zipped(next(sizes))
    mark = f"mark-{secrets.token_hex(8)}"
    server = started_with(mark, upstream, tmp_path)
    waited: list[float] = []

    async def day(client: Client, day: str) -> dict[str, Any]:
        given = {"from_date": day, "to_date": day, "format": kept}
        answer = await client.call_tool("download_data", given)
        assert isinstance(answer, t.CallToolResult)
        assert answer.structured_content is not None
        return answer.structured_content["data"]

    async with Client(server) as client:
        await day(client, "2026-01-01")
        process = server_of(mark)
        before = memory_of(process, "VmRSS")
        large = asyncio.ensure_future(day(client, "2026-01-02"))
        while not large.done():
            begun = time.perf_counter()
            await client.call_tool("list_exports", {})
            waited.append(time.perf_counter() - begun)
            await asyncio.sleep(0.02)
        data = await large
        grown = memory_of(process, "VmHWM") - before

    assert data["records"] == BLOCKS * EVENTS_A_BLOCK
    assert grown < ROOM, f"the server grew by {grown / MEGABYTE:.1f} MB"
    assert sorted(waited)[len(waited) // 2] < 0.1, waited
