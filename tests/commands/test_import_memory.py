"""Three times the events take the same memory: measured on a process of its own."""

import asyncio
import json
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from test_import_command import event, settings_for
from upstream import Received, Reply, Upstream

# VmHWM begins with the program; ru_maxrss would remember the test's own size from before.
MEASURED = """\
import re, sys
from mixpanel_mcp.cli import main
try:
    main(sys.argv[1:])
finally:
    status = open("/proc/self/status").read()
    print(re.search(r"VmHWM:\\s+(\\d+) kB", status)[1], file=sys.stderr)
"""
MEGABYTES = 1024  # in kB


def lines(count: int) -> Iterator[str]:
    for number in range(count):
        text = f"https://shop.example.com/p/{number}?ref={number * 7919 % 104729}"
        yield json.dumps(event(number, url=text, plan="free", price=number / 7)) + "\n"


async def peak(upstream: Upstream, path: Path, code: int = 0) -> int:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-c", MEASURED, "import", str(path), "--rate", "0"),
        env=settings_for(upstream),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    _, said = await asyncio.wait_for(process.communicate(), 60)
    assert process.returncode == code, said
    return int(said.split()[-1])


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
async def test_memory_does_not_grow_with_the_file(upstream: Upstream, tmp_path: Path) -> None:
    def taken(request: Received) -> Reply:
        count = request.content.count(b"\n")
        upstream.requests.clear()
        return Reply(json={"code": 200, "num_records_imported": count, "status": "OK"})

    upstream.always("/import", taken)
    peaks: list[int] = []
    for count in (100_000, 300_000):
        path = tmp_path / "events.ndjson"
        with path.open("w", encoding="utf-8") as file:
            file.writelines(lines(count))
        peaks.append(await peak(upstream, path))

    assert max(peaks) < 100 * MEGABYTES
    assert peaks[1] < 1.1 * peaks[0]


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
async def test_a_line_of_a_gigabyte_takes_the_memory_of_any_other(
    upstream: Upstream, tmp_path: Path
) -> None:
    upstream.default = Reply(json={"code": 200, "num_records_imported": 2, "status": "OK"})
    path, good = tmp_path / "events.ndjson", "".join(lines(1)).encode()
    with path.open("wb") as file:
        file.write(good + b'{"event":"')
        file.truncate(1024**3)  # zeros, which take no room on the disk
        file.seek(0, 2)
        file.write(b'"}\n' + good)

    assert await peak(upstream, path, code=1) < 100 * MEGABYTES
    assert len(upstream.requests) == 1
