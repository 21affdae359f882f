"""What comes off the wire on its way into a file: counted, bounded, and whole or an error."""

import gzip
import json
import tracemalloc
import zlib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mixpanel_mcp.files.exports import Exports, NoSuchExportError, read_manifest
from mixpanel_mcp.files.inflating import DamagedError, Packer, Unpacker
from mixpanel_mcp.files.slices import BrokenSliceError, LineCount, NoRoomError, Room, SliceFile

EVENT = b'{"event":"E","properties":{"time":1,"text":"a\xe2\x80\xa8b"}}\n'


def sliced(body: bytes, size: int) -> list[bytes]:
    return [body[at : at + size] for at in range(0, len(body), size)]


def take_all(taker: LineCount | SliceFile, pieces: list[bytes]) -> None:
    for piece in pieces:
        taker.take(piece)


def unpacked(packed: bytes) -> bytes:
    unpacker = Unpacker()
    content = b"".join(unpacker.take(packed))
    unpacker.finish()
    return content


def counted(body: bytes, size: int) -> int:
    count = LineCount()
    for piece in sliced(body, size):
        count.take(piece)
    return count.finish()


@given(number=st.integers(0, 20), size=st.integers(1, 200), ended=st.booleans())
def test_lines_are_counted_in_whatever_pieces_they_come(
    number: int, size: int, *, ended: bool
) -> None:
    body = EVENT * number
    assert counted(body if ended else body.rstrip(b"\n"), size) == number


BROKEN = {
    "last line cut": EVENT * 2 + EVENT[:-9],
    "terminated early": EVENT * 2 + b"terminated early",
    "terminated early, ended": EVENT * 2 + b"terminated early\n",
    "terminated early in the middle": EVENT + b"terminated early\n" + EVENT * 2,
    "terminated early after a break": EVENT * 2 + b"\r\nterminated early\n" + EVENT,
    "terminated early at once": b"terminated early\n",
    "a line cut within": EVENT * 2 + EVENT[:-9] + b"\n" + EVENT * 2,
    "a line begun within": EVENT * 2 + EVENT[9:] + EVENT * 2,
    "two lines in one, cut": EVENT * 2 + EVENT[:9] + EVENT + EVENT[:9] + b"\n" + EVENT,
    "words between": EVENT * 2 + b"oops\n" + EVENT * 2,
    "an error": b'{"error":"no"}\n',
    "html": b"<html>\n" + EVENT,
    "no JSON at the end": EVENT * 3 + b"oops\n",
    "no text": b"\xff\xfe\n",
    "deep": EVENT + b"[" * 200_000 + b"\n",
}


@pytest.mark.parametrize("size", [1, 7, 16, 1_000_000])
@pytest.mark.parametrize("body", BROKEN.values(), ids=BROKEN)
def test_what_is_no_whole_export_is_not_counted(body: bytes, size: int) -> None:
    with pytest.raises(BrokenSliceError):
        counted(body, size)


@pytest.mark.parametrize("body", [b"", b"\n", b"\r\n", EVENT + b"\n"], ids=repr)
def test_blank_lines_at_the_ends_are_no_events(body: bytes) -> None:
    assert counted(body, 5) == (1 if EVENT in body else 0)


@given(
    breaks=st.lists(st.sampled_from([b"", b"\n", b"\r\n", b" \n"]), max_size=12),
    size=st.integers(1, 300),
)
def test_blank_lines_between_events_are_none_either(breaks: list[bytes], size: int) -> None:
    body = b"".join(EVENT + each for each in breaks)
    assert counted(body, size) == len(breaks)


@pytest.mark.parametrize("size", [1, 7, 16, 1_000_000])
def test_an_event_may_speak_of_ends(size: int) -> None:
    """What an event says is its own matter: only where a line begins do the words mean an end."""
    event = b'{"event":"terminated early","properties":{"why":"\\nterminated early","n":"}{"}}\n'
    assert counted(event * 5, size) == 5


def test_a_body_of_breaks_alone_is_no_event_and_no_work() -> None:
    count = LineCount()
    take_all(count, [b"\n" * 65_536] * 1_000)
    assert count.finish() == 0


def test_a_line_without_an_end_is_given_up() -> None:
    count = LineCount()
    with pytest.raises(BrokenSliceError, match="does not end"):
        take_all(count, [b"x" * 65_536] * 1_000)


