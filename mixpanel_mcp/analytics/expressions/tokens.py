"""The words of an expression, each with its column."""

from __future__ import annotations

import json
import re
from enum import Enum
from typing import TYPE_CHECKING, NamedTuple

from mixpanel_mcp.analytics.expressions.errors import ExpressionError

if TYPE_CHECKING:
    from collections.abc import Iterator


class TokenKind(Enum):
    NAME = "a name"
    STRING = "a string"
    NUMBER = "a number"
    SYMBOL = "a symbol"
    END = "the end"


class Token(NamedTuple):
    kind: TokenKind
    text: str
    """Of a string, what it means: without quotes and escapes."""
    column: int


_WORD = re.compile(
    r"""(?P<SPACE>[ \t\r\n]+)
    | (?P<NAME>[A-Za-z_][A-Za-z_0-9]*)
    | (?P<NUMBER>(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?)
    | (?P<SYMBOL>==|!=|>=|<=|[-+*/%<>()\[\],])
    | (?P<QUOTE>["'])""",
    re.VERBOSE,
)
_PLAIN = re.compile(r"""[^"'\\]+""")
_SURROGATES = re.compile("[\ud800-\udfff]")
_UNICODE_ESCAPE = re.compile(r"(?:\\u[0-9a-fA-F]{4})+")
_ESCAPES = {
    '"': '"',
    "'": "'",
    "\\": "\\",
    "/": "/",
    "b": "\b",
    "f": "\f",
    "n": "\n",
    "r": "\r",
    "t": "\t",
}


def tokens(text: str) -> Iterator[Token]:
    """Yield the words in order, the end last."""
    position = 0
    while position < len(text):
        found = _WORD.match(text, position)
        if found is None:
            raise _unexpected(text[position], position + 1)
        kind, column = str(found.lastgroup), position + 1
        position = found.end()
        if kind == "QUOTE":
            meaning, position = _string(text, position, found.group())
            yield Token(TokenKind.STRING, meaning, column)
        elif kind != "SPACE":
            yield Token(TokenKind[kind], found.group(), column)
    yield Token(TokenKind.END, "", len(text) + 1)


def _unexpected(character: str, column: int) -> ExpressionError:
    if character == "=":
        return ExpressionError("expected `==`, as `=` compares nothing,", column)
    if character in "&|!":
        return ExpressionError("expected `and`, `or` or `not` in words", column)
    return ExpressionError(f"unexpected `{character}`", column)


def _string(text: str, position: int, quote: str) -> tuple[str, int]:
    """Read from behind the opening quote; return the meaning and where the text goes on."""
    start, pieces = position, list[str]()
    while position < len(text):
        character = text[position]
        if character == quote:
            meaning = "".join(pieces)
            if _SURROGATES.search(meaning):
                raise ExpressionError("half a surrogate pair in the string", start)
            return meaning, position + 1
        if character == "\\":
            piece, position = _escape(text, position)
        elif plain := _PLAIN.match(text, position):
            piece, position = plain.group(), plain.end()
        else:
            piece, position = character, position + 1
        pieces.append(piece)
    raise ExpressionError(f"expected the closing {quote} of the string that begins", start)


def _escape(text: str, position: int) -> tuple[str, int]:
    if found := _UNICODE_ESCAPE.match(text, position):
        return json.loads(f'"{found.group()}"'), found.end()
    character = text[position + 1 : position + 2]
    if character not in _ESCAPES:
        raise ExpressionError(f"unknown escape `\\{character}`; write `\\\\`", position + 1)
    return _ESCAPES[character], position + 2
