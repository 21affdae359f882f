"""Operators over tagged values. There is no coercion: other types than named here are undefined."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from mixpanel_mcp.analytics.dialect import finite, first_defined, let
from mixpanel_mcp.analytics.expressions.values import (
    UNDEFINED,
    Facet,
    Value,
    boolean,
    number,
)
from mixpanel_mcp.analytics.json_access import Kind, json_items

if TYPE_CHECKING:
    from mixpanel_mcp.analytics.expressions.bindings import Bindings
    from mixpanel_mcp.analytics.expressions.syntax import Arithmetic, Comparison, Scalar

_SCALARS = (Kind.NUMBER, Kind.STRING, Kind.BOOLEAN)
_ORDERED = (Kind.NUMBER, Kind.STRING)


def calculate(operator: Arithmetic, left: Value, right: Value) -> Value:
    """Numbers, and `+` also of two strings. Division by zero is undefined, and so is overflow."""
    facets: dict[Kind, Facet] = {}
    if left.may_be(Kind.NUMBER) and right.may_be(Kind.NUMBER):
        facets[Kind.NUMBER] = lambda: finite(_infix(operator, left, right, Kind.NUMBER))
    if operator == "+" and left.may_be(Kind.STRING) and right.may_be(Kind.STRING):
        facets[Kind.STRING] = lambda: _infix("||", left, right, Kind.STRING)
    return Value(facets)


def apply_to_number(function: str, operand: Value) -> Value:
    """`-`, floor, round (halves away from zero) and ceil."""
    if not operand.may_be(Kind.NUMBER):
        return UNDEFINED
    return number(lambda: f"{function}({operand.sql(Kind.NUMBER)})")


def compare(operator: Comparison, left: Value, right: Value) -> Value:
    if operator == "==":
        return boolean(lambda: _equal(left, right))
    if operator == "!=":
        return boolean(lambda: f"(NOT {_equal(left, right)})")
    common = [kind for kind in _ORDERED if left.may_be(kind) and right.may_be(kind)]
    if not common:
        return UNDEFINED
    return boolean(lambda: first_defined([_infix(operator, left, right, kind) for kind in common]))


def _equal(left: Value, right: Value) -> str:
    """Two undefined values are equal; lists and objects are if their JSON is the same text."""
    if left.json and right.json:
        numbers = _infix("=", left, right, Kind.NUMBER)
        return f"COALESCE({numbers}, {left.json()} IS NOT DISTINCT FROM {right.json()})"
    same: list[str] = []
    certain = next((value for value in (left, right) if value.certain), None)
    for kind in certain.facets if certain else Kind:
        if left.may_be(kind) and right.may_be(kind):
            same.append(f"({left.sql(kind)}) IS NOT DISTINCT FROM ({right.sql(kind)})")
        elif left.may_be(kind) or right.may_be(kind):
            same.append(f"({(left if left.may_be(kind) else right).sql(kind)}) IS NULL")
    return "(" + " AND ".join(same or ["TRUE"]) + ")"


def _infix(operator: str, left: Value, right: Value, kind: Kind) -> str:
    return f"({left.sql(kind)} {operator} {right.sql(kind)})"


def contains(item: Value, container: Value) -> Value:
    """A substring of a string, or a string, number or boolean among those of a list property."""
    substring = item.may_be(Kind.STRING) and container.may_be(Kind.STRING)
    if not substring and not (item.may_be(*_SCALARS) and container.may_be(Kind.LIST)):
        return UNDEFINED
    return boolean(lambda: _contains(item, container))


def _contains(item: Value, container: Value) -> str:
    candidates: list[str] = []
    if container.may_be(Kind.LIST):
        candidates = [
            _is_member(item.sql(kind), kind, container)
            for kind in (Kind.NUMBER, Kind.BOOLEAN)
            if item.may_be(kind)
        ]
    if not item.may_be(Kind.STRING):
        return first_defined(candidates)
    text = item.sql(Kind.STRING)
    if not container.may_be(Kind.LIST):
        return f"contains({container.sql(Kind.STRING)}, {text})"
    among = _is_member("text", Kind.STRING, container)
    if container.may_be(Kind.STRING):
        among = first_defined([f"contains({container.sql(Kind.STRING)}, text)", among])
    return first_defined([*candidates, let("text", text, among)])


def _is_member(item: str, kind: Kind, container: Value) -> str:
    return f"list_contains({json_items(kind, container.sql(Kind.LIST))}, {item})"


def one_of(item: Value, values: Sequence[Scalar], bindings: Bindings) -> Value:
    """Whether a scalar equals one of the literals; a null equals none."""
    if not item.may_be(*_SCALARS, Kind.NULL):
        return UNDEFINED
    return boolean(lambda: _one_of(item, values, bindings))


def _one_of(item: Value, values: Sequence[Scalar], bindings: Bindings) -> str:
    candidates: list[str] = []
    for kind, python_type in zip(_SCALARS, (float, str, bool), strict=True):
        if not item.may_be(kind):
            continue
        names = [bindings.add(value) for value in values if type(value) is python_type]
        candidates.append(
            f"({item.sql(kind)}) IN ({', '.join(names)})"
            if names
            else f"CASE WHEN ({item.sql(kind)}) IS NOT NULL THEN FALSE END"
        )
    if item.may_be(Kind.NULL):
        candidates.append(f"NOT ({item.sql(Kind.NULL)})")
    return first_defined(candidates)


def negate(operand: Value) -> Value:
    """Undefined turns true; what is neither that nor a boolean turns undefined."""
    return boolean(lambda: _negated(operand))


def _negated(operand: Value) -> str:
    other = operand.is_defined(but=Kind.BOOLEAN)
    negated = f"NOT ({operand.sql(Kind.BOOLEAN)})"
    return f"COALESCE({negated}, CASE WHEN {other} THEN NULL ELSE TRUE END)"


def all_of(operands: Sequence[Value]) -> Value:
    return boolean(lambda: "(" + " AND ".join(map(condition, operands)) + ")")


def any_of(operands: Sequence[Value]) -> Value:
    return boolean(lambda: "(" + " OR ".join(map(condition, operands)) + ")")


def condition(value: Value) -> str:
    """SQL that is true or false and never NULL: what is not a boolean counts as false.

    Mixpanel's page makes another type an error. Where the type is known from the text it is one
    here too; where it differs from row to row, one odd event shall not spoil a report.
    """
    return f"COALESCE({value.sql(Kind.BOOLEAN)}, FALSE)"


def has_prefix(whole: Value, prefix: Value) -> Value:
    if not (whole.may_be(Kind.STRING) and prefix.may_be(Kind.STRING)):
        return UNDEFINED
    return boolean(lambda: f"starts_with({whole.sql(Kind.STRING)}, {prefix.sql(Kind.STRING)})")
