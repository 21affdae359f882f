"""JSON in files: an object a line, or one array, read in pieces that memory can hold."""

import re
from collections.abc import Iterator

import msgspec

from mixpanel_mcp.files.errors import UnreadableFileError
from mixpanel_mcp.files.records import MOST_BYTES, MOST_RECORDS, Lines
from mixpanel_mcp.files.unpacking import Buffered

_PIECE = 256 * 1024
_LONGEST_ELEMENT = 4 * 1024 * 1024
_MOST_TRIES = 50
_BOUNDARY = re.compile(rb"\}\s*,\s*(?=\{)")
_TEXT_MARKS = {b"\xff\xfe": "UTF-16", b"\xfe\xff": "UTF-16"}
_UTF_8_MARK = b"\xef\xbb\xbf"

_elements = msgspec.json.Decoder(list[msgspec.Raw])


def first_byte(stream: Buffered) -> bytes:
    """The first byte that is no space, left to be read; a UTF-8 mark before it is taken off.

    Raises:
        UnreadableFileError: the file says that it is in another encoding.
    """
    beginning = stream.peek(4)[:4]
    if (other := _TEXT_MARKS.get(beginning[:2])) is not None:
        raise UnreadableFileError(f"it is in {other}; write it in UTF-8")
    if beginning.startswith(_UTF_8_MARK):
        stream.read(len(_UTF_8_MARK))
    # What is all spaces for this long is neither JSON nor anything else.
    for _ in range(_PIECE):
        waiting = stream.peek(1)[:1]
        if not waiting or not waiting.isspace():
            return waiting
        if waiting == b"\n":
            return b""
        stream.read(1)
    return b""


def pieces_of_lines(stream: Buffered) -> Iterator[Lines]:
    """A batch of lines at a time; the last one gets the newline it may lack."""
    first, size = 1, 0
    held: list[bytes] = []
    while step := stream.readlines(_PIECE):
        # What is read in a step ends with the line that fills it.
        most = _PIECE + len(step[-1])
        held += step
        size += most
        while len(held) >= MOST_RECORDS or size >= MOST_BYTES:
            lines, held = held[:MOST_RECORDS], held[MOST_RECORDS:]
            size = most if held else 0
            yield _ended(first, lines)
            first += len(lines)
    if held:
        yield _ended(first, held)


def _ended(first: int, lines: list[bytes]) -> Lines:
    if not lines[-1].endswith(b"\n"):
        lines[-1] += b"\n"
    if lines[0].endswith(b"\r\n") or lines[-1].endswith(b"\r\n"):
        lines = [line[:-2] + b"\n" if line.endswith(b"\r\n") else line for line in lines]
    return Lines(range(first, first + len(lines)), lines)


def pieces_of_array(stream: Buffered) -> Iterator[Lines]:
    """The elements of an array, as lines; their places count from 1.

    Raises:
        UnreadableFileError: from where it is no array of JSON any more.
    """
    stream.read(1)  # the bracket
    buffer, number = b"", 1
    while True:
        piece = stream.read(_PIECE)
        buffer += piece
        elements, used = _whole_elements(buffer, ended=not piece)
        if elements is None:
            if not piece or len(buffer) > _LONGEST_ELEMENT:
                raise UnreadableFileError(
                    f"its array is not JSON, or has a record of more than 4 MB, after record "
                    f"{number - 1}"
                )
            continue
        buffer = buffer[used:]
        for start in range(0, len(elements), MOST_RECORDS):
            part = elements[start : start + MOST_RECORDS]
            places = range(number, number + len(part))
            yield Lines(places, [_as_line(element) for element in part])
            number += len(part)
        if not piece:
            return


def _whole_elements(buffer: bytes, *, ended: bool) -> tuple[list[msgspec.Raw] | None, int]:
    """The elements that are whole, and how many bytes they and the comma after them take."""
    if ended:
        if not buffer.rstrip().endswith(b"]"):
            return None, 0
        return _decoded(b"[" + buffer), len(buffer)
    place = len(buffer)
    for _ in range(_MOST_TRIES):
        place = buffer.rfind(b"}", 0, place)
        if place < 0:
            return None, 0
        boundary = _BOUNDARY.match(buffer, place)
        # A comma between objects can stand inside an element too: then this is no whole list.
        if boundary and (elements := _decoded(b"[" + buffer[: place + 1] + b"]")) is not None:
            return elements, boundary.end()
    return None, 0


def _decoded(array: bytes) -> list[msgspec.Raw] | None:
    try:
        return _elements.decode(array)
    except (msgspec.MsgspecError, RecursionError):
        return None


def _as_line(element: msgspec.Raw) -> bytes:
    # Inside a text these would be written as escapes, so here they are mere spaces.
    return bytes(element).replace(b"\n", b" ").replace(b"\r", b" ") + b"\n"
