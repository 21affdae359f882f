"""Every way in which a day can fail, in every format: the day is fetched again, alone and whole."""

import asyncio
import gzip
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import pytest
from days import (
    A_DAY,
    DAYS,
    GZIP,
    SPAN,
    Faulty,
    body_of,
    day_of,
    event,
    expected,
    leftovers,
    lines,
    read,
    whole,
)
from harness import Connect, Result
from upstream import Received, Reply, Upstream

FORMATS = ["ndjson", "ndjson.gz", "parquet"]
DAY = DAYS[1]
BODY = body_of(DAY)
EARLY = b"terminated early"


def packed(body: bytes) -> Reply:
    return Reply(body=gzip.compress(body), headers=GZIP)


def trailer(at: int) -> Reply:
    """A day whose gzip has a wrong checksum (-8) or a wrong length (-4)."""
    content = bytearray(gzip.compress(BODY))
    content[at] ^= 1
    return Reply(body=bytes(content), headers=GZIP)


FAULTS = {
    "cut": Reply(pieces=[gzip.compress(BODY)[:200]], headers=GZIP, cut=True),
    "cut before anything": Reply(pieces=[], cut=True),
    "cut after a line": Reply(pieces=[body_of(DAY, 3)], cut=True),
    "429": Reply(429, json={"error": "too many"}, headers={"retry-after": "3"}),
    "500": Reply(500, body="no"),
    "early in the first line": Reply(body=EARLY),
    "early in the first line, packed": packed(EARLY + b"\n"),
    "early in the middle": Reply(body=body_of(DAY, 3) + EARLY + b"\n" + body_of(DAY, 2)),
    "early in the middle, packed": packed(body_of(DAY, 3) + EARLY + b"\n" + body_of(DAY, 2)),
    "early in the last line": Reply(body=BODY + EARLY),
    "early in the last line, packed": packed(BODY + EARLY + b"\n"),
    "early after half a line": Reply(body=BODY[:-9] + b"\n" + EARLY + b"\n"),
    "a wrong checksum": trailer(-8),
    "a wrong length in the gzip": trailer(-4),
    "no trailer": Reply(body=gzip.compress(BODY)[:-8], headers=GZIP),
    "gzip that is none": Reply(body=BODY, headers=GZIP),
    "rubbish behind the gzip": Reply(body=gzip.compress(BODY) + b"rubbish", headers=GZIP),
    "a longer content-length": Reply(body=BODY, length=len(BODY) + 100),
    "a shorter content-length": Reply(body=BODY, length=len(BODY) - 100),
    "a shorter content-length, packed": Reply(
        body=gzip.compress(BODY), headers=GZIP, length=len(gzip.compress(BODY)) - 4
    ),
    "an encoding nobody asked for": Reply(body=BODY, headers={"content-encoding": "br"}),
    "an error in a 200": Reply(json={"error": "query failed"}),
    "html": Reply(body="<html><body>Bad gateway</body></html>"),
}


def ids_of(answer: Result) -> list[str]:
    folder = Path(answer.data["path"])
    manifest = json.loads((folder / "manifest.json").read_text())
    return [name for each in manifest["slices"] for name in _ids(folder / each["file"])]


def _ids(file: Path) -> list[str]:
    if file.suffix != ".parquet":
        return [each["properties"]["$insert_id"] for each in read(file)]
    with duckdb.connect() as connection:
        rows = connection.execute(
            "SELECT insert_id FROM read_parquet($path) ORDER BY time", {"path": str(file)}
        ).fetchall()
    return [name for (name,) in rows]


def files_in(folder: Path) -> list[Path]:
    return list(folder.rglob("events.*"))


EXPECTED = [each["properties"]["$insert_id"] for each in expected()]


# Parquet is made of what was kept as it came, so a few of them tell.
CELLS = [
    *((fault, kept) for fault in FAULTS for kept in ("ndjson", "ndjson.gz")),
    *((fault, "parquet") for fault in ("cut", "500", "early in the middle", "no trailer")),
]


@pytest.mark.parametrize(("fault", "kept"), CELLS)
async def test_a_day_that_does_not_come_whole_is_fetched_again_alone(
    connect: Connect, upstream: Upstream, tmp_path: Path, fault: str, kept: str
) -> None:
    upstream.default = answers = Faulty({DAY: [FAULTS[fault]]})

    async with connect(files_root=tmp_path) as tools:
        answer = await tools.call("download_data", **SPAN, format=kept)

    assert (answer.status, answer.data["records"]) == ("ok", len(EXPECTED))
    assert ids_of(answer) == EXPECTED
    assert answers.asked == {DAYS[0]: 1, DAYS[1]: 2, DAYS[2]: 1}
    assert leftovers(tmp_path) == []


