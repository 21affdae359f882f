"""One slice of an export on its way into a file: unpacked, counted, and its end proved."""

import hashlib
import json
import os
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


@dataclass(frozen=True)
class Written:
    """What is in a file: records, its size, and the size without gzip."""

    records: int
    bytes: int
    unpacked_bytes: int
    sha256: str | None


class LineCount:
    """Counts lines that are objects, one each, and insists on a last one that is whole.

    The first and the last line are read; between them only that Mixpanel's words for an export that
    it gave up stand nowhere. Reading all of them would take three times as long.
    """

    def __init__(self) -> None:
        self.lines = 0
        self.bytes = 0
        self._before: list[bytes] = []
        self._before_length = 0
        self._piece = b""

    def take(self, piece: bytes) -> None:
        """Count what came.

        Raises:
            BrokenSliceError: it is no export, or was given up.
        """
        self.bytes += len(piece)
        found = piece.count(b"\n")
        if not found:
            self._keep(piece)
            return
        head = b"".join(self._before)
        if not self.lines:
            self.lines -= not _is_event(head + piece[: piece.find(b"\n")])
        if (head + piece[: len(_CUT)]).startswith(_CUT) or b"\n" + _CUT in piece:
            raise BrokenSliceError(_GIVEN_UP)
        self.lines += found
        self._before, self._before_length = [], 0
        self._piece = head + piece if head and found == 1 else piece
        self._keep(piece[piece.rfind(b"\n") + 1 :])

    def finish(self) -> int:
        """Say how many there are.

        Raises:
            BrokenSliceError: the last line is cut, or is none.
        """
        rest = b"".join(self._before)
        if rest:
            self.lines += _is_event(rest)
        elif self.lines > 0:
            ended = self._piece[: self._piece.rfind(b"\n")]
            self.lines -= not _is_event(ended[ended.rfind(b"\n") + 1 :])
        return self.lines

    @property
    def ends_with_a_break(self) -> bool:
        return not self._before_length

    def _keep(self, rest: bytes) -> None:
        if not rest:
            return
        self._before.append(rest)
        self._before_length += len(rest)
        if self._before_length > _LONGEST_LINE:
            raise BrokenSliceError("A line of the export does not end.")


_GIVEN_UP = "Mixpanel ended the export before its end (terminated early)."


def _is_event(line: bytes) -> bool:
    """Whether a line is an event, or blank.

    Raises:
        BrokenSliceError: it is something else.
    """
    if not line.strip():
        return False
    if line.strip() == _CUT:
        raise BrokenSliceError(_GIVEN_UP)
    try:
        record: object = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise BrokenSliceError("A line of the export is not JSON, or is cut.") from error
    if not is_object(record) or not any(fields <= record.keys() for fields in _FIELDS):
        raise BrokenSliceError("A line of the export is not an event.")
    return True


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
            raise BrokenSliceError(str(error)) from error

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
            raise BrokenSliceError(str(error)) from error
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
