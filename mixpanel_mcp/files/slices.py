"""One slice of an export on its way into a file: unpacked, counted, and its end proved."""

import hashlib
import json
import os
import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from mixpanel_mcp.files.inflating import DamagedError, Packer, Unpacker
from mixpanel_mcp.json_values import is_object

# An event may have 1 MB, and escapes make it longer; a line beyond this never ends.
_LONGEST_LINE = 16 * 1024 * 1024
_CUT = b"terminated early"
# An event, or a profile.
_FIELDS = ({"event", "properties"}, {"$distinct_id", "$properties"})


class BrokenSliceError(Exception):
    """What came is not the whole of what was asked for; asking again may bring it."""


class NoRoomError(Exception):
    """The operator's limit on the size of exports is reached."""


class Room:
    """Bytes that may still be written, shared by all who write; None is no limit."""

    def __init__(self, left: int | None) -> None:
        self._left = left

    def take(self, size: int) -> None:
        """Use some of it.

        Raises:
            NoRoomError: less than that is left.
        """
        if self._left is None:
            return
        self._left -= size
        if self._left < 0:
            raise NoRoomError

    def give_back(self, size: int) -> None:
        """Say that so much is no longer there."""
        if self._left is not None:
            self._left += size


@dataclass(frozen=True)
class Written:
    """What is in a file: records, its size, and the size without gzip."""

    records: int
    bytes: int
    unpacked_bytes: int
    sha256: str | None


class LineCount:
    """Counts lines that are objects, one each, and insists that every one is whole.

    The first and the last line are read; of those between them only that each begins as an object
    and ends as one, which neither a cut line nor Mixpanel's words for an export that it gave up do.
    Reading all of them would take many times as long.
    """

    def __init__(self) -> None:
        self.lines = 0
        self.bytes = 0
        self._before: list[bytes] = []
        self._before_length = 0
        self._last = b""

    def take(self, piece: bytes) -> None:
        """Count what came.

        Raises:
            BrokenSliceError: it is no export, was given up, or a line of it is cut.
        """
        self.bytes += len(piece)
        # Several times as fast as `count`, which looks at every byte on its own.
        found = len(piece) - len(piece.replace(b"\n", b""))
        if not found:
            self._keep(piece)
            return
        head = b"".join(self._before)
        end = piece.rfind(b"\n")
        if self.lines and _all_whole(head, piece, end):
            self.lines += found
            last = piece[piece.rfind(b"\n", 0, end) + 1 : end]
            self._last = head + last if found == 1 else last
        else:
            self._look(head + piece[:end])
        self._before, self._before_length = [], 0
        self._keep(piece[end + 1 :])

    def finish(self) -> int:
        """Say how many there are.

        Raises:
            BrokenSliceError: the last line is cut, or is no event.
        """
        self._look(b"".join(self._before))
        if self.lines:
            _insist_on_event(self._last)
        return self.lines

    @property
    def ends_with_a_break(self) -> bool:
        return not self._before_length

    def _look(self, lines: bytes) -> None:
        """Count lines where some may be blank, or broken."""
        for line in map(bytes.strip, lines.strip().split(b"\n")):
            if not line:
                continue
            if not self.lines or not (line.startswith(b"{") and line.endswith(b"}")):
                _insist_on_event(line)
            self.lines += 1
            self._last = line

    def _keep(self, rest: bytes) -> None:
        if not rest:
            return
        self._before.append(rest)
        self._before_length += len(rest)
        if self._before_length > _LONGEST_LINE:
            raise BrokenSliceError("A line of the export does not end.")


# A break that is not between two objects. What follows a piece's end is the next piece's to say.
_ODD_BREAK = re.compile(rb"\n(?!\{(?<=\}\n\{)|\Z)")


def _all_whole(head: bytes, piece: bytes, end: int) -> bool:
    """Whether the lines that end in a piece are objects, as far as their ends show.

    `head` is what came of the first one before, `end` where the last one ends. A break at the very
    beginning is not understood, and so no.
    """
    return (
        (head or piece).startswith(b"{")
        and piece[end - 1 : end] == b"}"
        and not _ODD_BREAK.search(piece)
    )


