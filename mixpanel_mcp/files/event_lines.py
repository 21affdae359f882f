"""Events as lines of JSON, a batch at a time: what is plainly right passes as the bytes it came in.

Almost every line of a real file needs nothing. So a batch is first examined as a whole, by means
that cost about a microsecond a line: one split finds every object, the distinct beginnings name
the events, and a typed decoder reads time and ids and skips the rest. A batch in which anything
is unusual (nested objects, a name written in escapes, a token, a missing id, half an emoji) is
halved until the unusual lines stand alone, and those are read in full. What passes here would
pass there as well; only a number too large for any computer (`1e999`) is left to Mixpanel.
"""

import json
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import filterfalse
from string import ascii_letters, digits
from typing import Annotated, Any

import msgspec

from mixpanel_mcp.files.records import Rejection

EARLIEST_SECONDS = 31_536_000
"""1971-01-01; the import page takes nothing before."""

LONGEST_NAME = 255

_ALONE = 32
_MOST_BEGINNINGS = 10_000
# A list of 255 items, the first that is too long, takes 511 bytes; 255 properties take 1,275.
_PLAINLY_SHORT = 500
_FEW_COMMAS = 250
# A list's 8 KB are counted as it would be written anew, where `1e15` takes 18 bytes.
_LIST_SAFE = 1_600
_LARGEST = 100_000
# `$`, and every letter that a name we watch for could hide behind an escape.
_ESCAPED_LETTERS = (b"\\u0024", b"\\u004", b"\\u005", b"\\u006", b"\\u007", b"\\u212")
_SURROGATES = (b"\\ud", b"\\uD")
# The Kelvin sign, which becomes a `k` in small letters.
_KELVIN = "\u212a"
_QUOTE = ord('"')
_TOKEN_ENDS = frozenset({b"en", b"ey"})
_LAST_BYTES = {b"}}\n"}
# The one banned id that is longer has no letters.
_LONGEST_BANNED_WORD = 16
_ID_LETTERS = b"-" + (ascii_letters + digits).encode()


class _Properties(msgspec.Struct, gc=False):
    time: Annotated[int, msgspec.Meta(ge=EARLIEST_SECONDS)]
    distinct_id: str
    insert_id: Annotated[str, msgspec.Meta(min_length=1, max_length=36)] = msgspec.field(
        name="$insert_id"
    )


class _Event(msgspec.Struct, gc=False):
    properties: _Properties


_decode_lines: Callable[[bytes], list[_Event]] = msgspec.json.Decoder(_Event).decode_lines


@dataclass(frozen=True)
class Completed:
    """An event that was read in full. `watched` says that a name in it is one to look at."""

    line: bytes
    name: str
    time: int
    insert_id: str
    watched: bool


Complete = Callable[[bytes], "Completed | Sequence[tuple[str, str]] | None"]
"""Reads one line in full: the event, or its faults as (field, reason), or nothing for a blank."""


@dataclass
class Checked:
    """Events fit to be sent, one a line in `body`.

    `names`, `times` and `insert_ids` run beside the lines; `numbers` are their places in the file.
    `watched` are the places in `body` of lines that have a name to look at.
    """

    body: bytes = b""
    names: Sequence[str] = ()
    times: Sequence[int] = ()
    insert_ids: Sequence[str] = ()
    numbers: Sequence[int] = ()
    watched: list[int] = field(default_factory=list[int])
    rejected: list[Rejection] = field(default_factory=list[Rejection])

    def lines(self) -> list[bytes]:
        return self.body.split(b"\n")[:-1]

    def counted_names(self) -> Mapping[str, int]:
        return Counter(self.names)


