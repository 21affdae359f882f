"""The one folder below which files are read and written.

Paths come from a model, that is, possibly from an attacker. Each folder on the way is opened by
name below the one before, without following links, so that neither `..`, nor a link, nor a link
put there in the meantime leads outside.
"""

import errno
import fnmatch
import os
import re
import secrets
import stat
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from mixpanel_mcp.files.errors import OutsideError
from mixpanel_mcp.files.folder import Folder

__all__ = ["FilesRoot", "OutsideError"]

# Absent on Windows, where opening below a folder's handle does not exist either.
_NO_FOLLOW = getattr(os, "O_NOFOLLOW", 0)
_DIRECTORY = getattr(os, "O_DIRECTORY", 0)
_NO_WAIT = getattr(os, "O_NONBLOCK", 0)
_BELOW_HANDLES = os.open in os.supports_dir_fd

# Halves of surrogate pairs are no text, and no file system takes them.
_FORBIDDEN = re.compile(r"[\\\x00-\x1f\x7f:\ud800-\udfff]")


def own_folder(root: Path, name: str) -> Path:
    """Make a folder below the root that is its owner's alone, or take the one that is there.

    Raises:
        OSError: it is no plain folder, a link, or not ours to close to others.
    """
    folder = root / name
    folder.mkdir(mode=0o700, exist_ok=True)
    if _BELOW_HANDLES:
        number = os.open(folder, os.O_RDONLY | _DIRECTORY | _NO_FOLLOW)
        try:
            os.fchmod(number, 0o700)
        finally:
            os.close(number)
    elif folder.is_symlink():
        raise OSError(errno.ELOOP, "is a link", str(folder))
    return folder


class FilesRoot:
    """Reads and creates plain files below `folder`, and nothing else."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def read(self, path: str, limit: int) -> bytes:
        """Read a whole file of at most `limit` bytes.

        Raises:
            OutsideError: the path leads elsewhere, to no file, to a device, or is too large.
        """
        *folders, name = _parts(path)
        with self._folder(folders, path) as handle:
            try:
                number = self._open(name, os.O_RDONLY | _NO_FOLLOW | _NO_WAIT, handle)
            except OSError as error:
                raise OutsideError(f"{path!r:.120} cannot be opened: {error.strerror}") from error
            facts = os.fstat(number)
            if not stat.S_ISREG(facts.st_mode) or facts.st_nlink > 1:
                os.close(number)
                raise OutsideError(f"{path!r:.120} is not a plain file")
            with os.fdopen(number, "rb") as file:
                # The size is a first word only: files grow, and those of /proc say zero.
                if facts.st_size > limit or len(content := file.read(limit + 1)) > limit:
                    raise OutsideError(f"{path!r:.120} is larger than {limit} bytes")
                return content

    @contextmanager
    def folder_of(self, path: str) -> Generator[tuple[Folder, str]]:
        """Hold the folder of a path open, with the path's last name.

        Raises:
            OutsideError: the path leads elsewhere.
        """
        *folders, name = _parts(path)
        with self._folder(folders, path) as handle:
            at = self.folder.joinpath(*folders)
            yield Folder(at, handle if isinstance(handle, int) else None), name

    def matching(self, pattern: str) -> list[str]:
        """The plain files that a pattern means, sorted; `*` and `?` stand in any part of it.

        Raises:
            OutsideError: the pattern leads elsewhere, or means nothing.
        """
        if not set(pattern) & set("*?["):
            return [pattern]
        found = [""]
        *folders, last = _parts(pattern)
        for depth, part in enumerate([*folders, last]):
            wanted = stat.S_ISDIR if depth < len(folders) else stat.S_ISREG
            found = [
                f"{base}/{name}" if base else name
                for base in found
                for name in self._names(base, pattern)
                if fnmatch.fnmatchcase(name, part) and wanted(self._mode(base, name))
            ]
        if not found:
            raise OutsideError(f"{pattern!r:.120} means no file below the files root")
        return sorted(found)

    def _names(self, base: str, pattern: str) -> list[str]:
        with self._folder(base.split("/") if base else [], pattern) as handle:
            return os.listdir(handle)  # noqa: PTH208 - a handle is no path

    def _mode(self, base: str, name: str) -> int:
        with self._folder(base.split("/") if base else [], name) as handle:
            if isinstance(handle, int):
                return os.stat(name, dir_fd=handle, follow_symlinks=False).st_mode
            return (handle / name).lstat().st_mode

    @staticmethod
    def fresh_name(stem: str, ending: str) -> str:
        """A name that no other call picks, and nobody can guess beforehand."""
        return f"{stem}-{secrets.token_hex(4)}.{ending}"

    def create(self, name: str) -> tuple[Path, BinaryIO]:
        """Create a new file in the root itself, readable by its owner alone.

        Raises:
            OutsideError: the name is not plain, or the file exists or cannot be made.
        """
        *folders, plain = _parts(name)
        if folders:
            raise OutsideError(f"{name!r:.120} is not a plain name: new files go into the root")
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | _NO_FOLLOW | getattr(os, "O_BINARY", 0)
        with self._folder([], name) as handle:
            try:
                number = self._open(plain, flags, handle)
            except OSError as error:
                raise OutsideError(f"{name!r:.120} cannot be made: {error.strerror}") from error
        return self.folder / plain, os.fdopen(number, "wb")

    def _open(self, name: str, flags: int, handle: int | Path) -> int:
        if isinstance(handle, int):
            return os.open(name, flags, mode=0o600, dir_fd=handle)
        return os.open(handle / name, flags, mode=0o600)

    @contextmanager
    def _folder(self, folders: list[str], path: str) -> Generator[int | Path]:
        if not _BELOW_HANDLES:
            yield self._resolved(folders, path)
            return
        opened: list[int] = []
        try:
            opened.append(os.open(self.folder, os.O_RDONLY | _DIRECTORY | _NO_FOLLOW))
            for part in folders:
                flags = os.O_RDONLY | _DIRECTORY | _NO_FOLLOW
                opened.append(os.open(part, flags, dir_fd=opened[-1]))
        except OSError as error:
            for number in opened:
                os.close(number)
            raise OutsideError(f"{path!r:.120} is not below the files root") from error
        try:
            yield opened[-1]
        finally:
            for number in opened:
                os.close(number)

    def _resolved(self, folders: list[str], path: str) -> Path:
        folder = self.folder.joinpath(*folders).resolve()
        if not folder.is_relative_to(self.folder.resolve()):
            raise OutsideError(f"{path!r:.120} is not below the files root")
        return folder


def _parts(path: str) -> list[str]:
    parts = path.split("/")
    for part in parts:
        if part in {"", ".", ".."} or _FORBIDDEN.search(part):
            raise OutsideError(
                f"{path!r:.120} is not a relative path below the files root (no leading slash, "
                "no .., no backslash, colon or control character)"
            )
    return parts
