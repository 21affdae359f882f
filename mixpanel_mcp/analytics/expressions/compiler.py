"""Trees to SQL over rows of events or of profiles.

Rows of events have `event`, `distinct_id`, `time` (milliseconds), `insert_id`, `processed`, and
what `event_parts` takes out of `properties` and `user_properties` (NULL where the user has no
profile); rows of profiles have `distinct_id`, `properties` and `behaviors` (a JSON object, or
NULL).

Types are Mixpanel's, and nothing is coerced. Where Mixpanel's documents are silent:

- `and` and `or` refuse an operand that can be seen never to be a boolean; one that turns out to
  be something else in some row counts as undefined, that is false.
- `> >= < <=` order numbers, and strings by their code points.
- datetime() is a number: seconds since the epoch. Compared with it, a property that holds an ISO
  date counts as one too. The time of an event is in whole seconds, as in an export.
- `in` also finds an item of a list that a property holds. A null is in no list.
- Two undefined values are equal. Null is defined.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Final

from mixpanel_mcp.analytics.expressions import conversions, operators, values
from mixpanel_mcp.analytics.expressions.bindings import parts_of
from mixpanel_mcp.analytics.expressions.errors import ExpressionError
from mixpanel_mcp.analytics.expressions.parser import parse
from mixpanel_mcp.analytics.expressions.syntax import (
    Calculation,
    Call,
    Compare,
    Contains,
    Expression,
    Function,
    Literal,
    Logic,
    Negation,
    Not,
    OneOf,
    Property,
    Scalar,
    Source,
    reads_user,
)
from mixpanel_mcp.analytics.expressions.values import Value
from mixpanel_mcp.analytics.json_access import (
    Kind,
    json_label,
    json_part,
    json_parts,
    json_text,
    json_value,
    pointer,
)

if TYPE_CHECKING:
    from mixpanel_mcp.analytics.expressions.bindings import Bindings


class Subject(Enum):
    """What an expression is about."""

    EVENTS = "events"
    PROFILES = "profiles"


_SECONDS: Final = values.number(lambda: "CAST(time // 1000 AS DOUBLE)")
_DISTINCT_ID: Final = values.string(lambda: "distinct_id")
_OF_EVENTS: Final = {
    "$time": _SECONDS,
    "time": _SECONDS,
    "$distinct_id": _DISTINCT_ID,
    "distinct_id": _DISTINCT_ID,
    "$insert_id": values.string(lambda: "insert_id"),
    "$event_name": values.string(lambda: "event"),
    "mp_processing_time_ms": values.number(lambda: "CAST(processed AS DOUBLE)"),
}
_OF_PROFILES: Final = {"$distinct_id": _DISTINCT_ID, "distinct_id": _DISTINCT_ID}
"""What has a column of its own, and so does not stand in the JSON."""

_NUMBER_FUNCTIONS: Final = {Function.FLOOR: "floor", Function.ROUND: "round", Function.CEIL: "ceil"}


def condition(text: str, subject: Subject, bindings: Bindings) -> str:
    """SQL that is true or false and never NULL: undefined counts as false.

    Raises:
        ExpressionError: it is no expression, or never a boolean.
    """
    compiler = _Compiler(subject, bindings)
    expression = parse(text)
    return operators.condition(compiler.logical(expression))


def segment(text: str, subject: Subject, bindings: Bindings) -> str:
    """SQL for the text that names the value's segment; NULL where it is undefined.

    Raises:
        ExpressionError: it is no expression.
    """
    return _Compiler(subject, bindings).label(parse(text))


def number(text: str, subject: Subject, bindings: Bindings) -> str:
    """SQL for a DOUBLE; NULL where the value is no number.

    Raises:
        ExpressionError: it is no expression.
    """
    value = _Compiler(subject, bindings).value(parse(text))
    return value.sql(Kind.NUMBER) if value.may_be(Kind.NUMBER) else "CAST(NULL AS DOUBLE)"


def event_parts(bindings: Bindings, properties: str, user_properties: str) -> str:
    """SQL for the columns of rows of events that hold what is read of their JSON.

    `properties` and `user_properties` are SQL for this JSON. Expressions may be compiled before or
    after.
    """
    columns = {"properties": properties, "user_properties": user_properties}
    return ", ".join(
        f"{json_parts(sql, bindings.pointers(column))} AS {parts_of(column)}"
        for column, sql in columns.items()
    )


def needs_user(*texts: str | None) -> bool:
    """Whether any of the expressions about events reads the profile of the event's user.

    Raises:
        ExpressionError: one is no expression.
    """
    return any(reads_user(parse(text)) for text in texts if text is not None)


@dataclass(frozen=True)
class _Compiler:
    subject: Subject
    bindings: Bindings

    def value(self, expression: Expression) -> Value:  # noqa: C901, PLR0911  # a case per node
        match expression:
            case Literal(value=value):
                return self._literal(value)
            case Property():
                return self._property(expression)
            case Negation(operand=operand):
                return operators.apply_to_number("-", self.value(operand))
            case Not(operand=operand):
                return operators.negate(self.value(operand))
            case Calculation(operator=operator, left=left, right=right):
                return operators.calculate(operator, self.value(left), self.value(right))
            case Compare(operator=operator, left=left, right=right):
                return operators.compare(
                    operator, self._beside(right, left), self._beside(left, right)
                )
            case Contains(item=item, container=container):
                return operators.contains(self.value(item), self.value(container))
            case OneOf(operand=operand, values=choices):
                return operators.one_of(self.value(operand), choices, self.bindings)
            case Logic(operator=operator, operands=operands):
                combine = operators.all_of if operator == "and" else operators.any_of
                return combine([self.logical(operand) for operand in operands])
            case Call():
                return self._call(expression)

    def _beside(self, other: Expression, operand: Expression) -> Value:
        """One operand of a comparison, which the other one may turn into a moment."""
        value = self.value(operand)
        moment = isinstance(other, Call) and other.function is Function.DATETIME
        if moment and isinstance(operand, Property):
            return conversions.dates_as_moments(value)
        return value

    def label(self, expression: Expression) -> str:
        if isinstance(expression, Property):
            column, own = self._place(expression)
            if expression.name not in own:
                return json_label(self._part(column, expression.name))
        return conversions.to_label(self.value(expression))

    def logical(self, expression: Expression) -> Value:
        value = self.value(expression)
        if value.facets and not value.may_be(Kind.BOOLEAN):
            raise ExpressionError("expected a condition, not another type,", expression.column)
        return value

    def _literal(self, value: Scalar) -> Value:
        if isinstance(value, bool):
            return Value({Kind.BOOLEAN: lambda: "TRUE" if value else "FALSE"}, certain=True)
        kind = Kind.STRING if isinstance(value, str) else Kind.NUMBER
        return Value({kind: lambda: self.bindings.add(value)}, certain=True)

    def _property(self, accessor: Property) -> Value:
        column, own = self._place(accessor)
        if accessor.name in own:
            return own[accessor.name]
        return Value(
            {
                kind: lambda kind=kind: json_value(kind, self._part(column, accessor.name))
                for kind in Kind
            },
            json=lambda: json_text(self._part(column, accessor.name)),
        )

    def _part(self, column: str, name: str) -> str:
        if self.subject is Subject.EVENTS:
            return self.bindings.part(column, pointer(name))
        return json_part(column, self.bindings.add(pointer(name)))

    def _place(self, accessor: Property) -> tuple[str, dict[str, Value]]:
        """Return the column that holds the JSON, and what stands beside it."""
        match (self.subject, accessor.source):
            case (Subject.EVENTS, Source.PROPERTIES | Source.EVENT):
                return "properties", _OF_EVENTS
            case (Subject.EVENTS, Source.USER):
                return "user_properties", _OF_PROFILES
            case (Subject.PROFILES, Source.PROPERTIES | Source.USER):
                return "properties", _OF_PROFILES
            case (Subject.PROFILES, Source.BEHAVIORS):
                return "behaviors", {}
            case (subject, source):
                what = f"{subject.value} have no {source.value}[...]"
                raise ExpressionError(what, accessor.column)

    def _call(self, call: Call) -> Value:  # noqa: PLR0911  # a case per function
        operand = self.value(call.operands[0])
        match call.function:
            case Function.FLOOR | Function.ROUND | Function.CEIL:
                return operators.apply_to_number(_NUMBER_FUNCTIONS[call.function], operand)
            case Function.BOOLEAN:
                return conversions.to_boolean(operand)
            case Function.NUMBER:
                return conversions.to_number(operand)
            case Function.STRING:
                return conversions.to_string(operand)
            case Function.DEFINED:
                return conversions.to_defined(operand)
            case Function.DATETIME:
                return self._datetime(call.operands[0], operand)
            case Function.HAS_PREFIX:
                return operators.has_prefix(operand, self.value(call.operands[1]))

    def _datetime(self, argument: Expression, operand: Value) -> Value:
        if isinstance(argument, Literal) and isinstance(argument.value, str):
            _check_date(argument.value, argument.column)
        return conversions.to_moment(operand)


def _check_date(text: str, column: int) -> None:
    if not re.fullmatch(conversions.DATE_PATTERN, text):
        raise ExpressionError('expected a date such as "2026-01-31T00:00:00"', column)
