"""The values of one statement, apart from its text."""

from __future__ import annotations

from typing import Any


class Bindings:
    """Collects named parameters. DuckDB refuses unused names, so each statement has its own."""

    def __init__(self) -> None:
        self.values: dict[str, Any] = {}
        self._names: dict[tuple[str, Any], str] = {}

    def add(self, value: Any) -> str:
        """Return how the SQL names the value. An equal value keeps its name."""
        if isinstance(value, list):
            return self._new(value)
        key = (type(value).__name__, value)
        if key not in self._names:
            self._names[key] = self._new(value)
        return self._names[key]

    def _new(self, value: Any) -> str:
        name = f"value_{len(self.values) + 1}"
        self.values[name] = value
        return f"${name}"
