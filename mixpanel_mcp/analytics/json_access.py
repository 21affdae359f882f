"""The one place where SQL looks into JSON."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum

from mixpanel_mcp.analytics.dialect import number_text


class Kind(Enum):
    """The types that a property may have. One that is absent is undefined: it has no kind."""

    STRING = "string"
    NUMBER = "number"
    BOOLEAN = "boolean"
    NULL = "null"
    LIST = "list"
    OBJECT = "object"


# JSON that was extracted has no blanks before it.
_BEGINNINGS = {Kind.STRING: '"', Kind.LIST: "[", Kind.OBJECT: "{"}


def pointer(name: str) -> str:
    """Return the JSON pointer (RFC 6901) of a property: it has no wildcards."""
    return "/" + name.replace("~", "~0").replace("/", "~1")


def json_part(column: str, path: str) -> str:
    """SQL for the JSON of a property; NULL where it is undefined. `path` is SQL for a `pointer`."""
    return f"json_extract({column}, {path})"


def json_parts(column: str, paths: str) -> str:
    """SQL for the list of the JSON of several properties, for which the column is read once.

    `paths` is SQL for a list of pointers.
    """
    return f"json_extract({column}, {paths}::VARCHAR[])"


def json_value(kind: Kind, part: str) -> str:
    """SQL for a property if it is of the kind, else NULL.

    A number is a DOUBLE, a string a VARCHAR, a boolean a BOOLEAN, a null TRUE, and a list or an
    object its JSON text. `part` is SQL as `json_part` makes it.
    """
    text = json_text(part)
    match kind:
        # No other JSON text reads as a number: strings keep their quotes.
        case Kind.NUMBER:
            return f"TRY_CAST({text} AS DOUBLE)"
        case Kind.BOOLEAN:
            return f"CASE {text} WHEN 'true' THEN TRUE WHEN 'false' THEN FALSE END"
        case Kind.STRING:
            return _if_begins(kind, text, f"json_extract_string({part}, '')")
        case Kind.NULL:
            return f"CASE WHEN {text} = 'null' THEN TRUE END"
        case Kind.LIST | Kind.OBJECT:
            return _if_begins(kind, text, text)


def json_text(part: str) -> str:
    """SQL for the JSON text of a property; NULL where it is undefined."""
    return f"CAST({part} AS VARCHAR)"


def json_label(part: str) -> str:
    """SQL for a property as text, whatever its kind; NULL where it is undefined.

    A string is itself, 5 and 5.0 are both 5, a list or an object is its JSON text.
    """
    number = number_text(json_value(Kind.NUMBER, part))
    return f"""CASE json_type({part})
        WHEN 'DOUBLE' THEN {number}
        WHEN 'NULL' THEN 'null'
        ELSE json_extract_string({part}, '')
    END"""


def json_names(column: str) -> str:
    """SQL for the list of the names of all properties."""
    return f"json_keys({column})"


def json_items(kind: Kind, text: str) -> str:
    """SQL for the list of the items of a JSON list that are of the kind, the others as NULL."""
    item = json_value(kind, "item")
    return f"list_transform(from_json({text}, '[\"JSON\"]'), lambda item: {item})"


def _if_begins(kind: Kind, text: str, then: str) -> str:
    return f"CASE WHEN starts_with({text}, '{_BEGINNINGS[kind]}') THEN {then} END"


def json_object(members: Mapping[str, str]) -> str:
    """SQL for a JSON object: SQL for each value by SQL for its name."""
    return f"json_object({', '.join(f'{name}, {value}' for name, value in members.items())})"
