"""What was checked, kept until it is sent: packed, and out of everybody's reach.

What is judged must be what goes out, and the file may change in between. So the bodies that were
judged are kept themselves, in a file without a name that ends with this process.
"""

import tempfile
from array import array
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Self


@dataclass(frozen=True)
class Kept:
    """A body's place in the spool; `first` and `last` are places of rows in the source.

    `repeatable` says that a second arrival changes nothing.
    """

    offset: int
    size: int
    count: int
    first: int
    last: int
    unpacked: int
    repeatable: bool

    @property
    def is_gapless(self) -> bool:
        return self.last - self.first + 1 == self.count


class Spool:
    """Packed bodies in order."""

    def __init__(self, folder: Path | None) -> None:
        """`folder` is tried first: what holds the source has room for a part of its size."""
        self._file = _nameless(folder)
        self._kept: list[Kept] = []
        self._end = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        # On a full disk it would try once more to write what nobody needs any longer.
        with suppress(OSError):
            self._file.close()

    def add(self, body: bytes, numbers: Sequence[int], unpacked: int, *, repeatable: bool) -> None:
        """Keep a body and the places of its rows.

        Raises:
            OSError: the disk is full.
        """
        kept = Kept(
            self._end, len(body), len(numbers), numbers[0], numbers[-1], unpacked, repeatable
        )
        self._file.write(body)
        self._end += len(body)
        if not kept.is_gapless:
            places = array("Q", numbers).tobytes()
            self._file.write(places)
            self._end += len(places)
        # So that a full disk is noticed before anything is sent.
        self._file.flush()
        self._kept.append(kept)

    def __len__(self) -> int:
        return len(self._kept)

    def __iter__(self) -> Iterator[Kept]:
        return iter(self._kept)

    def body(self, kept: Kept) -> bytes:
        self._file.seek(kept.offset)
        return self._file.read(kept.size)

    def numbers(self, kept: Kept) -> Sequence[int]:
        """The places of a body's rows in the source."""
        if kept.is_gapless:
            return range(kept.first, kept.last + 1)
        self._file.seek(kept.offset + kept.size)
        return array("Q", self._file.read(8 * kept.count))


def _nameless(folder: Path | None) -> IO[bytes]:
    try:
        return tempfile.TemporaryFile(dir=folder)
    except OSError:  # a folder that is only to be read
        return tempfile.TemporaryFile()
