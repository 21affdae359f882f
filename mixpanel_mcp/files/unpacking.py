"""Streams of bytes that stay within bounds: gzip undone piece by piece, lines cut where they end.

A file may be hostile: a bomb, a line without an end, a member cut short.
"""

import io
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, BinaryIO, TypeAlias

from mixpanel_mcp.files.errors import UnreadableFileError
from mixpanel_mcp.files.inflating import DamagedError, Unpacker

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

LONGEST_LINE = 1_000_000
"""Bytes; a line that reaches it is handed on cut, and is too long for any record."""

_PIECE = 256 * 1024
_USUAL_LINE = 4_096
# Events shrink to a tenth, the dullest of them to a hundredth; the format's limit is 1,030.
_BOMB_RATIO = 250
_BOMB_BYTES = 16 * 1024 * 1024
_GZIP_MARK = b"\x1f\x8b"


Buffered: TypeAlias = "io.BufferedReader[Any]"


def is_gzip(file: BinaryIO) -> bool:
    """Whether a file begins like gzip; leaves it at its beginning."""
    mark = file.read(2)
    file.seek(0)
    return mark == _GZIP_MARK


class Unpacked(io.RawIOBase):
    """What a gzip file of any number of members holds; its end is proved by each trailer."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._unpacker = Unpacker()
        self._pieces: Iterator[bytes] = iter(())
        self._rest = memoryview(b"")
        self._read = self._made = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: "WriteableBuffer", /) -> int:
        if not self._rest:
            self._rest = memoryview(self._next())
        view = memoryview(buffer).cast("B")
        count = min(len(view), len(self._rest))
        view[:count] = self._rest[:count]
        self._rest = self._rest[count:]
        return count

    def _next(self) -> bytes:
        """The next piece; nothing at the end."""
        try:
            while (piece := next(self._pieces, None)) is None:
                packed = self._file.read(_PIECE)
                if not packed:
                    self._unpacker.finish()
                    return b""
                self._read += len(packed)
                self._pieces = self._unpacker.take(packed)
        except DamagedError as error:
            raise UnreadableFileError(str(error)) from error
        self._made += len(piece)
        if self._made > _BOMB_BYTES and self._made > self._read * _BOMB_RATIO:
            raise UnreadableFileError(
                f"it unpacks to more than {_BOMB_RATIO} times its size, as no real data does"
            )
        return piece


class BoundedLines(io.RawIOBase):
    """Hands on another stream with what exceeds a line's limit left out, and counts bytes."""

    def __init__(self, stream: Any, most_bytes: int | None = None) -> None:
        """`most_bytes` is where reading ends, for files that grow."""
        self._stream = stream
        self._left = most_bytes
        self._run = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: "WriteableBuffer", /) -> int:
        view = memoryview(buffer).cast("B")
        while True:
            wanted = len(view) if self._left is None else min(len(view), self._left)
            count = self._stream.readinto(view[:wanted]) if wanted else 0
            if not count:
                return 0
            if self._left is not None:
                self._left -= count
            if kept := self._kept(view, count):
                return kept

    def _kept(self, view: memoryview, count: int) -> int:
        """Drop from the piece what belongs to a line that is too long already."""
        if self._run <= LONGEST_LINE:
            # A line seldom is longer than this, so its end is not far from the end.
            last = bytes(view[max(0, count - _USUAL_LINE) : count]).rfind(b"\n")
            if last >= 0:
                self._run = min(count, _USUAL_LINE) - last - 1
                return count
            last = bytes(view[:count]).rfind(b"\n")
            self._run = count - last - 1 if last >= 0 else self._run + count
            return count
        piece = bytes(view[:count])
        first = piece.find(b"\n")
        if first < 0:
            return 0
        rest = piece[first:]
        self._run = len(rest) - rest.rfind(b"\n") - 1
        view[: len(rest)] = rest
        return len(rest)