def test_a_gzip_bomb_takes_no_memory(tmp_path: Path) -> None:
    """A gigabyte of nothing in a megabyte: it is given up as a line that does not end."""
    bomb = gzip.compress(b"\0" * (256 * 1024 * 1024), 9)
    file = SliceFile(
        tmp_path / "a", arrives_packed=True, kept_packed=False, room=Room(None), hashed=False
    )
    tracemalloc.start()
    with pytest.raises(BrokenSliceError):
        take_all(file, sliced(bomb, 65_536))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    with file:
        pass
    assert peak < 60 * 1024 * 1024
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("packed", [True, False])
def test_a_part_gets_its_name_only_once_it_is_whole(tmp_path: Path, *, packed: bool) -> None:
    body = gzip.compress(EVENT * 3) if packed else EVENT * 3
    path = tmp_path / "events.ndjson"
    file = SliceFile(path, arrives_packed=packed, kept_packed=False, room=Room(None), hashed=True)
    file.take(body[:20])
    assert [each.name for each in tmp_path.iterdir()] == ["events.ndjson.part"]
    file.take(body[20:])
    written = file.finish()
    assert path.read_bytes() == EVENT * 3
    assert (written.records, written.bytes) == (3, len(EVENT) * 3)
    assert [each.name for each in tmp_path.iterdir()] == ["events.ndjson"]


def test_room_is_shared(tmp_path: Path) -> None:
    room = Room(len(EVENT) + 10)
    files = [
        SliceFile(tmp_path / name, arrives_packed=False, kept_packed=False, room=room, hashed=False)
        for name in "ab"
    ]
    files[0].take(EVENT)
    with pytest.raises(NoRoomError):
        files[1].take(EVENT)
    with files[0], files[1]:
        pass
    assert list(tmp_path.iterdir()) == []


@given(st.lists(st.binary(max_size=300), min_size=1, max_size=4), st.integers(1, 50))
def test_members_come_back_as_they_were(parts: list[bytes], size: int) -> None:
    packed = b"".join(map(gzip.compress, parts))
    unpacker = Unpacker()
    found = b"".join(part for piece in sliced(packed, size) for part in unpacker.take(piece))
    unpacker.finish()
    assert found == b"".join(parts)


@given(st.binary(min_size=1, max_size=2_000), st.data())
def test_gzip_that_ends_anywhere_else_is_noticed(content: bytes, data: st.DataObject) -> None:
    packed = gzip.compress(content)
    end = data.draw(st.integers(1, len(packed) - 1))
    with pytest.raises(DamagedError):
        unpacked(packed[:end])


def test_what_we_pack_anybody_unpacks() -> None:
    packer = Packer()
    packed = packer.take(EVENT * 100) + packer.take(EVENT) + packer.finish()
    assert zlib.decompress(packed, 31) == EVENT * 101


MANIFEST: dict[str, Any] = {
    "version": 1, "id": "events-x", "kind": "events", "format": "ndjson", "project": "1",
    "region": "us", "arguments": {}, "made": "2026-01-01T00:00:00+00:00", "complete": True,
    "position": {},
}  # fmt: skip
SLICE: dict[str, Any] = {
    "key": "2026-01-01", "file": "day=2026-01-01/events.ndjson", "records": 1, "bytes": 1,
    "unpacked_bytes": 1, "sha256": None, "fetched": "2026-02-01T00:00:00+00:00", "duplicates": 0,
}  # fmt: skip


@pytest.mark.parametrize(
    "file",
    [
        "/etc/passwd",
        "../../secret",
        "day=2026-01-01/../../x.y",
        "x.y/../z.a",
        "",
        "a\x00.b",
        "link.ndjson",
    ],
)
def test_a_manifest_cannot_name_what_lies_elsewhere(tmp_path: Path, file: str) -> None:
    folder = tmp_path / "exports" / "events-x"
    folder.mkdir(parents=True)
    (folder / "link.ndjson").symlink_to("/etc/passwd")
    (folder / "manifest.json").write_text(
        json.dumps({**MANIFEST, "slices": [{**SLICE, "file": file}]})
    )
    assert read_manifest(folder) is None
    with pytest.raises(NoSuchExportError):
        Exports(tmp_path).find("events-x")


@pytest.mark.parametrize("text", ["", "{", "[]", "null", '{"version": 2}', "[" * 100_000, "\x00"])
def test_a_manifest_that_is_none_is_no_export(tmp_path: Path, text: str) -> None:
    (tmp_path / "manifest.json").write_text(text)
    assert read_manifest(tmp_path) is None


def test_a_link_is_no_export(tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "manifest.json").write_text(json.dumps({**MANIFEST, "slices": [SLICE]}))
    (tmp_path / "exports").mkdir()
    (tmp_path / "exports" / "events-x").symlink_to(elsewhere)
    with pytest.raises(NoSuchExportError):
        Exports(tmp_path).find("events-x")
