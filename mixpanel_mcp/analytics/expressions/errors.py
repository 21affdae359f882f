"""Why an expression cannot be read, and where."""

from __future__ import annotations


class ExpressionError(ValueError):
    """The text ends with the position: "expected `)` at column 14"."""

    def __init__(self, what: str, column: int) -> None:
        super().__init__(f"{what} at column {column}")
        self.column = column
        """Counted in characters, from 1."""
