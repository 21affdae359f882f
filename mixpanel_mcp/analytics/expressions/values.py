"""A value in SQL, tagged by its type without a tag.

A value is one SQL expression per kind it may have, of which at most one is not NULL; if all are,
it is undefined. Each operation uses each of these expressions of its operands at most once, so
that the SQL grows with the expression and no faster; `let` is there for what needs one twice.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from mixpanel_mcp.analytics.json_access import Kind

Facet = Callable[[], str]
"""Makes the SQL when it is asked for: a parameter must not be added unless it is used."""


@dataclass(frozen=True)
class Value:
    facets: Mapping[Kind, Facet]
    """For each kind that the value may have."""
    moment: bool = False
    """Whether it came from datetime(): then it compares with the ISO dates of properties."""

    def may_be(self, *kinds: Kind) -> bool:
        return any(kind in self.facets for kind in kinds)

    def sql(self, kind: Kind) -> str:
        """NULL where the value is of another kind."""
        return self.facets[kind]() if kind in self.facets else "NULL"

    def sql_without(self, *kinds: Kind) -> list[str]:
        """The SQL of every kind that it may have, but these."""
        return [facet() for kind, facet in self.facets.items() if kind not in kinds]


UNDEFINED = Value({})


def number(sql: Facet) -> Value:
    return Value({Kind.NUMBER: sql})


def string(sql: Facet) -> Value:
    return Value({Kind.STRING: sql})


def boolean(sql: Facet) -> Value:
    return Value({Kind.BOOLEAN: sql})


def first_defined(candidates: list[str]) -> str:
    """SQL for the first that is not NULL."""
    return candidates[0] if len(candidates) == 1 else f"COALESCE({', '.join(candidates)})"


def any_defined(candidates: list[str]) -> str:
    return "(" + " OR ".join(f"({candidate}) IS NOT NULL" for candidate in candidates) + ")"


def finite(sql: str) -> str:
    """Division by zero and what is too large for a number leave NULL."""
    return f"list_filter([{sql}], lambda result: isfinite(result))[1]"


def let(name: str, sql: str, body: str) -> str:
    """SQL for a body that uses a value more than once, by a name."""
    return f"list_transform([{sql}], lambda {name}: {body})[1]"
