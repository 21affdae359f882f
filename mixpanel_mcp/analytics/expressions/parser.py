"""Text to tree.

Mixpanel documents the operators but not their precedence. Here, from loose to tight: `or`, `and`,
`not`, comparisons and `in` (which do not chain), `+ -`, `* / %`, unary `-`.
"""

from __future__ import annotations

import math
from itertools import islice
from typing import Final, cast

from mixpanel_mcp.analytics.expressions.errors import ExpressionError
from mixpanel_mcp.analytics.expressions.syntax import (
    Arithmetic,
    Calculation,
    Call,
    Compare,
    Comparison,
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
)
from mixpanel_mcp.analytics.expressions.tokens import Token, TokenKind, tokens

MAX_HEIGHT: Final = 64
"""How deep an expression may nest; chains of `and` and of `or` may be as long as they like."""

MAX_TOKENS: Final = 10_000
"""How long one may be: planning takes the database a second for so many."""

_COMPARISONS = ("==", "!=", ">", ">=", "<", "<=")
_SUMS = ("+", "-")
_PRODUCTS = ("*", "/", "%")
_SOURCES = {source.value: source for source in Source}
_FUNCTIONS = {function.value: function for function in Function}
_BOOLEANS = {"true": True, "false": False}


def parse(text: str) -> Expression:
    """Read one whole expression.

    Raises:
        ExpressionError: it is not one, nests deeper than MAX_HEIGHT, or has more than MAX_TOKENS.
    """
    return _Parser(text).whole()


