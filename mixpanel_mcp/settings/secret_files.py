"""Files with settings and secrets: plain, small, and not for others."""

import errno
import os
import stat
from pathlib import Path

_LARGEST_SECRET = 16 * 1024
_OTHERS = stat.S_IRWXO | stat.S_IWGRP
_WRITERS = stat.S_IWOTH | stat.S_IWGRP
_FILE = "file:"


def secret_or_its_file(value: object) -> object:
    """A secret of the environment or a flag: `file:PATH` stands for what is in that file.

    Raises:
        ValueError: the file cannot be used.
    """
    if not isinstance(value, str) or not value.startswith(_FILE):
        return value
    try:
        return read_secret(Path(value.removeprefix(_FILE)))
    except OSError as error:
        raise ValueError(f"its file {reason(error)}") from None
    except ValueError as error:
        raise ValueError(f"its file {error}") from None


def read_secret(path: Path) -> str:
    """The one line of a file that no others can read.

    Raises:
        OSError: it cannot be read.
        ValueError: it holds no single line, or others can use it.
    """
    text, status = text_and_mode(path, _LARGEST_SECRET)
    if fault := mode_fault(status, secret=True):
        raise ValueError(fault)
    secret = text.strip()
    if not secret or not secret.isprintable():
        raise ValueError(f"is {'no single line of text' if secret else 'empty'}")
    return secret


def text_and_mode(path: Path, limit: int) -> tuple[str, os.stat_result]:
    """Read a file that may hold secrets, and who can use it.

    Raises:
        OSError: it cannot be read.
        ValueError: it is no plain file, too large, or not UTF-8.
    """
    if not path.is_file():  # a pipe would wait for a writer
        raise FileNotFoundError(errno.ENOENT, "is no file that exists")
    with path.open("rb") as file:
        status = os.fstat(file.fileno())
        content = file.read(limit + 1)
    if len(content) > limit:
        raise ValueError(f"is larger than {limit // 1024} kB")
    try:
        return content.decode("utf-8-sig"), status
    except UnicodeDecodeError:
        raise ValueError("is not UTF-8") from None


def mode_fault(status: os.stat_result, *, secret: bool) -> str | None:
    """Why a file is not fit: all can write it, or read the secret in it."""
    if os.name != "posix":
        return None
    # Group-readable and owned by somebody else is how containers mount secrets.
    ours = stat.S_IRGRP if status.st_uid == os.getuid() else 0
    mode = stat.S_IMODE(status.st_mode)
    if secret and mode & (_OTHERS | ours):
        return f"holds a secret and can be used by others (mode {mode:04o}); chmod 600 it"
    if mode & _WRITERS:
        return f"can be changed by others (mode {mode:04o}); chmod 600 it"
    return None


def reason(error: OSError | ValueError) -> str:
    return (error.strerror or "cannot be read") if isinstance(error, OSError) else str(error)
