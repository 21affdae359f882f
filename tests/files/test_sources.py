"""Files of every kind say the same, and hostile ones cost little and never crash the reader."""

import csv
import gzip
import io
import json
import os
import tracemalloc
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import duckdb
import pytest

from mixpanel_mcp.files.errors import OutsideError, UnreadableFileError
from mixpanel_mcp.files.event_lines import Checked, EventLines
from mixpanel_mcp.files.folder import Folder
from mixpanel_mcp.files.records import (
    MOST_BYTES,
    MOST_RECORDS,
    Lines,
    Rejection,
    Unreadable,
    in_batches,
)
from mixpanel_mcp.files.sources import SourceFile, opened_source
from mixpanel_mcp.operations.arguments import BANNED_IDS
from mixpanel_mcp.operations.event_freight import columns_of
from mixpanel_mcp.operations.file_rows import EventRows

MEGABYTE = 1024 * 1024
ROWS: list[dict[str, Any]] = [
    {
        "event": "Played",
        "time": 1_760_000_000 + n,
        "distinct_id": f"00{n}",
        "song": "Fado, \u00e0 noite",
        "rating": n / 4,
        "finished": n % 2 == 0,
    }
    for n in range(5_000)
]
EVENTS = [
    {
        "event": row["event"],
        "properties": {name: value for name, value in row.items() if name != "event"},
    }
    for row in ROWS
]


def as_ndjson(rows: Sequence[Any]) -> bytes:
    return b"".join(json.dumps(row, ensure_ascii=False).encode() + b"\n" for row in rows)


def as_table(separator: str) -> bytes:
    text = io.StringIO()
    writer = csv.DictWriter(text, list(ROWS[0]), delimiter=separator)
    writer.writeheader()
    writer.writerows({**row, "finished": str(row["finished"]).lower()} for row in ROWS)
    return text.getvalue().encode()


def as_parquet(tmp_path: Path) -> bytes:
    (tmp_path / "rows.json").write_bytes(as_ndjson(ROWS))
    target = tmp_path / "made.parquet"
    duckdb.sql(f"COPY (SELECT * FROM '{tmp_path}/rows.json') TO '{target}'")  # noqa: S608 - our own paths
    return target.read_bytes()


def read(path: Path, **mapping: str) -> tuple[list[Checked], list[Rejection]]:
    lines = EventLines(EventRows(mapping, None).completed, BANNED_IDS)
    checked: list[Checked] = []
    rejected: list[Rejection] = []
    with (
        Folder.opened(path.parent) as folder,
        opened_source(folder, path.name, columns_of(mapping)) as source,
    ):
        for piece in in_batches(source.pieces()):
            if isinstance(piece, Unreadable):
                rejected.append(piece.rejection)
            else:
                found = lines.check(piece.lines, piece.numbers)
                checked.append(found)
                rejected += found.rejected
    return checked, rejected


def ids(path: Path, **mapping: str) -> list[str]:
    checked, rejected = read(path, **mapping)
    assert rejected == []
    return [each for found in checked for each in found.insert_ids]


KINDS: dict[str, Callable[[Path], bytes]] = {
    "events.ndjson": lambda _: as_ndjson(EVENTS),
    "events.jsonl": lambda _: as_ndjson(EVENTS).rstrip(),
    "marked.ndjson": lambda _: b"\xef\xbb\xbf" + as_ndjson(EVENTS).replace(b"\n", b"\r\n\r\n"),
    "flat.ndjson": lambda _: as_ndjson(ROWS),
    "array.json": lambda _: json.dumps(EVENTS).encode(),
    "pretty.json": lambda _: json.dumps(EVENTS, indent=2).encode(),
    "table.csv": lambda _: as_table(","),
    "table.tsv": lambda _: as_table("\t"),
    "table.parquet": as_parquet,
}


@pytest.mark.parametrize("packed", [False, True], ids=["plain", "gz"])
@pytest.mark.parametrize("name", KINDS)
def test_an_event_is_the_same_in_every_kind_of_file(
    tmp_path: Path, name: str, *, packed: bool
) -> None:
    content = KINDS[name](tmp_path)
    path = tmp_path / (name + ".gz" if packed else name)
    # Two members, as tools write that append to a file.
    half = len(content) // 2
    parts = gzip.compress(content[:half]) + gzip.compress(content[half:])
    path.write_bytes(parts if packed else content)
    reference = tmp_path / "reference.ndjson"
    reference.write_bytes(as_ndjson(EVENTS))

    found = ids(path)

    assert len(found) == len(set(found)) == len(EVENTS)
    assert found == ids(reference)


