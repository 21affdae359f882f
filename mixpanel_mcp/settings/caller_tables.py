"""The tables `[callers.NAME]` of the TOML file, as they were written."""

from collections.abc import Callable
from typing import Any

from mixpanel_mcp.json_values import is_list
from mixpanel_mcp.settings.callers import CALLER_NAMES
from mixpanel_mcp.settings.names import nearest

_SINGLE = {"subject", "read_only", "confirmation", "budget_share"}
_LISTS = frozenset(CALLER_NAMES) - _SINGLE


def caller_values(
    place: str, table: dict[str, Any], fault: Callable[[str], None]
) -> dict[str, Any]:
    """The values of one table that have the right type, and `tabled`; the others are faults.

    A type is exact: "false" in quotes would be true to a careless reader.
    """
    taken: dict[str, Any] = {"tabled": frozenset(table)}
    for key, value in table.items():
        if key not in CALLER_NAMES:
            shown = ascii(key[:60])[1:-1]
            fault(f"{place}.{shown}: no such setting{nearest(key, CALLER_NAMES)}")
        elif wrong := _wrong(key, value):
            fault(f"{place}.{key}: {wrong}")
        else:
            taken[key] = value.strip() if isinstance(value, str) else value
            if key in _LISTS:
                taken[key] = _several(value)
    return taken


def _wrong(key: str, value: object) -> str | None:
    if value in ("", []):
        return "is empty; leave it out"
    match key:
        case "read_only":
            return None if isinstance(value, bool) else "has to be true or false, without quotes"
        case "budget_share":
            number = isinstance(value, int | float) and not isinstance(value, bool)
            return None if number else "has to be a number above 0, and 1 at most"
        case "subject" | "confirmation":
            return None if _is_text(value) else "has to be a text"
        case "allowed_projects":
            whole = is_list(value) and all(type(each) is int for each in value)
            return None if whole or type(value) is int else "has to be a list of integers"
        case _:
            texts = is_list(value) and all(_is_text(each) for each in value)
            return None if texts or _is_text(value) else "has to be a list of texts"


def _is_text(value: object) -> bool:
    return isinstance(value, str) and bool(value.strip())


def _several(value: object) -> tuple[object, ...]:
    """A list, or one in its place. A comma is a part of a text here: TOML has lists of its own."""
    values = value if is_list(value) else [value]
    return tuple(each.strip() if isinstance(each, str) else each for each in values)
