"""The values of one statement, apart from its text."""

from __future__ import annotations

from typing import Any


class Bindings:
    """Collects named parameters. DuckDB refuses unused names, so each statement has its own.

    It also collects what expressions read of the JSON in a column, so that whoever makes the rows
    can take it all out at once: reading the whole JSON again for each property is what costs most.
    """

    def __init__(self) -> None:
        self.values: dict[str, Any] = {}
        self._names: dict[tuple[str, Any], str] = {}
        self._pointers: dict[str, tuple[str, list[str]]] = {}

    def add(self, value: Any) -> str:
        """Return how the SQL names the value. An equal value keeps its name."""
        if isinstance(value, list):
            return self._new(value)
        key = (type(value).__name__, value)
        if key not in self._names:
            self._names[key] = self._new(value)
        return self._names[key]

    def pointers(self, column: str) -> str:
        """Return how the SQL names the list of the JSON pointers that are read in a column.

        Those count as well that are read after this call.
        """
        return self._read(column)[0]

    def part(self, column: str, pointer: str) -> str:
        """Return SQL for what lies at a JSON pointer of a column, where `parts_of` it stand."""
        _, read = self._read(column)
        if pointer not in read:
            read.append(pointer)
        return f"{parts_of(column)}[{read.index(pointer) + 1}]"

    def _read(self, column: str) -> tuple[str, list[str]]:
        if column not in self._pointers:
            read: list[str] = []
            self._pointers[column] = (self._new(read), read)
        return self._pointers[column]

    def _new(self, value: Any) -> str:
        name = f"value_{len(self.values) + 1}"
        self.values[name] = value
        return f"${name}"


def parts_of(column: str) -> str:
    """Return the column that holds, in a list, what is read of another column."""
    return f"{column}_parts"
