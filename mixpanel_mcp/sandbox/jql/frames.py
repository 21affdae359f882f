"""How parent and child speak: a letter, a length, and so many bytes."""

from __future__ import annotations

import struct
import sys
from enum import Enum
from typing import BinaryIO

_HEAD = struct.Struct(">cQ")


class Tag(Enum):
    SCRIPT = b"S"
    """To the child: JSON with `script`, `params`, `memory`, `seconds`. It answers with the plan."""
    ITEMS = b"I"
    """To the child: a JSON array. It answers with the results so far: JSON texts and commas."""
    END = b"E"
    """To the child: that was all. It answers with the rest of the results."""
    RESULT = b"="
    FAILURE = b"!"
    """From the child: JSON with `name`, `message` and `stack` of what was thrown."""
    NO_ENGINE = b"?"
    """From the child: the engine is not installed."""


def write_frame(stream: BinaryIO, tag: Tag, body: bytes) -> None:
    stream.write(_HEAD.pack(tag.value, len(body)))
    stream.write(body)
    stream.flush()


class TooLongError(ValueError):
    """A frame is longer than the reader takes."""


def read_frame(stream: BinaryIO, most: int = sys.maxsize) -> tuple[Tag, bytes]:
    """Wait for the next frame, of at most so many bytes.

    Raises:
        EOFError: the other side has gone.
        TooLongError: the frame is longer.
    """
    letter, length = _HEAD.unpack(_exactly(stream, _HEAD.size))
    if length > most:
        raise TooLongError
    return Tag(letter), _exactly(stream, length)


def _exactly(stream: BinaryIO, size: int) -> bytes:
    data = stream.read(size)
    if len(data) < size:
        raise EOFError
    return data
