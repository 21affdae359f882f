"""A full disk: nothing half-written stays, the answer says what to do, the next call goes on.

Files may grow to a limit only, which fails as a full disk does and needs no disk of its own.
"""

import json
import resource
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import pytest
from days import DAYS, SPAN, read, whole
from harness import Connect, Result
from upstream import Received, Reply, Upstream

NOON = 1_767_268_800_000


@contextmanager
def files_no_longer_than(size: int) -> Generator[None]:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


async def call(connect: Connect, folder: Path, tool: str, **given: Any) -> Result:
    async with connect(files_root=folder) as tools:
        return await tools.call(tool, **given)


def files_in(folder: Path) -> list[str]:
    names = (str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())
    return sorted(name for name in names if not name.endswith(".lock"))


def write_events(folder: Path, count: int) -> None:
    rows = [
        {
            "event": "Played",
            "properties": {"distinct_id": f"u{n}", "time": NOON, "$insert_id": f"e-{n}"},
        }
        for n in range(count)
    ]
    text = "".join(json.dumps(row) + "\n" for row in rows)
    (folder / "events.ndjson").write_text(text, encoding="utf-8")


def half_refused(request: Received) -> Reply:
    """Every second row is refused."""
    count = len(request.content.splitlines())
    failed = [
        {"index": index, "insert_id": "x", "field": "properties.n", "message": "is odd"}
        for index in range(1, count, 2)
    ]
    said = {"code": 400, "error": "some failed", "num_records_imported": count - len(failed)}
    return Reply(400, json={**said, "failed_records": failed})


@pytest.mark.parametrize(
    ("count", "size"), [(6_000, 20_000), (1, 180)], ids=["spool", "checkpoint"]
)
async def test_an_import_that_cannot_keep_its_books_sends_nothing(
    connect: Connect, upstream: Upstream, tmp_path: Path, count: int, size: int
) -> None:
    upstream.default = half_refused
    write_events(tmp_path, count)

    with files_no_longer_than(size):
        answer = await call(connect, tmp_path, "import_events", file="events.ndjson")

    assert answer.is_error
    assert "ake room" in answer.text + answer.notes
    assert upstream.requests == []
    assert files_in(tmp_path) == ["events.ndjson"]


async def test_rows_whose_refusal_cannot_be_written_down_are_not_settled(
    connect: Connect, upstream: Upstream, tmp_path: Path
) -> None:
    upstream.default = half_refused
    write_events(tmp_path, 12_000)

    with files_no_longer_than(400_000):
        stopped = await call(connect, tmp_path, "import_events", file="events.ndjson")
    rejects = tmp_path / "events.ndjson.rejected.ndjson"
    before = len(read(rejects))
    done = await call(connect, tmp_path, "import_events", file="events.ndjson")

    assert stopped.status == "partial"
    assert (stopped.data["accepted"], stopped.data["rejected"]) == (before, before)
    assert 0 < before < 6_000
    assert "ake room" in stopped.notes
    assert done.data["accepted"] == 6_000
    assert [each["line"] for each in read(rejects)] == list(range(2, 12_001, 2))
    assert files_in(tmp_path) == ["events.ndjson", rejects.name]


def exported(folder: Path) -> tuple[list[str], list[str]]:
    """What is there, and what the manifest says."""
    there = [name for name in files_in(folder) if not name.endswith("manifest.json")]
    manifests = list(folder.rglob("manifest.json"))
    named = [
        f"{path.parent.relative_to(folder)}/{each['file']}"
        for path in manifests
        for each in json.loads(path.read_text())["slices"]
    ]
    return there, sorted(named)


# A file of a day, and the manifest of three of them, are between these sizes.
EXPORTS = {
    "no day": ("ndjson", 2_000, 0),
    "no packed day": ("ndjson.gz", 300, 0),
    "no columns": ("parquet", 1_000, 0),
    "no third entry in the manifest": ("ndjson.gz", 1_150, 2),
}


@pytest.mark.parametrize(("kept", "size", "days"), EXPORTS.values(), ids=EXPORTS)
async def test_an_export_keeps_what_its_manifest_says_and_nothing_else(
    connect: Connect, upstream: Upstream, tmp_path: Path, kept: str, size: int, days: int
) -> None:
    upstream.default = whole

    with files_no_longer_than(size):
        stopped = await call(connect, tmp_path, "download_data", **SPAN, format=kept)
    there, named = exported(tmp_path)
    done = await call(connect, tmp_path, "download_data", **SPAN, format=kept)

    assert stopped.status == ("partial" if days else "failed")
    assert "once there is room" in stopped.text
    assert len(there) == days
    assert there == named
    if days:
        assert len(stopped.data["missing_days"]) == len(DAYS) - days
    assert (done.status, done.data["records"]) == ("ok", 3 * 40)
    there, named = exported(tmp_path)
    assert there == named


def page(request: Received) -> Reply:
    number = int(parse_qs(request.body.decode()).get("page", ["0"])[0])
    found = [
        {"$distinct_id": f"u{n}", "$properties": {"n": n}}
        for n in range(number * 5, min(number * 5 + 5, 22))
    ]
    listing = {"page": number, "page_size": 5, "session_id": "s", "status": "ok"}
    return Reply(json={**listing, "total": 22, "results": found})


async def test_pages_of_profiles_stop_where_the_manifest_does(
    connect: Connect, upstream: Upstream, tmp_path: Path
) -> None:
    upstream.default = page

    with files_no_longer_than(1_200):
        stopped = await call(connect, tmp_path, "query_profiles", to_file=True)
    there, named = exported(tmp_path)
    done = await call(connect, tmp_path, "query_profiles", to_file=True)

    assert (stopped.status, stopped.data["pages"]) == ("partial", len(there))
    assert 0 < len(there) < 5
    assert there == named
    assert "once there is room" in stopped.text
    assert done.data["records"] == 22
    assert len(exported(tmp_path)[0]) == 5
