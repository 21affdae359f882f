"""Exports too large for an answer: a file below the files root, or the way to get one."""

import gzip
import resource
import signal
import stat
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from harness import Connect, Era
from upstream import Reply, Upstream

DAYS: dict[str, Any] = {"from_date": "2026-01-01", "to_date": "2026-01-02"}


def lines(count: int) -> list[bytes]:
    """Events with odd bytes: a file must hold what came, not what JSON makes of it."""
    return [
        b'{"event" : "B\\u00fcy \xc3\xbc","properties":{"time":%d,"distinct_id":"u%d","n":1.0,'
        b'"text":"a\xe2\x80\xa8b\\t"}}' % (1_767_225_600 + number, number)
        for number in range(count)
    ]


def files_in(folder: Path) -> list[Path]:
    return list(folder.iterdir())


async def test_more_than_two_hundred_events_go_to_a_file_byte_by_byte(
    connect: Connect, upstream: Upstream, tmp_path: Path, era: Era
) -> None:
    body = b"\n".join(lines(201)) + b"\n"
    upstream.default = Reply(pieces=[body[i : i + 1000] for i in range(0, len(body), 1000)])

    async with connect(era=era, files_root=tmp_path) as tools:
        answer = await tools.call("download_data", **DAYS)

    (file,) = files_in(tmp_path)
    assert answer.data["path"] == str(file)
    assert file.read_bytes() == body
    assert (answer.data["count"], answer.data["bytes"]) == (201, len(body))
    assert answer.status == "ok"
    assert answer.structured["complete"] is True
    assert answer.text.startswith(f"201 events are in {file}")
    assert answer.structured["scope"]["from_date"] == "2026-01-01"


async def test_the_file_is_its_owners_alone_and_named_after_its_days(
    connect: Connect, upstream: Upstream, tmp_path: Path
) -> None:
    upstream.default = Reply(body=b"\n".join(lines(201)))

    async with connect(files_root=tmp_path) as tools:
        await tools.call("download_data", **DAYS)
        await tools.call("download_data", **DAYS)

    files = files_in(tmp_path)
    assert len(files) == 2, "one export must not replace another"
    for file in files:
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
        assert file.name.startswith("export-2026-01-01-2026-01-02-")
        assert file.suffix == ".ndjson"
        assert "incomplete" not in file.name
        # The stream's last line had no end; a file of lines has one.
        assert file.read_bytes() == b"\n".join(lines(201)) + b"\n"


async def test_the_first_events_are_shown_and_the_rest_is_counted(
    connect: Connect, upstream: Upstream, tmp_path: Path
) -> None:
    upstream.default = Reply(body=b"\n".join(lines(500)))

    async with connect(files_root=tmp_path) as tools:
        answer = await tools.call("download_data", **DAYS)

    first = answer.data["first_events"]
    assert [event["properties"]["distinct_id"] for event in first] == [f"u{n}" for n in range(20)]
    assert "u19" in answer.text
    assert "u20," not in answer.text
    assert "(480 more rows left out here)" in answer.text


async def test_a_compressed_export_is_kept_as_plain_lines(
    connect: Connect, upstream: Upstream, tmp_path: Path
) -> None:
    body = b"\n".join(lines(1000)) + b"\n"
    upstream.default = Reply(body=gzip.compress(body), headers={"content-encoding": "gzip"})

    async with connect(files_root=tmp_path) as tools:
        answer = await tools.call("download_data", **DAYS)

    assert files_in(tmp_path)[0].read_bytes() == body
    assert answer.data["bytes"] == len(body)


@pytest.mark.parametrize("count", [0, 1, 200])
async def test_a_few_events_leave_no_file(
    connect: Connect, upstream: Upstream, tmp_path: Path, count: int
) -> None:
    upstream.default = Reply(body=b"\n".join(lines(count)))

    async with connect(files_root=tmp_path) as tools:
        answer = await tools.call("download_data", **DAYS)

    assert answer.data["count"] == count
    assert files_in(tmp_path) == []


async def test_a_limit_that_was_reached_is_said_of_a_file_too(
    connect: Connect, upstream: Upstream, tmp_path: Path
) -> None:
    upstream.default = Reply(body=b"\n".join(lines(300)))

    async with connect(files_root=tmp_path) as tools:
        answer = await tools.call("download_data", **DAYS, limit=300)

    assert answer.structured["complete"] is False
    assert "limit was reached" in answer.notes


async def test_without_a_folder_the_count_is_exact_and_the_answer_partial(
    connect: Connect, upstream: Upstream
) -> None:
    body = b"\n".join(lines(2500)) + b"\n"
    upstream.default = Reply(body=body)

    async with connect() as tools:
        answer = await tools.call("download_data", **DAYS)

    assert answer.status == "partial"
    assert answer.structured["complete"] is False
    assert (answer.data["count"], answer.data["bytes"]) == (2500, len(body))
    assert 0 < len(answer.data["events"]) < 2500
    assert answer.text.startswith("2500 events; only the first")
    assert "MIXPANEL_MCP_FILES_ROOT" in answer.notes
    assert "--files-root" in answer.notes
    assert answer.data["events"][0]["properties"]["distinct_id"] == "u0"


async def test_a_folder_that_has_gone_is_said_and_nothing_is_called_whole(
    connect: Connect, upstream: Upstream, tmp_path: Path
) -> None:
    root = tmp_path / "root"
    root.mkdir()
    upstream.default = Reply(body=b"\n".join(lines(300)))

    async with connect(files_root=root) as tools:
        root.rmdir()
        answer = await tools.call("download_data", **DAYS)

    assert (answer.status, answer.is_error) == ("failed", True)
    assert "could not be written" in answer.text
    assert files_in(tmp_path) == []


@contextmanager
def files_of_at_most(size: int) -> Generator[None]:
    """Stands for a disk that fills up: a write beyond the limit fails in the same way."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, before)


@pytest.mark.parametrize("missing", [1, 100_000], ids=["at-the-last-byte", "before"])
async def test_a_full_disk_is_an_error_that_says_what_is_missing(
    connect: Connect, upstream: Upstream, tmp_path: Path, missing: int
) -> None:
    body = b"\n".join(lines(5000)) + b"\n"
    upstream.default = Reply(body=body)

    async with connect(files_root=tmp_path) as tools:
        with files_of_at_most(len(body) - missing):
            answer = await tools.call("download_data", **DAYS)

    assert (answer.status, answer.is_error) == ("failed", True)
    assert "incomplete" in answer.text
    assert not [file for file in files_in(tmp_path) if "incomplete" not in file.name]