@pytest.mark.parametrize(
    ("status", "kept"),
    [(400, "ndjson"), (401, "ndjson"), (403, "ndjson.gz"), (404, "ndjson"), (413, "parquet")],
)
async def test_a_refused_day_is_missing_until_the_next_call(
    connect: Connect, upstream: Upstream, tmp_path: Path, status: int, kept: str
) -> None:
    upstream.default = answers = Faulty({DAYS[2]: [Reply(status, json={"error": "not this"})]})

    async with connect(files_root=tmp_path) as tools:
        broken = await tools.call("download_data", **SPAN, format=kept)
        mended = await tools.call("download_data", **SPAN, format=kept)

    assert (broken.status, broken.data["missing_days"]) == ("partial", [DAYS[2]])
    assert ids_of(mended) == EXPECTED
    assert answers.asked == {DAYS[0]: 1, DAYS[1]: 1, DAYS[2]: 2}
    assert leftovers(tmp_path) == []


@pytest.mark.parametrize("kept", FORMATS)
async def test_a_day_that_stalls_ends_at_the_deadline_and_the_others_are_kept(
    connect: Connect, upstream: Upstream, tmp_path: Path, kept: str
) -> None:
    never = asyncio.Event()
    stalled = Reply(pieces=[gzip.compress(BODY)[:200]], headers=GZIP, until=never)
    upstream.default = Faulty({DAY: [stalled] * 3})

    async with connect(files_root=tmp_path, export_seconds=1.5) as tools:
        broken = await tools.call("download_data", **SPAN, format=kept)
        upstream.default = whole
        mended = await tools.call("download_data", **SPAN, format=kept)

    assert (broken.status, broken.data["missing_days"]) == ("partial", [DAY])
    assert ids_of(mended) == EXPECTED
    assert leftovers(tmp_path) == []


def no_event(request: Received) -> Reply:
    return packed(b"") if day_of(request) == DAY else whole(request)


def no_byte(request: Received) -> Reply:
    return Reply() if day_of(request) == DAY else whole(request)


def no_last_break(request: Received) -> Reply:
    """One event, and no newline behind it."""
    only = lines([event(day_of(request), 0)]).rstrip()
    return packed(only) if day_of(request) == DAY else Reply(body=only)


DAYS_THAT_ARE_WHOLE: dict[str, tuple[Callable[[Received], Reply], list[int]]] = {
    "no event": (no_event, [A_DAY, 0, A_DAY]),
    "no byte": (no_byte, [A_DAY, 0, A_DAY]),
    "no last break": (no_last_break, [1, 1, 1]),
}


@pytest.mark.parametrize("kept", FORMATS)
@pytest.mark.parametrize(
    ("answers", "counts"), DAYS_THAT_ARE_WHOLE.values(), ids=DAYS_THAT_ARE_WHOLE
)
async def test_a_day_with_little_in_it_is_whole(
    connect: Connect, upstream: Upstream, tmp_path: Path, kept: str, answers: Any, counts: list[int]
) -> None:
    upstream.default = answers

    async with connect(files_root=tmp_path) as tools:
        answer = await tools.call("download_data", **SPAN, format=kept)

    assert (answer.status, answer.data["records"]) == ("ok", sum(counts))
    assert ids_of(answer) == [
        f"{day}-{number}"
        for day, count in zip(DAYS, counts, strict=True)
        for number in range(count)
    ]
    if kept != "parquet":
        # So that days can be put one behind the other.
        for file in files_in(tmp_path):
            content = gzip.decompress(file.read_bytes()) if kept[-2:] == "gz" else file.read_bytes()
            assert content == b"" or content.endswith(b"\n")


async def test_a_bomb_ends_where_the_operators_room_does(
    connect: Connect, upstream: Upstream, tmp_path: Path
) -> None:
    day = lines(event(DAY, number) for number in range(1_000))
    upstream.default = packed(day * 300)

    async with connect(files_root=tmp_path, export_max_bytes=1_000_000) as tools:
        answer = await tools.call("download_data", **SPAN, format="ndjson")

    assert (answer.status, answer.is_error) == ("failed", True)
    assert "EXPORT_MAX_BYTES" in answer.text
    assert files_in(tmp_path) == []
