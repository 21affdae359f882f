"""Expressions evaluated one row at a time, plainly, from Mixpanel's tables of types.

The tree is made of tuples and not of the product's nodes: `("+", left, right)`,
`("literal", value)`, `("properties", name)`, `("in list", item, values)`, `("floor", operand)`.
"""

import math
import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, cast

Tree = tuple[Any, ...]
Row = Mapping[str, Any]


class Undefined:
    def __repr__(self) -> str:
        return "undefined"


UNDEFINED = Undefined()


def is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def evaluate(tree: Tree, row: Row) -> Any:
    operator, *operands = tree
    if operator == "literal":
        return float(operands[0]) if is_number(operands[0]) else operands[0]
    if operator in {"properties", "event", "user"}:
        return look_up(operator, operands[0], row)
    if operator == "in list":
        return in_list(evaluate(operands[0], row), operands[1])
    values = [evaluate(operand, row) for operand in operands]
    if operator in {"==", "!=", ">", ">=", "<", "<="}:
        return compare(operator, *dates_beside_moments(operands, values))
    return FUNCTIONS[operator](*values)


def look_up(source: str, name: str, row: Row) -> Any:
    if name in {"$distinct_id", "distinct_id"}:
        return row["distinct_id"]
    if source == "user":
        profile: dict[str, Any] = row["user_properties"] or {}
        return profile.get(name, UNDEFINED)
    own = {
        "$time": row["time"] // 1000,
        "time": row["time"] // 1000,
        "$insert_id": row["insert_id"],
        "$event_name": row["event"],
    }
    return own[name] if name in own else row["properties"].get(name, UNDEFINED)


def type_of(value: Any) -> str:
    return "number" if is_number(value) else type(value).__name__


def same(left: Any, right: Any) -> bool:
    """Numbers are doubles: two whole ones may differ by less than a double can tell."""
    if is_number(left) and is_number(right):
        return float(left) == float(right)
    return type_of(left) == type_of(right) and left == right


def compare(operator: str, left: Any, right: Any) -> Any:
    if operator == "==":
        return same(left, right)
    if operator == "!=":
        return not same(left, right)
    if type_of(left) != type_of(right) or type_of(left) not in {"number", "str"}:
        return UNDEFINED
    if is_number(left):
        left, right = float(left), float(right)
    order: dict[str, bool] = {
        ">": left > right,
        ">=": left >= right,
        "<": left < right,
        "<=": left <= right,
    }
    return order[operator]


def dates_beside_moments(operands: list[Tree], values: list[Any]) -> list[Any]:
    read = list(values)
    for one, other in ((0, 1), (1, 0)):
        if operands[other][0] == "datetime" and operands[one][0] in {"properties", "event", "user"}:
            moment = to_moment(values[one])
            read[one] = values[one] if isinstance(moment, Undefined) else moment
    return read


def number_or_undefined(calculate: Callable[[], float]) -> Any:
    try:
        result = calculate()
    except (ZeroDivisionError, OverflowError, ValueError):
        return UNDEFINED
    return result if math.isfinite(result) else UNDEFINED


def calculation(calculate: Callable[[float, float], float]) -> Callable[[Any, Any], Any]:
    def apply(left: Any, right: Any) -> Any:
        if not (is_number(left) and is_number(right)):
            return UNDEFINED
        return number_or_undefined(lambda: calculate(float(left), float(right)))

    return apply


def plus(left: Any, right: Any) -> Any:
    if isinstance(left, str) and isinstance(right, str):
        return left + right
    return calculation(lambda one, other: one + other)(left, right)


def on_number(calculate: Callable[[float], float]) -> Callable[[Any], Any]:
    return lambda value: calculate(float(value)) if is_number(value) else UNDEFINED


def whole(value: float, rounded: Callable[[float], float]) -> float:
    return float(rounded(value))


def round_half_away(value: float) -> float:
    magnitude = math.floor(abs(value))
    return math.copysign(magnitude + (abs(value) - magnitude >= 0.5), value)


def contained(item: Any, container: Any) -> Any:
    if isinstance(item, str) and isinstance(container, str):
        return item in container
    if isinstance(container, list) and (is_number(item) or isinstance(item, str | bool)):
        members = cast("list[Any]", container)
        return any(same(item, member) for member in members)
    return UNDEFINED


def in_list(item: Any, values: list[Any]) -> Any:
    if isinstance(item, Undefined | list | dict):
        return UNDEFINED
    return any(same(item, value) for value in values)


def negate(value: Any) -> Any:
    if isinstance(value, Undefined):
        return True
    return not value if isinstance(value, bool) else UNDEFINED


def to_boolean(value: Any) -> bool:
    return not (isinstance(value, Undefined) or value is None or value in ("false", "", 0))


def to_number(value: Any) -> Any:
    if isinstance(value, bool):
        return 1.0 if value else 0.0
    if isinstance(value, str):
        decimal = r"[ \t\n\f\r]*([+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?)[ \t\n\f\r]*"
        if not re.fullmatch(decimal, value):
            return UNDEFINED
        return number_or_undefined(lambda: float(value))
    return float(value) if is_number(value) else UNDEFINED


def number_text(value: float) -> str:
    value = float(value)
    return str(int(value)) if value.is_integer() and abs(value) < 1e18 else repr(value)


def to_string(value: Any) -> Any:
    if isinstance(value, bool):
        return "true" if value else "false"
    if is_number(value):
        return number_text(value)
    return UNDEFINED if isinstance(value, list | dict) else value


def to_moment(value: Any) -> Any:
    if not isinstance(value, str):
        return float(value) if is_number(value) else UNDEFINED
    form = r"[0-9]{4}-[0-9]{2}-[0-9]{2}([T ][0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,6})?)?Z?"
    if not re.fullmatch(form, value):
        return UNDEFINED
    try:
        return datetime.fromisoformat(value.removesuffix("Z")).replace(tzinfo=UTC).timestamp()
    except ValueError:
        return UNDEFINED


def has_prefix(text: Any, prefix: Any) -> Any:
    if not (isinstance(text, str) and isinstance(prefix, str)):
        return UNDEFINED
    return text.startswith(prefix)


def is_defined(value: Any) -> bool:
    return not isinstance(value, Undefined)


FUNCTIONS: dict[str, Callable[..., Any]] = {
    "+": plus,
    "-": calculation(lambda left, right: left - right),
    "*": calculation(lambda left, right: left * right),
    "/": calculation(lambda left, right: left / right),
    "%": calculation(math.fmod),
    "negative": on_number(lambda value: -value),
    "floor": on_number(lambda value: whole(value, math.floor)),
    "ceil": on_number(lambda value: whole(value, math.ceil)),
    "round": on_number(round_half_away),
    "in": contained,
    "not": negate,
    "and": lambda *values: all(value is True for value in values),
    "or": lambda *values: any(value is True for value in values),
    "boolean": to_boolean,
    "number": to_number,
    "string": to_string,
    "datetime": to_moment,
    "defined": is_defined,
    "has_prefix": has_prefix,
}
