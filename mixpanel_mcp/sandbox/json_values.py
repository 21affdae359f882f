"""What JSON may hold, told apart for the type checker, and read without surprises."""

from __future__ import annotations

import json
from typing import Any, TypeGuard

JsonObject = dict[str, Any]


class NotJsonError(ValueError):
    """The text is not JSON, and says where."""


def is_object(value: object) -> TypeGuard[JsonObject]:
    return isinstance(value, dict)


def is_list(value: object) -> TypeGuard[list[Any]]:
    return isinstance(value, list)


def is_number(value: object) -> TypeGuard[int | float]:
    return isinstance(value, int | float) and not isinstance(value, bool)


def is_list_of_text(value: object) -> TypeGuard[list[str]]:
    return is_list(value) and all(isinstance(item, str) for item in value)


def is_utf8(text: str) -> bool:
    """Tell whether a text can be stored: JSON may hold half a surrogate pair, UTF-8 cannot."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def parse_json(text: str | bytes) -> Any:
    """Read JSON as the standard has it: no NaN, no Infinity.

    Raises:
        NotJsonError: it is something else, or nested too deeply to read.
    """
    try:
        return json.loads(text, parse_constant=_refuse_constant)
    except RecursionError:
        raise NotJsonError("nested too deeply") from None
    except ValueError as error:
        # Of a number of thousands of digits Python speaks of its own settings.
        told = "a number is too long" if "digits" in str(error) else str(error)
        raise NotJsonError(told) from error


def write_json(value: Any) -> str:
    """Write compact JSON.

    Raises:
        ValueError: a number is infinite, or a text holds half a surrogate pair.
    """
    text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    if not text.isascii():
        text.encode()
    return text


def _refuse_constant(name: str) -> None:
    message = f"{name} is not JSON"
    raise ValueError(message)
