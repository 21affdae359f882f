"""A value in SQL, tagged by its type without a tag.

A value is one SQL expression per kind it may have, of which at most one is not NULL; if all are,
it is undefined. Each operation uses each of these expressions of its operands at most once, so
that the SQL grows with the expression and no faster; `dialect.let` is there for what needs one
twice.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from mixpanel_mcp.analytics.dialect import any_defined
from mixpanel_mcp.analytics.json_access import Kind

Facet = Callable[[], str]
"""Makes the SQL when it is asked for: a parameter must not be added unless it is used."""


@dataclass(frozen=True)
class Value:
    facets: Mapping[Kind, Facet]
    """For each kind that the value may have."""
    json: Facet | None = None
    """For a property: its JSON text, NULL where it is undefined. A short way for many questions."""
    certain: bool = False
    """Of one kind and never undefined, as a literal is: less SQL tells it from another value."""

    def may_be(self, *kinds: Kind) -> bool:
        return any(kind in self.facets for kind in kinds)

    def sql(self, kind: Kind) -> str:
        """NULL where the value is of another kind."""
        return self.facets[kind]() if kind in self.facets else "NULL"

    def is_defined(self, *, but: Kind | None = None) -> str:
        """SQL that is true if it is of any kind; of the one excepted it may or may not count."""
        if self.json is not None:
            return any_defined([self.json()])
        return any_defined([facet() for kind, facet in self.facets.items() if kind is not but])


UNDEFINED = Value({})


def number(sql: Facet) -> Value:
    return Value({Kind.NUMBER: sql})


def string(sql: Facet) -> Value:
    return Value({Kind.STRING: sql})


def boolean(sql: Facet) -> Value:
    return Value({Kind.BOOLEAN: sql})
