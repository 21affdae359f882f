"""JSON values, for code that must not trust what it was sent."""

import json
import math
from collections.abc import Iterator
from typing import Any, TypeGuard


def is_object(value: object) -> TypeGuard[dict[str, Any]]:
    return isinstance(value, dict)


def is_list(value: object) -> TypeGuard[list[Any]]:
    return isinstance(value, list)


def objects_in(value: object) -> list[dict[str, Any]]:
    """The objects of a list; nothing where it is no list."""
    return [item for item in value if is_object(item)] if is_list(value) else []


_DEEPEST = 60
# Made once: json.dumps makes one anew for each call that asks for something unusual.
_for_reading = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), default=str)


def as_text(value: object) -> str:
    """JSON for reading: it may hold the infinities that a reply brought, which no request may."""
    return _for_reading.encode(value)


def unsendable(value: object, place: str = "", *, depth: int = 0) -> str | None:
    """Where a value has something that JSON in UTF-8 cannot carry, or nests without end."""
    if isinstance(value, str) and _is_broken(value):
        return f"{place}: has half of a character"
    if isinstance(value, float) and not math.isfinite(value):
        return f"{place}: NaN and infinities are not JSON"
    if depth > _DEEPEST:
        return f"{place[:60]}...: is nested too deeply"
    faults = (unsendable(item, inner, depth=depth + 1) for inner, item in _inside(value, place))
    return next(filter(None, faults), None)


def _inside(value: object, place: str) -> Iterator[tuple[str, object]]:
    """What a value holds, and where; names are values here too."""
    if is_object(value):
        for name, item in value.items():
            yield f"{place} (a name)", name
            yield (f"{place}.{name}" if place else name), item
    if is_list(value):
        for index, item in enumerate(value):
            yield f"{place}[{index}]", item


def _is_broken(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return True
    return False