def _insist_on_event(line: bytes) -> None:
    """Read a line.

    Raises:
        BrokenSliceError: it is no event.
    """
    if line == _CUT:
        raise BrokenSliceError("Mixpanel ended the export before its end (terminated early).")
    try:
        record: object = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise BrokenSliceError("A line of the export is not JSON, or is cut.") from error
    if not is_object(record) or not any(fields <= record.keys() for fields in _FIELDS):
        raise BrokenSliceError("A line of the export is not an event.")


class SliceFile:
    """A part file that only `finish` gives its name; left without it, it leaves no trace.

    Not for two threads at once.
    """

    def __init__(
        self, path: Path, *, arrives_packed: bool, kept_packed: bool, room: Room, hashed: bool
    ) -> None:
        """Make the part file, in place of one that was left behind.

        Args:
            path: the final name; the part's ends in `.part`.
            arrives_packed: whether what comes is gzip.
            kept_packed: whether the file shall be gzip.
            room: how much may be written.
            hashed: whether the file's SHA-256 is wanted.

        Raises:
            OSError: it cannot be made.
        """
        self.path = path
        self._part = path.with_name(f"{path.name}.part")
        self._part.unlink(missing_ok=True)
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
        self._file = os.open(self._part, flags, 0o600)
        self._unpacker = Unpacker() if arrives_packed else None
        self._packer = Packer() if kept_packed and not arrives_packed else None
        self._as_it_came = arrives_packed and kept_packed
        self._count = LineCount()
        self._room = room
        self._size = 0
        self._hash = hashlib.sha256() if hashed else None

    @property
    def records(self) -> int:
        """How many came so far."""
        return self._count.lines

    def take(self, data: bytes) -> None:
        """Add what came.

        Raises:
            BrokenSliceError: it is damaged or given up.
            NoRoomError, OSError: it cannot be kept.
        """
        if self._as_it_came:
            self._write(data)
        try:
            for piece in self._unpacked(data):
                self._count.take(piece)
                if not self._as_it_came:
                    self._write_plain(piece)
        except DamagedError as error:
            raise BrokenSliceError(f"The reply cannot be read: {error}.") from error

    def finish(self) -> Written:
        """Prove the end, close, and give the file its name.

        Raises:
            BrokenSliceError: the end is none.
            NoRoomError, OSError: the last bytes cannot be kept.
        """
        try:
            if self._unpacker is not None:
                self._unpacker.finish()
        except DamagedError as error:
            raise BrokenSliceError(f"The reply cannot be read: {error}.") from error
        records = self._count.finish()
        unpacked = self._count.bytes
        if not self._count.ends_with_a_break:
            # So that files can be put one behind the other.
            if self._as_it_came:
                self._write(_packed_break())
            else:
                self._write_plain(b"\n")
            unpacked += 1
        if self._packer is not None:
            self._write(self._packer.finish())
        self._close()
        self._part.replace(self.path)
        digest = self._hash.hexdigest() if self._hash else None
        return Written(records, self._size, unpacked, digest)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        with suppress(OSError):
            self._close()
        self._part.unlink(missing_ok=True)

    def _unpacked(self, data: bytes) -> Iterator[bytes]:
        return iter((data,)) if self._unpacker is None else self._unpacker.take(data)

    def _write_plain(self, piece: bytes) -> None:
        self._write(piece if self._packer is None else self._packer.take(piece))

    def _write(self, data: bytes) -> None:
        if not data:
            return
        self._room.take(len(data))
        self._size += len(data)
        if self._hash:
            self._hash.update(data)
        left = memoryview(data)
        while left:
            left = left[os.write(self._file, left) :]

    def _close(self) -> None:
        if self._file >= 0:
            number, self._file = self._file, -1
            os.close(number)


def _packed_break() -> bytes:
    """A newline as a gzip member of its own."""
    packer = Packer()
    return packer.take(b"\n") + packer.finish()
