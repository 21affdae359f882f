"""What one kind reads as another, where an expression says so: the casts and datetime()."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from mixpanel_mcp.analytics.dialect import finite, first_defined, number_text
from mixpanel_mcp.analytics.expressions.values import (
    UNDEFINED,
    Value,
    boolean,
    number,
    string,
)
from mixpanel_mcp.analytics.json_access import Kind

Conversions = Mapping[Kind, Callable[[str], str]]

# Digits with an optional sign, fraction and exponent, and spaces around: no "inf", no "1_000".
_DECIMAL = r"^\s*([+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?)\s*$"
DATE_PATTERN = (
    r"^([0-9]{4}-[0-9]{2}-[0-9]{2}(?:[T ][0-9]{2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]{1,6})?)?)Z?$"
)
"""A day, or a day and a time of day, in UTC."""


def _same(sql: str) -> str:
    return sql


def _seconds(sql: str) -> str:
    return f"epoch(TRY_CAST(regexp_extract({sql}, '{DATE_PATTERN}', 1) AS TIMESTAMP))"


_TO_NUMBER: Conversions = {
    Kind.NUMBER: _same,
    Kind.BOOLEAN: lambda sql: f"CAST({sql} AS DOUBLE)",
    Kind.STRING: lambda sql: finite(f"TRY_CAST(regexp_extract({sql}, '{_DECIMAL}', 1) AS DOUBLE)"),
}
# Set lists and objects are true, whatever is in them.
_TO_BOOLEAN: Conversions = {
    Kind.BOOLEAN: _same,
    Kind.NUMBER: lambda sql: f"{sql} <> 0",
    Kind.STRING: lambda sql: f"{sql} NOT IN ('', 'false')",
    Kind.LIST: lambda sql: f"CASE WHEN {sql} IS NOT NULL THEN TRUE END",
    Kind.OBJECT: lambda sql: f"CASE WHEN {sql} IS NOT NULL THEN TRUE END",
}


_TO_STRING: Conversions = {
    Kind.STRING: _same,
    Kind.NUMBER: number_text,
    Kind.BOOLEAN: lambda sql: f"CAST({sql} AS VARCHAR)",
}
_TO_LABEL: Conversions = {
    **_TO_STRING,
    Kind.NULL: lambda sql: f"CASE WHEN {sql} THEN 'null' END",
    Kind.LIST: _same,
    Kind.OBJECT: _same,
}


def to_number(value: Value) -> Value:
    """Null, lists and objects are undefined, and so is a string that is no decimal."""
    return _converted(value, _TO_NUMBER, number)


def to_string(value: Value) -> Value:
    """Null stays null; lists and objects are undefined."""
    text = _converted(value, _TO_STRING, string)
    if not value.may_be(Kind.NULL):
        return text
    return Value({**text.facets, Kind.NULL: value.facets[Kind.NULL]})


def to_boolean(value: Value) -> Value:
    """Always defined: null, undefined, 0, "" and "false" are false, the rest is true."""
    known = _converted(value, _TO_BOOLEAN, boolean)
    return boolean(lambda: f"COALESCE({known.sql(Kind.BOOLEAN)}, FALSE)")


def to_moment(value: Value) -> Value:
    """Seconds since the epoch: a number is taken as such, a string read as an ISO date in UTC."""
    return _converted(value, {Kind.NUMBER: _same, Kind.STRING: _seconds}, number)


def dates_as_moments(stored: Value) -> Value:
    """A property as it compares with a moment: an ISO date counts as one."""
    text = stored.facets.get(Kind.STRING)
    if text is None:
        return stored
    return Value(
        {
            **stored.facets,
            **to_moment(stored).facets,
            Kind.STRING: lambda: f"CASE WHEN {_seconds(text())} IS NULL THEN {text()} END",
        }
    )


def to_label(value: Value) -> str:
    """SQL for the text that names a segment; NULL where undefined. Lists appear as JSON."""
    return _converted(value, _TO_LABEL, string).sql(Kind.STRING)


def to_defined(value: Value) -> Value:
    """Null is defined."""
    return boolean(value.is_defined)


def _converted(
    value: Value, conversions: Conversions, kind: Callable[[Callable[[], str]], Value]
) -> Value:
    readable = [kind for kind in conversions if value.may_be(kind)]
    if not readable:
        return UNDEFINED
    return kind(lambda: first_defined([conversions[kind](value.sql(kind)) for kind in readable]))
