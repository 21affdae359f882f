"""A folder that is held open: its files are found by name below the handle, never through links."""

import os
import stat
from collections.abc import Generator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from mixpanel_mcp.files.errors import OutsideError

# Absent on Windows, where opening below a folder's handle does not exist either.
_NO_FOLLOW = getattr(os, "O_NOFOLLOW", 0)
_DIRECTORY = getattr(os, "O_DIRECTORY", 0)
_NO_WAIT = getattr(os, "O_NONBLOCK", 0)
_BINARY = getattr(os, "O_BINARY", 0)
_BELOW_HANDLES = os.open in os.supports_dir_fd
_INCOMPLETE = ".incomplete"
_CREATE = os.O_WRONLY | os.O_CREAT | _NO_FOLLOW | _BINARY


class Folder:
    """Plain files of one folder."""

    def __init__(self, path: Path, handle: int | None) -> None:
        self.path = path
        self._handle = handle

    @classmethod
    @contextmanager
    def opened(cls, path: Path) -> Generator["Folder"]:
        """Hold a folder that a person named.

        Raises:
            OutsideError: it is none, or may not be opened.
        """
        if not _BELOW_HANDLES:
            yield cls(path, None)
            return
        try:
            handle = os.open(path, os.O_RDONLY | _DIRECTORY)
        except OSError as error:
            raise OutsideError(f"{str(path)!r:.120} cannot be opened: {error.strerror}") from error
        try:
            yield cls(path, handle)
        finally:
            os.close(handle)

    def read(self, name: str) -> BinaryIO:
        """Open a plain file with one name for reading.

        Raises:
            OutsideError: it is a device, a pipe, a link or has several names, or is not there.
        """
        try:
            number = self._open(name, os.O_RDONLY | _NO_FOLLOW | _NO_WAIT | _BINARY)
        except OSError as error:
            raise OutsideError(f"{name!r:.120} cannot be opened: {error.strerror}") from error
        facts = os.fstat(number)
        if not stat.S_ISREG(facts.st_mode) or facts.st_nlink > 1:
            os.close(number)
            raise OutsideError(f"{name!r:.120} is not a plain file")
        return os.fdopen(number, "rb", buffering=0)

    def extend(self, name: str, kept: int) -> BinaryIO:
        """Open a file for writing behind its first `kept` bytes; what was there after them goes.

        Raises:
            OutsideError: it cannot be written, or is no plain file.
        """
        try:
            number = self._open(name, _CREATE)
        except OSError as error:
            raise OutsideError(f"{name!r:.120} cannot be written: {error.strerror}") from error
        facts = os.fstat(number)
        if not stat.S_ISREG(facts.st_mode) or facts.st_nlink > 1 or facts.st_size < kept:
            os.close(number)
            raise OutsideError(f"{name!r:.120} is not the plain file it was")
        os.ftruncate(number, kept)
        os.lseek(number, kept, os.SEEK_SET)
        return os.fdopen(number, "wb")

    def replace(self, name: str, content: bytes) -> None:
        """Write a whole file at once: whoever looks sees the old one or the new one.

        Raises:
            OSError: the disk is full, or the folder may not be written to.
            OutsideError: something else stands in its place.
        """
        fresh = name + _INCOMPLETE
        try:
            with self.extend(fresh, 0) as file:
                file.write(content)
        except OSError:
            self._unlink(fresh)
            raise
        if self._handle is None:
            (self.path / fresh).replace(self.path / name)
        else:
            os.replace(fresh, name, src_dir_fd=self._handle, dst_dir_fd=self._handle)

    def remove(self, name: str) -> None:
        """Remove a file, and what an interrupted `replace` left of it."""
        for each in (name, name + _INCOMPLETE):
            self._unlink(each)

    def _unlink(self, name: str) -> None:
        with suppress(FileNotFoundError):
            if self._handle is None:
                (self.path / name).unlink()
            else:
                os.unlink(name, dir_fd=self._handle)

    def _open(self, name: str, flags: int) -> int:
        if self._handle is None:
            return os.open(self.path / name, flags, mode=0o600)
        return os.open(name, flags, mode=0o600, dir_fd=self._handle)
