"""The one place where SQL looks into JSON."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum

from mixpanel_mcp.analytics.dialect import number_text


class Kind(Enum):
    """The types that a property may have. One that is absent is undefined: it has no kind."""

    STRING = "VARCHAR"
    NUMBER = "DOUBLE"
    BOOLEAN = "BOOLEAN"
    NULL = "NULL"
    LIST = "ARRAY"
    OBJECT = "OBJECT"


def pointer(name: str) -> str:
    """Return the JSON pointer (RFC 6901) of a property: it has no wildcards."""
    return "/" + name.replace("~", "~0").replace("/", "~1")


def json_value(kind: Kind, column: str, path: str) -> str:
    """SQL for a property if it is of the kind, else NULL.

    A number is a DOUBLE, a string a VARCHAR, a boolean a BOOLEAN, a null TRUE, and a list or an
    object its JSON text. `path` is SQL for a `pointer`.
    """
    match kind:
        # No other JSON text reads as a number: strings keep their quotes.
        case Kind.NUMBER:
            return f"TRY_CAST({json_text(column, path)} AS DOUBLE)"
        case Kind.BOOLEAN:
            text = json_text(column, path)
            return f"CASE {text} WHEN 'true' THEN TRUE WHEN 'false' THEN FALSE END"
        case Kind.STRING:
            return _if_type(kind, column, path, f"json_extract_string({column}, {path})")
        case Kind.NULL:
            return _if_type(kind, column, path, "TRUE")
        case Kind.LIST | Kind.OBJECT:
            return _if_type(kind, column, path, json_text(column, path))


def json_text(column: str, path: str) -> str:
    """SQL for the JSON text of a property; NULL where it is undefined."""
    return f"CAST(json_extract({column}, {path}) AS VARCHAR)"


def json_label(column: str, path: str) -> str:
    """SQL for a property as text, whatever its kind; NULL where it is undefined.

    A string is itself, 5 and 5.0 are both 5, a list or an object is its JSON text.
    """
    number = number_text(json_value(Kind.NUMBER, column, path))
    return f"""CASE json_type({column}, {path})
        WHEN 'DOUBLE' THEN {number}
        WHEN 'NULL' THEN 'null'
        ELSE json_extract_string({column}, {path})
    END"""


def json_names(column: str) -> str:
    """SQL for the list of the names of all properties."""
    return f"json_keys({column})"


def json_items(kind: Kind, text: str) -> str:
    """SQL for the list of the items of a JSON list that are of the kind, the others as NULL."""
    item = json_value(kind, "item", "''")
    return f"list_transform(from_json({text}, '[\"JSON\"]'), lambda item: {item})"


def _if_type(kind: Kind, column: str, path: str, then: str) -> str:
    return f"CASE WHEN json_type({column}, {path}) = '{kind.value}' THEN {then} END"


def json_object(members: Mapping[str, str]) -> str:
    """SQL for a JSON object: SQL for each value by SQL for its name."""
    return f"json_object({', '.join(f'{name}, {value}' for name, value in members.items())})"