def test_columns_of_other_names_are_mapped(tmp_path: Path) -> None:
    path = tmp_path / "log.csv"
    path.write_text("what,when,who,key,day\nPlayed,2026-01-05 12:00:00Z,007,k-1,2026-01-05 09:30\n")

    checked, rejected = read(path, event="what", time="when", distinct_id="who", insert_id="key")

    assert rejected == []
    assert [json.loads(line) for line in checked[0].lines()] == [
        {
            "event": "Played",
            "properties": {
                "day": "2026-01-05T09:30:00",
                "time": 1_767_614_400_000,
                "distinct_id": "007",
                "$insert_id": "k-1",
            },
        }
    ]


def test_rows_that_cannot_be_read_are_named_and_the_others_go_on(tmp_path: Path) -> None:
    path = tmp_path / "table.csv"
    good = b"Played,1760000000,ada,x\n"
    rows = [good, b"too,few\n", b"Played,1760000000,ada,\xff\n", b'"a"b,1,c,d\n', good]
    path.write_bytes(b"event,time,distinct_id,title\n" + b"".join(rows))

    checked, rejected = read(path)

    assert sum(len(found.names) for found in checked) == 2
    assert sorted(rejection.line for rejection in rejected) == [3, 4, 5]


HOSTILE: dict[str, tuple[bytes, str]] = {
    "not utf-8": (b'{"event":"a","properties":{"time":1760000000,"x":"\xff"}}', "UTF-8"),
    "nul": (b'{"event":"a\x00"}', "not JSON"),
    "deep": (b'{"event":' + b"[" * 100_000 + b"]" * 100_000 + b"}", "deep"),
    "deep objects": (b'{"a":' * 50_000 + b"1" + b"}" * 50_000, "deep"),
    "a text": (b'"event"', "no JSON object"),
    "torn": (b'{"event":"a","properties":{"time":17600', "not JSON"),
    "infinite": (b'{"event":"a","properties":{"time":Infinity}}', "time"),
    "long": (b'{"event":"' + b"x" * 1_200_000 + b'"}', "1 MB"),
}


@pytest.mark.parametrize(("line", "reason"), HOSTILE.values(), ids=HOSTILE)
def test_a_hostile_line_is_a_rejected_row(tmp_path: Path, line: bytes, reason: str) -> None:
    path = tmp_path / "events.ndjson"
    good = as_ndjson([EVENTS[0]])
    path.write_bytes(good + line + b"\n" + good)

    checked, rejected = read(path)

    assert sum(len(found.names) for found in checked) == 2
    assert [rejection.line for rejection in rejected] == [2]
    assert reason in rejected[0].faults[0][1]
    assert json.loads(rejected[0].as_line())["line"] == 2


def test_lines_of_all_lengths_keep_their_places(tmp_path: Path) -> None:
    """Thousands of short ones are read in a step, and of long ones a few."""
    lengths = [*(n % 7 for n in range(9_000)), *(200_000 + n for n in range(60)), 3]
    lines = [b"x" * length for length in lengths]
    path = tmp_path / "lines.ndjson"
    path.write_bytes(b"\r\n".join(lines))

    with (
        Folder.opened(tmp_path) as folder,
        opened_source(folder, path.name, columns_of({})) as source,
    ):
        pieces = [piece for piece in source.pieces() if isinstance(piece, Lines)]

    assert [line for piece in pieces for line in piece.lines] == [line + b"\n" for line in lines]
    numbers = [number for piece in pieces for number in piece.numbers]
    assert numbers == list(range(1, len(lines) + 1))
    assert max(len(piece.lines) for piece in pieces) == MOST_RECORDS
    assert max(sum(map(len, piece.lines)) for piece in pieces) <= MOST_BYTES


def test_a_line_without_end_takes_no_more_memory_than_others(tmp_path: Path) -> None:
    path = tmp_path / "events.ndjson.gz"
    good = as_ndjson([EVENTS[0]])
    with gzip.open(path, "wb", compresslevel=1) as file:
        file.write(good)
        for _ in range(64):
            file.write(os.urandom(1024).hex().encode() * 512)
        file.write(b"\n" + good)
    tracemalloc.start()

    checked, rejected = read(path)

    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert sum(len(found.names) for found in checked) == 2
    assert [rejection.line for rejection in rejected] == [2]
    assert peak < 24 * MEGABYTE


def test_a_bomb_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "events.ndjson.gz"
    path.write_bytes(gzip.compress(bytes(MEGABYTE), 9) * 300)

    with pytest.raises(UnreadableFileError, match="unpacks"):
        read(path)