class EventLines:
    """Checks lines of one import."""

    def __init__(self, complete: Complete, banned_ids: Iterable[str]) -> None:
        """`complete` reads the unusual lines; `banned_ids` are what no id may be, in lower case."""
        self._complete = complete
        self._banned = frozenset(banned_ids)
        self._beginnings: dict[bytes, str] = {}

    def check(self, lines: Sequence[bytes], numbers: Sequence[int]) -> Checked:
        """Check lines that end in a newline each; `numbers` are their places in the file."""
        checked = self._plain(lines, numbers)
        if checked is not None:
            return checked
        if len(lines) <= _ALONE:
            return self._in_full(lines, numbers)
        middle = len(lines) // 2
        return _joined(
            self.check(lines[:middle], numbers[:middle]),
            self.check(lines[middle:], numbers[middle:]),
        )

    def _plain(self, lines: Sequence[bytes], numbers: Sequence[int]) -> Checked | None:
        """The lines as they are, if nothing about any of them needs a second look."""
        body = b"".join(lines)
        names = self._plainly_named(body, len(lines))
        if names is None:
            return None
        try:
            events = _decode_lines(body)
        except (msgspec.MsgspecError, RecursionError):
            return None
        found = [event.properties for event in events]
        insert_ids = [each.insert_id for each in found]
        if len(found) != len(lines) or not self._are_ids(found, insert_ids):
            return None
        times = [each.time for each in found]
        return Checked(body, names, times, insert_ids, numbers)

    def _plainly_named(self, body: bytes, count: int) -> list[str] | None:
        """The events' names, if by its looks each line is an event and nothing is unusual."""
        pieces = body.split(b"{")
        # Two objects a line, the event and its properties: then the pieces alternate.
        if len(pieces) != 2 * count + 1 or pieces[0]:
            return None
        rests = pieces[2::2]
        names = self._names(pieces[1::2])
        if names is None or {rest[-3:] for rest in rests} != _LAST_BYTES or not _is_modest(rests):
            return None
        return names if _is_clear(body, rests) else None

    def _names(self, beginnings: list[bytes]) -> list[str] | None:
        """The events' names, if each line begins with its name and goes on with its properties.

        So there is one of each, in whatever letters a second one might be written.
        """
        try:
            return list(map(self._beginnings.__getitem__, beginnings))
        except KeyError:
            return self._new_names(beginnings)

    def _new_names(self, beginnings: list[bytes]) -> list[str] | None:
        for beginning in set(beginnings) - self._beginnings.keys():
            name = _name_in(beginning)
            if name is None:
                return None
            if len(self._beginnings) >= _MOST_BEGINNINGS:
                self._beginnings.clear()
            self._beginnings[beginning] = name
        known = self._beginnings
        try:
            return [known[beginning] for beginning in beginnings]
        except KeyError:  # cleared in the middle of so many names
            return None

    def _are_ids(self, found: list[_Properties], insert_ids: list[str]) -> bool:
        if "".join(insert_ids).encode(errors="replace").translate(None, _ID_LETTERS):
            return False
        # No banned id has a space in it, so one that stands among others is a word of its own.
        words = " ".join([each.distinct_id for each in found]).lower().split()
        if not self._banned.isdisjoint(words) or not self._banned.isdisjoint(insert_ids):
            return False
        if min(map(len, insert_ids)) > _LONGEST_BANNED_WORD:
            return True
        return self._banned.isdisjoint([each.lower() for each in insert_ids])

    def _in_full(self, lines: Sequence[bytes], places: Sequence[int]) -> Checked:
        checked = Checked()
        ready: list[Completed] = []
        numbers: list[int] = []
        for number, line in zip(places, lines, strict=True):
            read = self._complete(line)
            if isinstance(read, Completed):
                if read.watched:
                    checked.watched.append(len(ready))
                ready.append(read)
                numbers.append(number)
            elif read is not None:
                checked.rejected.append(Rejection(number, tuple(read), line))
        checked.body = b"".join([each.line for each in ready])
        checked.names = [each.name for each in ready]
        checked.times = [each.time for each in ready]
        checked.insert_ids = [each.insert_id for each in ready]
        checked.numbers = numbers
        return checked


def _name_in(beginning: bytes) -> str | None:
    """The name in `"event":"NAME","properties":`, and nothing else may stand there."""
    if b"\\" in beginning or b"\n" in beginning:
        return None
    try:
        pairs: list[tuple[str, Any]] = json.loads(
            b"{" + beginning + b"0}", object_pairs_hook=list[tuple[str, Any]]
        )
    except ValueError:
        return None
    match pairs:
        case [("event", str(name)), ("properties", 0)] if 0 < len(name) <= LONGEST_NAME:
            return name
        case _:
            return None


def _is_modest(rests: list[bytes]) -> bool:
    """Whether no line can have too many properties, or too long a list."""
    if max(map(len, rests)) <= _PLAINLY_SHORT:
        return True
    return all(
        len(rest) <= _LARGEST
        and rest.count(b",") < _FEW_COMMAS
        and (len(rest) <= _LIST_SAFE or b"[" not in rest)
        for rest in rests
        if len(rest) > _PLAINLY_SHORT
    )


def _is_clear(body: bytes, rests: list[bytes]) -> bool:
    """Whether the lines are UTF-8, one line each, and no name in them could be a token's."""
    if not body.isascii():
        other = b"".join(filterfalse(bytes.isascii, rests))
        try:
            text = (other or body).decode()
        except UnicodeDecodeError:
            return False
        if _KELVIN in text:
            return False
    if b"\\" in body and any(mark in body for mark in (*_ESCAPED_LETTERS, *_SURROGATES)):
        return False
    return not _may_name_a_token(body) and b"\r" not in body


def _may_name_a_token(body: bytes) -> bool:
    """Whether a text ends in `ken` or `key`, in large or small letters.

    `token`, `$token`, `project_token` and `api_key` do. Few letters are a `k`, so looking behind
    each is cheaper than turning everything into small letters.
    """
    for letter in (b"k", b"K"):
        place = body.find(letter)
        while place >= 0:
            # Every line ends in three other bytes, so there is a third one behind.
            if body[place + 3] == _QUOTE and body[place + 1 : place + 3].lower() in _TOKEN_ENDS:
                return True
            place = body.find(letter, place + 1)
    return False


def _joined(one: Checked, other: Checked) -> Checked:
    if not other.names and not other.rejected:
        return one
    before = len(one.names)
    return Checked(
        one.body + other.body,
        [*one.names, *other.names],
        [*one.times, *other.times],
        [*one.insert_ids, *other.insert_ids],
        [*one.numbers, *other.numbers],
        [*one.watched, *(before + place for place in other.watched)],
        [*one.rejected, *other.rejected],
    )
