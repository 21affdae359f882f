"""Why a script has no result, in Mixpanel's words and the script's own lines."""

from __future__ import annotations

import json
import re
from typing import NamedTuple

from mixpanel_mcp.sandbox.jql.lines import lines_of, place_of

_FRAME = re.compile(
    r"at (?:(?P<function>.{1,200}?) \()?<input>:(?P<line>\d{1,9}):(?P<column>\d{1,9})\)?"
)
_MAIN = re.compile(r"\bmain\b")
_LONGEST_MESSAGE = 2_000
_LONGEST_LINE = 200


class JqlError(Exception):
    """The script is refused; the text is what Mixpanel would say."""


class EngineMissingError(Exception):
    """No JavaScript engine is installed."""


class Frame(NamedTuple):
    function: str
    line: int
    column: int
    """Both from 1."""

    def __str__(self) -> str:
        return f"    at {self.function} (<anonymous>:{self.line}:{self.column})"


def thrown(failure: bytes, script: str) -> JqlError:
    """Describe what a script threw: name, message, place, the line itself and the trace."""
    told = json.loads(failure)
    name, message, stack = told["name"], told["message"], told["stack"]
    what = (f"{name}: {message}" if name else message)[:_LONGEST_MESSAGE]
    frames = frames_of(stack, script) or _main(stack, script)
    if not frames:
        return _refusal(what)
    source = lines_of(script)[frames[0].line - 1][:_LONGEST_LINE]
    pointer = " " * min(frames[0].column - 1, _LONGEST_LINE) + "^"
    trace = "\n".join(str(frame) for frame in frames)
    return _refusal(
        f"{what} (line {frames[0].line}, column {frames[0].column})\n"
        f"  {source}\n  {pointer}\n\nStack trace:\n{what}\n{trace}"
    )


def misplaced(what: str, stack: str, script: str) -> JqlError:
    """Describe a fault that was found later, in what a call of the script asked for."""
    frames = frames_of(stack, script)
    place = f" (line {frames[0].line})" if frames else ""
    return _refusal(f"Error: {what}{place}")


def frames_of(stack: str, script: str) -> list[Frame]:
    """Read the places in the script; the runtime's lines come after the script's last."""
    last = len(lines_of(script))
    frames = (
        Frame(match["function"] or "<anonymous>", int(match["line"]), int(match["column"]))
        for match in _FRAME.finditer(stack)
    )
    return [frame for frame in frames if 0 < frame.line <= last]


def _main(stack: str, script: str) -> list[Frame]:
    """Where main() begins, for a fault in what it returned."""
    found = _MAIN.search(script)
    if not stack or found is None:
        return []
    return [Frame("main", *place_of(script, found.start()))]


def _refusal(text: str) -> JqlError:
    # JavaScript's texts may hold half a surrogate pair, which no reply can.
    return JqlError(f"Uncaught exception {text}".encode(errors="replace").decode())
