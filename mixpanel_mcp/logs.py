"""The log on stderr: one line for each record, as text or as JSON, and in none data or secrets.

Our own lines are written to hold neither. What other libraries fill into theirs is not ours to
judge (the MCP SDK logs whole messages, httpx whole addresses), so of them only warnings and errors
are shown, in the words of their authors without the values. Of an exception only its kind and its
place are shown, as its text may quote a reply or an argument.

What a record of ours says to programs is in its fields: `_log.info(..., extra=told(tool=...))`.
"""

import errno
import json
import logging
import re
import sys
import threading
import traceback
from collections.abc import Iterator
from datetime import UTC, datetime
from types import TracebackType
from typing import Any, cast

from mixpanel_mcp import spans

_OURS = "mixpanel_mcp"
# What a record of who wrote what is for does not depend on how much else one wants to read.
_AUDIT = f"{_OURS}.audit"
_FIELDS = "fields"

_WARNING = re.compile(r".*?:\d+: \w+")
_LONGEST_MESSAGE = 4000
_LONGEST_FOREIGN_MESSAGE = 200
_LONGEST_TRACE = 2000
_FRAMES = 8
_CAUSES = 4


def log_to_stderr(level: int, *, as_json: bool = False) -> None:
    """Send the records of all loggers, warnings and uncaught exceptions to stderr.

    Args:
        level: the least that is shown of our own; of other libraries at least a warning.
        as_json: one JSON object a line, with the fields of a record beside its message.
    """
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(OneObject() if as_json else OneLine())
    handler.addFilter(_worth_a_line)
    # Before the SDK does it in its own way, which with rich installed is a box for each record.
    logging.basicConfig(handlers=[handler], level=logging.WARNING, force=True)
    logging.getLogger(_OURS).setLevel(level)
    logging.getLogger(_AUDIT).setLevel(logging.INFO)
    logging.captureWarnings(capture=True)
    # A host that closes our stderr would get a traceback of many lines for each one it misses.
    logging.raiseExceptions = False
    sys.excepthook = _log_uncaught
    threading.excepthook = _log_uncaught_in_thread


class OneLine(logging.Formatter):
    """Time, level, logger and message; line breaks and invisible characters escaped."""

    def format(self, record: logging.LogRecord) -> str:
        place = _place(record)
        trace = f" | {place}" if place is not None else ""
        words = f"{_moment(record)} {record.levelname} {one_line(record.name)}"
        return f"{words} {one_line(_said(record))}{trace}"


class OneObject(logging.Formatter):
    """The same as a JSON object, with the record's fields and the trace it belongs to."""

    def format(self, record: logging.LogRecord) -> str:
        shown: dict[str, Any] = {
            "time": _moment(record),
            "level": record.levelname,
            "logger": record.name,
            "message": _said(record),
            "error": _place(record),
            "trace_id": spans.trace_id(),
        }
        # Another library's field of that name would be one more place for its values.
        if _is_ours(record):
            shown |= getattr(record, _FIELDS, {})
        present = {name: value for name, value in shown.items() if value is not None}
        return one_line(json.dumps(present, ensure_ascii=False))


def told(**fields: Any) -> dict[str, Any]:
    """What a record says to programs, for `extra`; a `message` among it replaces the text's."""
    return {_FIELDS: fields}


def one_line(text: str) -> str:
    """Escape what is not visible, in a form that JSON reads as the same text."""
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() else _escaped(char) for char in text)


def folded(error: BaseException) -> str:
    """Where an exception was raised, innermost place first, and what caused it."""
    parts = [_kind_and_places(cause) for cause in _causes(error)]
    return one_line(_cut(" from ".join(parts), _LONGEST_TRACE))


def _is_ours(record: logging.LogRecord) -> bool:
    return record.name.split(".")[0] == _OURS


def _worth_a_line(record: logging.LogRecord) -> bool:
    # A library may have turned up its own logger, as the environment asks some of them to.
    return _is_ours(record) or record.levelno >= logging.WARNING


def _moment(record: logging.LogRecord) -> str:
    return datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")


def _said(record: logging.LogRecord) -> str:
    return _message(record) if _is_ours(record) else _template(record)


def _place(record: logging.LogRecord) -> str | None:
    error = record.exc_info[1] if record.exc_info else None
    return None if error is None else folded(error)


def _message(record: logging.LogRecord) -> str:
    return _cut(record.getMessage(), _LONGEST_MESSAGE)


def _template(record: logging.LogRecord) -> str:
    """A record's first line before any value was put in."""
    lines = str(record.msg).splitlines() or [""]
    # The place and the kind of a warning; its text was put together before it came here.
    warned = _WARNING.match(lines[0]) if record.name == "py.warnings" else None
    return _cut(warned.group() if warned else lines[0], _LONGEST_FOREIGN_MESSAGE)


def _escaped(char: str) -> str:
    short = {"\n": "\\n", "\r": "\\r", "\t": "\\t"}.get(char)
    if short is not None:
        return short
    units = char.encode("utf-16-be", "surrogatepass").hex()
    return "".join(f"\\u{units[start : start + 4]}" for start in range(0, len(units), 4))


def _cut(text: str, limit: int) -> str:
    return text if len(text) <= limit else f"{text[:limit]}… (+{len(text) - limit} characters)"


def _causes(error: BaseException) -> Iterator[BaseException]:
    following: BaseException | None = error
    for _ in range(_CAUSES):
        if following is not None:
            yield following
            following = _cause(following)


def _cause(error: BaseException) -> BaseException | None:
    """What led to an exception; of a group the first one that it holds."""
    if isinstance(error, BaseExceptionGroup):
        return cast("BaseExceptionGroup[BaseException]", error).exceptions[0]
    if error.__cause__ is not None or error.__suppress_context__:
        return error.__cause__
    return error.__context__


def _kind_and_places(error: BaseException) -> str:
    kind = type(error).__name__
    if isinstance(error, OSError) and error.errno is not None:
        kind += f" {errno.errorcode.get(error.errno, error.errno)}"
    frames = traceback.extract_tb(error.__traceback__)[-_FRAMES:]
    places = [
        f"{'/'.join(frame.filename.replace(chr(92), '/').split('/')[-2:])}:{frame.lineno} "
        f"{frame.name}"
        for frame in reversed(frames)
    ]
    return f"{kind} at {' < '.join(places)}" if places else kind


def _log_uncaught(
    kind: type[BaseException], error: BaseException, trace: TracebackType | None
) -> None:
    del kind, trace
    if not isinstance(error, KeyboardInterrupt):
        logging.getLogger(_OURS).critical("ended by an exception", exc_info=error)


def _log_uncaught_in_thread(ended: threading.ExceptHookArgs) -> None:
    if not isinstance(ended.exc_value, SystemExit):
        logging.getLogger(_OURS).error(
            "a thread was ended by an exception", exc_info=ended.exc_value
        )
