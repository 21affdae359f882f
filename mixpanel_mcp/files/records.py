"""What readers hand on: lines or rows with their places, and what is wrong with some of them."""

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from mixpanel_mcp.json_values import is_object

MOST_RECORDS = 2_000
"""Records a request (the import page, the user-profile limits page)."""

MOST_BYTES = 6_000_000
"""Bytes a batch. The import page allows 10 MB; fewer keep memory small and time-outs rare."""

MAYBE = ("", "may have arrived: its answer was lost. Look before you send it again")
"""The fault of a row of which nobody knows."""

_LONGEST_ROW = 1_100_000
_WRAPPER = {"line", "field", "reason", "row"}


@dataclass(frozen=True)
class Rejection:
    """A row that cannot be sent, or was refused: its place, the faults, and the row as it came."""

    line: int
    faults: tuple[tuple[str, str], ...]
    row: bytes

    def as_line(self) -> bytes:
        """One line of NAME.rejected.ndjson: the first fault leads, the others follow in words."""
        field, reason = self.faults[0]
        others = "; ".join(f"{name}: {why}" if name else why for name, why in self.faults[1:])
        return _wrapped(self.line, field, f"{reason}; {others}" if others else reason, self.row)


def _wrapped(line: int, field: str, reason: str, row: bytes) -> bytes:
    text = row[:_LONGEST_ROW].decode(errors="replace").rstrip("\r\n")
    try:
        parsed: object = json.loads(text)
    except (ValueError, RecursionError):
        parsed = text
    document = {"line": line, "field": field, "reason": reason, "row": parsed}
    try:
        return json.dumps(document, ensure_ascii=False).encode() + b"\n"
    except (ValueError, RecursionError):  # half a character, or very deep
        return json.dumps({**document, "row": text}).encode() + b"\n"


def unwrapped(row: object) -> object:
    """The row of a line that an earlier import rejected; anything else as it is."""
    if is_object(row) and set(row) == _WRAPPER:
        inner = row["row"]
        return json.loads(inner) if isinstance(inner, str) else inner
    return row


@dataclass(frozen=True)
class Lines:
    """Some lines of JSON, each with its newline, and their places in the file."""

    numbers: Sequence[int]
    lines: Sequence[bytes]


@dataclass(frozen=True)
class Unreadable:
    """A place in a file where no row can be read."""

    rejection: Rejection


def in_batches(pieces: Iterable[Lines | Unreadable]) -> Iterator[Lines | Unreadable]:
    """The same in the same order, small pieces put together to batches."""
    held: list[Lines] = []
    for piece in pieces:
        if isinstance(piece, Unreadable) or (len(piece.lines) >= MOST_RECORDS and not held):
            yield piece
        elif held and not _fits(held, piece):
            yield _together(held)
            held = [piece]
        else:
            held.append(piece)
    if held:
        yield _together(held)


def _fits(held: Sequence[Lines], piece: Lines) -> bool:
    parts = [*held, piece]
    count = sum(len(part.lines) for part in parts)
    return (
        count <= MOST_RECORDS and sum(len(ln) for part in parts for ln in part.lines) <= MOST_BYTES
    )


def _together(held: Sequence[Lines]) -> Lines:
    if len(held) == 1:
        return held[0]
    numbers = [number for part in held for number in part.numbers]
    return Lines(numbers, [line for part in held for line in part.lines])