DAMAGED: dict[str, Callable[[bytes], bytes]] = {
    "cut": lambda packed: packed[:-20],
    "without trailer": lambda packed: packed[:-8],
    "flipped": lambda packed: packed[:-5] + bytes([packed[-5] ^ 1]) + packed[-4:],
    "followed by something else": lambda packed: packed + b"rubbish",
}


@pytest.mark.parametrize("damage", DAMAGED.values(), ids=DAMAGED)
def test_damaged_gzip_is_an_error(tmp_path: Path, damage: Callable[[bytes], bytes]) -> None:
    path = tmp_path / "events.ndjson.gz"
    path.write_bytes(damage(gzip.compress(as_ndjson(EVENTS))))

    with pytest.raises(UnreadableFileError, match="gzip"):
        read(path)


BROKEN = {
    "an array that ends early": ("a.json", json.dumps(EVENTS).encode()[:-1]),
    "an array that is none": ("a.json", b"[" + as_ndjson(EVENTS) + b"]"),
    "utf-16": ("a.ndjson", as_ndjson(EVENTS).decode().encode("utf-16")),
    "a header twice": ("a.csv", b"event,event\na,b\n"),
    "no parquet": ("a.parquet", b"PAR1rubbishPAR1"),
    "another kind": ("a.xlsx", b"PK"),
}


@pytest.mark.parametrize(("name", "content"), BROKEN.values(), ids=BROKEN)
def test_a_file_that_is_not_what_it_says_is_an_error(
    tmp_path: Path, name: str, content: bytes
) -> None:
    path = tmp_path / name
    path.write_bytes(content)

    with pytest.raises(UnreadableFileError):
        read(path)


def test_only_plain_files_are_opened(tmp_path: Path) -> None:
    secret = tmp_path / "secret.ndjson"
    secret.write_bytes(as_ndjson(EVENTS[:1]))
    (tmp_path / "link.ndjson").symlink_to(secret)
    os.link(secret, tmp_path / "second.ndjson")
    os.mkfifo(tmp_path / "pipe.ndjson")
    (tmp_path / "folder.ndjson").mkdir()

    for name in ("link", "second", "pipe", "folder", "missing"):
        with pytest.raises(OutsideError):
            read(tmp_path / f"{name}.ndjson")


def opened(path: Path, use: Callable[[SourceFile], None]) -> None:
    with (
        Folder.opened(path.parent) as folder,
        opened_source(folder, path.name, columns_of({})) as source,
    ):
        use(source)


def test_a_file_that_grows_is_noticed_and_read_only_as_far_as_it_went(tmp_path: Path) -> None:
    path = tmp_path / "events.ndjson"
    path.write_bytes(as_ndjson(EVENTS[:10]))

    def use(source: SourceFile) -> None:
        with path.open("ab") as file:
            file.write(as_ndjson(EVENTS[10:]))
        pieces = list(source.pieces())
        assert sum(len(piece.lines) for piece in pieces if not isinstance(piece, Unreadable)) == 10
        with pytest.raises(UnreadableFileError, match="changes"):
            source.require_unchanged()

    opened(path, use)


def test_nothing_in_a_file_is_nothing(tmp_path: Path) -> None:
    for name, content in {
        "a.ndjson": b"",
        "b.ndjson": b"\n \n",
        "c.json": b"[]",
        "d.csv": b"event\n",
    }.items():
        (tmp_path / name).write_bytes(content)
        assert ids(tmp_path / name) == []


def test_a_file_that_shrinks_is_noticed(tmp_path: Path) -> None:
    path = tmp_path / "events.ndjson"
    path.write_bytes(as_ndjson(EVENTS))

    def use(source: SourceFile) -> None:
        os.truncate(path, 10)
        list(source.pieces())
        with pytest.raises(UnreadableFileError, match="changes"):
            source.require_unchanged()

    opened(path, use)


def test_a_file_that_is_replaced_is_read_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "events.ndjson"
    path.write_bytes(as_ndjson(EVENTS[:10]))
    other = tmp_path / "other.ndjson"
    other.write_bytes(as_ndjson(EVENTS))
    identities: list[str] = []

    def use(source: SourceFile) -> None:
        identities.append(source.identity())
        if other.exists():
            other.replace(path)
        pieces = list(source.pieces())
        lines = sum(len(piece.lines) for piece in pieces if not isinstance(piece, Unreadable))
        assert lines == (10 if len(identities) == 1 else len(EVENTS))
        source.require_unchanged()

    opened(path, use)
    opened(path, use)

    assert identities[0] != identities[1]
