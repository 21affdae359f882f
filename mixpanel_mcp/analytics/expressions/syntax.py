"""What an expression says, as a tree."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Literal as Choice


class Source(Enum):
    PROPERTIES = "properties"
    USER = "user"
    EVENT = "event"
    BEHAVIORS = "behaviors"


class Function(Enum):
    FLOOR = "floor"
    ROUND = "round"
    CEIL = "ceil"
    BOOLEAN = "boolean"
    NUMBER = "number"
    STRING = "string"
    DEFINED = "defined"
    DATETIME = "datetime"
    HAS_PREFIX = "has_prefix"


Scalar = str | float | bool
Comparison = Choice["==", "!=", ">", ">=", "<", "<="]
Arithmetic = Choice["+", "-", "*", "/", "%"]


@dataclass(frozen=True)
class Node:
    column: int
    """Where it begins; of an operation, where its operator stands."""
    height: int
    """How many nodes lie on the longest way down, itself included."""


@dataclass(frozen=True)
class Literal(Node):
    value: Scalar


@dataclass(frozen=True)
class Property(Node):
    source: Source
    name: str


@dataclass(frozen=True)
class Negation(Node):
    """Unary minus."""

    operand: Expression


@dataclass(frozen=True)
class Not(Node):
    operand: Expression


@dataclass(frozen=True)
class Calculation(Node):
    operator: Arithmetic
    left: Expression
    right: Expression


@dataclass(frozen=True)
class Compare(Node):
    operator: Comparison
    left: Expression
    right: Expression


@dataclass(frozen=True)
class Contains(Node):
    """`item in container`, where the container is a string or a list property."""

    item: Expression
    container: Expression


@dataclass(frozen=True)
class OneOf(Node):
    """`operand in [literal, ...]`."""

    operand: Expression
    values: tuple[Scalar, ...]


@dataclass(frozen=True)
class Logic(Node):
    """A whole chain of `and`, or of `or`: two operands or more."""

    operator: Choice["and", "or"]
    operands: tuple[Expression, ...]


@dataclass(frozen=True)
class Call(Node):
    function: Function
    operands: tuple[Expression, ...]


Expression = (
    Literal | Property | Negation | Not | Calculation | Compare | Contains | OneOf | Logic | Call
)


def operands(expression: Expression) -> tuple[Expression, ...]:
    match expression:
        case Literal() | Property():
            return ()
        case Negation() | Not() | OneOf():
            return (expression.operand,)
        case Calculation() | Compare():
            return (expression.left, expression.right)
        case Contains():
            return (expression.item, expression.container)
        case Logic() | Call():
            return expression.operands


def reads_user(expression: Expression) -> bool:
    """Whether it reads the profile of an event's user."""
    if isinstance(expression, Property):
        return expression.source is Source.USER
    return any(map(reads_user, operands(expression)))
