"""Arguments of a call, judged by the operation's own model, in our words."""

import difflib
from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from mixpanel_mcp.api.errors import InvalidArgumentsError
from mixpanel_mcp.json_values import unsendable
from mixpanel_mcp.operation import Arguments, Operation


def validated(row: Operation, given: dict[str, Any]) -> Arguments:
    """Check arguments, and say what is wrong in our own words.

    Raises:
        InvalidArgumentsError: with every fault's place, and no value.
    """
    if fault := unsendable(given):
        raise InvalidArgumentsError([fault])
    try:
        return row.arguments.model_validate(given)
    except ValidationError as error:
        faults = [_fault(row, dict(fault)) for fault in error.errors(include_url=False)]
        raise InvalidArgumentsError(faults) from None


def _fault(row: Operation, fault: Mapping[str, Any]) -> str:
    """One line of a validation error: where and why, never the value."""
    place = ".".join(str(part) for part in fault["loc"] if not _is_branch(part))
    if fault["type"] == "extra_forbidden":
        close = difflib.get_close_matches(place, row.arguments.model_fields, n=1)
        known = ", ".join(row.arguments.model_fields)
        hint = f"did you mean {close[0]}?" if close else f"there are: {known}"
        return f"{place[:60]}: no such argument ({hint})"
    return f"{place}: {str(fault['msg']).removeprefix('Value error, ')}"


def _is_branch(part: object) -> bool:
    """Whether a step in an error's place is pydantic's name for an arm of a union."""
    return isinstance(part, str) and ("[" in part or part in {"str", "int", "dict", "list"})