class _Parser:
    def __init__(self, text: str) -> None:
        self._tokens = list(islice(tokens(text), MAX_TOKENS + 1))
        if len(self._tokens) > MAX_TOKENS:
            raise ExpressionError(
                f"more than {MAX_TOKENS} words and signs", self._tokens[-1].column
            )
        self._position = 0
        self._nesting = 0

    def whole(self) -> Expression:
        expression = self._any_of()
        if self._next.kind is not TokenKind.END:
            raise self._expected("an operator or the end")
        return expression

    def _any_of(self) -> Expression:
        return self._chain("or", [self._all_of()])

    def _all_of(self) -> Expression:
        return self._chain("and", [self._negated()])

    def _chain(self, operator: str, operands: list[Expression]) -> Expression:
        first = self._next
        while self._next.kind is TokenKind.NAME and self._next.text == operator:
            self._advance()
            operands.append(self._all_of() if operator == "or" else self._negated())
        if len(operands) == 1:
            return operands[0]
        height = self._above(first, *operands)
        if operator == "or":
            return Logic(first.column, height, "or", tuple(operands))
        return Logic(first.column, height, "and", tuple(operands))

    def _negated(self) -> Expression:
        if not (self._next.kind is TokenKind.NAME and self._next.text == "not"):
            return self._compared()
        token = self._enter()
        operand = self._negated()
        self._nesting -= 1
        return Not(token.column, self._above(token, operand), operand)

    def _compared(self) -> Expression:
        left = self._sum()
        token = self._next
        if token.kind is TokenKind.NAME and token.text == "in":
            self._advance()
            return self._contained(token, left)
        if not self._at(*_COMPARISONS):
            return left
        self._advance()
        right = self._sum()
        height = self._above(token, left, right)
        return Compare(token.column, height, cast("Comparison", token.text), left, right)

    def _contained(self, token: Token, item: Expression) -> Expression:
        if self._at("["):
            return OneOf(token.column, self._above(token, item), item, self._list())
        container = self._sum()
        return Contains(token.column, self._above(token, item, container), item, container)

    def _list(self) -> tuple[Scalar, ...]:
        self._advance()
        values = [self._list_item()]
        while self._at(","):
            self._advance()
            values.append(self._list_item())
        self._take("]")
        return tuple(values)

    def _list_item(self) -> Scalar:
        minus = self._at("-")
        if minus:
            self._advance()
        value = self._literal()
        if value is None or (minus and not isinstance(value, float)):
            raise self._expected("a number" if minus else "a string, a number, true or false")
        self._advance()
        return -cast("float", value) if minus else value

    def _sum(self) -> Expression:
        left = self._product()
        while self._at(*_SUMS):
            token = self._advance()
            left = self._calculation(token, left, self._product())
        return left

    def _product(self) -> Expression:
        left = self._signed()
        while self._at(*_PRODUCTS):
            token = self._advance()
            left = self._calculation(token, left, self._signed())
        return left

    def _calculation(self, token: Token, left: Expression, right: Expression) -> Expression:
        height = self._above(token, left, right)
        return Calculation(token.column, height, cast("Arithmetic", token.text), left, right)

    def _signed(self) -> Expression:
        if not self._at("-"):
            return self._primary()
        token = self._enter()
        operand = self._signed()
        self._nesting -= 1
        return Negation(token.column, self._above(token, operand), operand)

    def _primary(self) -> Expression:
        token = self._next
        value = self._literal()
        if value is not None:
            self._advance()
            return Literal(token.column, 1, value)
        if self._at("("):
            return self._parenthesis()
        if token.kind is TokenKind.NAME and token.text in _SOURCES:
            return self._property()
        if token.kind is TokenKind.NAME and token.text in _FUNCTIONS:
            return self._call()
        if token.kind is TokenKind.NAME:
            what = f'a value (a property is written properties["{token.text}"])'
            raise ExpressionError(f"unknown name `{token.text}`, expected {what}", token.column)
        raise self._expected("a value")

    def _literal(self) -> Scalar | None:
        """Look at a literal, without taking it."""
        token = self._next
        if token.kind is TokenKind.STRING:
            return token.text
        if token.kind is TokenKind.NAME:
            return _BOOLEANS.get(token.text)
        if token.kind is not TokenKind.NUMBER:
            return None
        number = float(token.text)
        if not math.isfinite(number):
            raise ExpressionError("the number is too large", token.column)
        return number

    def _parenthesis(self) -> Expression:
        self._enter()
        expression = self._any_of()
        self._take(")")
        self._nesting -= 1
        return expression

    def _property(self) -> Expression:
        token = self._advance()
        self._take("[")
        if self._next.kind is not TokenKind.STRING:
            raise self._expected("a name in quotes")
        name = self._advance().text
        self._take("]")
        return Property(token.column, 1, _SOURCES[token.text], name)

    def _call(self) -> Expression:
        token = self._enter()
        function = _FUNCTIONS[token.text]
        self._take("(")
        arguments = [self._any_of()]
        if function is Function.HAS_PREFIX:
            self._take(",")
            arguments.append(self._any_of())
        self._take(")")
        self._nesting -= 1
        return Call(token.column, self._above(token, *arguments), function, tuple(arguments))

    @property
    def _next(self) -> Token:
        return self._tokens[self._position]

    def _advance(self) -> Token:
        token = self._next
        self._position += 1
        return token

    def _enter(self) -> Token:
        """Take the token that opens one more level: Python's own stack is not deep."""
        self._nesting += 1
        if self._nesting > MAX_HEIGHT:
            raise self._too_deep(self._next)
        return self._advance()

    def _above(self, token: Token, *operands: Expression) -> int:
        height = 1 + max(operand.height for operand in operands)
        if height > MAX_HEIGHT:
            raise self._too_deep(token)
        return height

    def _at(self, *symbols: str) -> bool:
        return self._next.kind is TokenKind.SYMBOL and self._next.text in symbols

    def _take(self, symbol: str) -> None:
        if not self._at(symbol):
            raise self._expected(f"`{symbol}`")
        self._advance()

    def _expected(self, what: str) -> ExpressionError:
        return ExpressionError(f"expected {what}", self._next.column)

    def _too_deep(self, token: Token) -> ExpressionError:
        return ExpressionError(
            f"the expression nests deeper than {MAX_HEIGHT} levels", token.column
        )
