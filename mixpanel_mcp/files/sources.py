"""Files of records: opened, recognized, and read from their beginning to the end they had."""

import hashlib
import io
import os
import sys
import tempfile
from collections.abc import Generator, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import IO, BinaryIO

from mixpanel_mcp.files.errors import UnreadableFileError
from mixpanel_mcp.files.folder import Folder
from mixpanel_mcp.files.json_files import first_byte, pieces_of_array, pieces_of_lines
from mixpanel_mcp.files.records import Lines, Unreadable
from mixpanel_mcp.files.tables import pieces_of_csv, pieces_of_parquet
from mixpanel_mcp.files.unpacking import BoundedLines, Buffered, Unpacked, is_gzip

_BUFFER = 256 * 1024
_ENDS_READ = 64 * 1024
_MOST_UNPACKED_PARQUET = 4 * 1024 * 1024 * 1024
_NUMBERED_PATHS = sys.platform == "linux"
_SEPARATORS = {".csv": ",", ".tsv": "\t"}
_JSON = {".ndjson", ".jsonl", ".json", ".txt", ".log", ""}

OWN_ENDINGS = (".rejected.ndjson", ".checkpoint", ".checkpoint.incomplete")
"""What imports leave behind; a pattern does not mean these unless it names them."""


@dataclass(frozen=True)
class Columns:
    """Which columns of a table stay text, and which hold the event's time."""

    texts: frozenset[str]
    moments: frozenset[str]


class SourceFile:
    """One file, open; nothing that is written to it later is read."""

    def __init__(self, name: str, file: BinaryIO, path: str, columns: Columns) -> None:
        self.name = name
        self._file = file
        self._path = path
        self._columns = columns
        self._facts = os.fstat(file.fileno())

    @property
    def size(self) -> int:
        return self._facts.st_size

    def identity(self) -> str:
        """What tells this file, as it is, from another or a changed one."""
        digest = hashlib.sha256(f"{self.size} {self._facts.st_mtime_ns} ".encode())
        self._file.seek(0)
        digest.update(self._file.read(_ENDS_READ))
        self._file.seek(max(0, self.size - _ENDS_READ))
        digest.update(self._file.read(_ENDS_READ))
        return digest.hexdigest()

    def hold(self) -> None:
        """Keep other imports of this file away until it is closed; on Windows nothing does.

        Raises:
            UnreadableFileError: one is at work.
        """
        try:
            import fcntl  # noqa: PLC0415 - absent on Windows
        except ImportError:
            return
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise UnreadableFileError("another import of it is at work; wait for it") from error
        except OSError:  # a file system without locks
            return

    def require_unchanged(self) -> None:
        """Insist that what was read is what is there.

        Raises:
            UnreadableFileError: it was written to in the meantime.
        """
        now = os.fstat(self._file.fileno())
        if (now.st_size, now.st_mtime_ns) != (self._facts.st_size, self._facts.st_mtime_ns):
            raise UnreadableFileError("it changes while it is read; wait until it is finished")

    def pieces(self) -> Iterator[Lines | Unreadable]:
        """Its records in order.

        Raises:
            UnreadableFileError: it is damaged, or not what its name says.
        """
        self._file.seek(0)
        zipped = is_gzip(self._file)
        kind = _kind(self.name)
        if kind == ".parquet":
            yield from self._parquet(zipped=zipped)
            return
        raw = Unpacked(self._file) if zipped else self._file
        most = None if zipped else self.size
        stream: Buffered = io.BufferedReader(BoundedLines(raw, most), _BUFFER)
        if kind in _SEPARATORS:
            first_byte(stream)
            yield from pieces_of_csv(
                stream, _SEPARATORS[kind], self._columns.texts, self._columns.moments
            )
        elif first_byte(stream) == b"[":
            yield from pieces_of_array(stream)
        else:
            yield from pieces_of_lines(stream)

    def _parquet(self, *, zipped: bool) -> Iterator[Lines | Unreadable]:
        with ExitStack() as held:
            number, path = self._file.fileno(), self._path
            if zipped:
                unpacked = held.enter_context(_unpacked_parquet())
                _copy(Unpacked(self._file), unpacked)
                number, path = unpacked.fileno(), str(unpacked.name)
            # By its number, so that nobody can put another file in its place.
            if _NUMBERED_PATHS:
                path = f"/proc/self/fd/{number}"
            yield from pieces_of_parquet(path, self._columns.moments)


@contextmanager
def opened_source(folder: Folder, name: str, columns: Columns) -> Generator[SourceFile]:
    """Open a file of records.

    Raises:
        OutsideError: it is no plain file.
        UnreadableFileError: its name says that it is of a kind that cannot be read.
    """
    if _kind(name) not in {*_JSON, *_SEPARATORS, ".parquet"}:
        raise UnreadableFileError(
            "its kind is unknown; its name must end in .ndjson, .jsonl, .json, .csv, .tsv or "
            ".parquet, with .gz behind it where it is packed"
        )
    with folder.read(name) as file:
        yield SourceFile(name, file, str(folder.path / name), columns)


def _kind(name: str) -> str:
    return PurePosixPath(name.lower().removesuffix(".gz")).suffix


def _unpacked_parquet() -> IO[bytes]:
    if _NUMBERED_PATHS:
        return tempfile.TemporaryFile()  # without a name, so that nothing of it outlives a kill
    return tempfile.NamedTemporaryFile(suffix=".parquet")


def _copy(source: Unpacked, target: IO[bytes]) -> None:
    copied = 0
    while piece := source.read(_BUFFER):
        copied += len(piece)
        if copied > _MOST_UNPACKED_PARQUET:
            raise UnreadableFileError("it unpacks to more than 4 GB; unpack it beforehand")
        target.write(piece)
    target.flush()
