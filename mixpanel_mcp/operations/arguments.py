"""Kinds of argument that several tools share."""

import json
from datetime import date
from typing import Annotated, Any
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, Field

from mixpanel_mcp.api.request import is_number
from mixpanel_mcp.json_values import is_object, unsendable
from mixpanel_mcp.operation import Arguments

# Mixpanel refuses these as distinct_id and as $insert_id: they are what broken trackers send.
BANNED_IDS = frozenset(
    {
        "00000000-0000-0000-0000-000000000000",
        "anon",
        "anonymous",
        "nil",
        "none",
        "null",
        "n/a",
        "na",
        "undefined",
        "unknown",
        "<nil>",
        "0",
        "-1",
        "true",
        "false",
        "[]",
        "{}",
    }
)


MAPPED_FIELDS = ("event", "time", "distinct_id", "insert_id")
"""What the mapping of a file's columns can name a column for."""


def from_json(value: object) -> object:
    """Read a list or an object that came as JSON text: some hosts send all arguments as text."""
    if isinstance(value, str) and value.lstrip()[:1] in {"[", "{"}:
        try:
            parsed: object = json.loads(value)
        except (ValueError, RecursionError):
            return value
        if fault := unsendable(parsed, "it"):
            raise ValueError(fault)
        return parsed
    return value


def _one_or_many(value: object) -> object:
    parsed = from_json(value)
    return [parsed] if isinstance(parsed, str) or is_object(parsed) else parsed


def _names(values: list[str]) -> list[str]:
    if not values:
        raise ValueError("is empty; leave it out to mean all")
    if any(not value for value in values):
        raise ValueError("has an empty name")
    return values


def _day(value: str) -> str:
    try:
        # fromisoformat reads week dates and more, which Mixpanel does not.
        plain = date.fromisoformat(value).isoformat() == value
    except ValueError:
        plain = False
    if not plain:
        raise ValueError("must be a date such as 2026-01-31")
    return value


def _web_address(value: str) -> str:
    if urlsplit(value).scheme not in {"http", "https"} or not urlsplit(value).netloc:
        raise ValueError("must be an http or https address")
    return value


def require_id(value: object, name: str) -> str | None:
    """Say what is wrong with an id, or nothing."""
    if is_number(value):
        value = str(value)
    if not isinstance(value, str) or not value:
        return f"{name} must be a text that is not empty"
    if value.strip().lower() in BANNED_IDS:
        return f"{name} is {value!r:.40}, which Mixpanel refuses as an id"
    return None


def _identifier(value: str) -> str:
    if fault := require_id(value, "it"):
        raise ValueError(fault)
    return value


class IgnoresProjectToken(Arguments):
    """The connector document's switch, on endpoints where Mixpanel takes no project token."""

    use_project_token: bool = Field(default=False, description="No effect: not accepted here.")

    def token_notes(self) -> list[str]:
        if not self.use_project_token:
            return []
        return ["the project token does not authenticate this API, so the service account was used"]


def _columns(value: dict[str, str]) -> dict[str, str]:
    for field, column in value.items():
        if field not in MAPPED_FIELDS:
            raise ValueError(f"{field!r:.40} is no field; there are {', '.join(MAPPED_FIELDS)}")
        if not column:
            raise ValueError(f"{field} names no column")
    return value


Names = Annotated[list[str], BeforeValidator(_one_or_many), AfterValidator(_names)]
Records = Annotated[list[dict[str, Any]], BeforeValidator(_one_or_many), Field(min_length=1)]
JsonObject = Annotated[dict[str, Any], BeforeValidator(from_json)]
Mapping = Annotated[dict[str, str], BeforeValidator(from_json), AfterValidator(_columns)]
Day = Annotated[str, AfterValidator(_day)]
WebAddress = Annotated[str, AfterValidator(_web_address)]
Identifier = Annotated[str, AfterValidator(_identifier)]
