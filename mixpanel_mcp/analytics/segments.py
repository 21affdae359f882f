"""What reports over segments have in common: their names, and which of them are shown.

The top segments are the largest; equals come in the order of their names. Mixpanel's replies name
events without the property "undefined", and all segments together, shown or not, "$overall".
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar

from mixpanel_mcp.analytics.expressions import Bindings, Subject, segment

DEFAULT_SEGMENTS = 255
OVERALL = "$overall"

Shown = TypeVar("Shown")


def segment_name(on: str, bindings: Bindings) -> str:
    """SQL for the name of an event's segment, never NULL.

    Raises:
        ExpressionError: `on` is no expression.
    """
    return f"coalesce({segment(on, Subject.EVENTS, bindings)}, 'undefined')"


def is_shown(relation: str, size: str, limit: int) -> str:
    """SQL that is true for the rows of the `limit` segments with the largest sum of a column.

    And for those of all segments together, which have no segment (NULL).
    """
    return f"""(segment IS NULL OR segment IN (
        SELECT segment FROM {relation} WHERE segment IS NOT NULL
        GROUP BY segment ORDER BY sum({size}) DESC, segment LIMIT {limit:d}
    ))"""  # noqa: S608  # our own names and a number


def by_name(segments: Mapping[str | None, Shown]) -> dict[str, Shown]:
    """Name the segments, first the whole (None). A property value of that name gives way."""
    named = {
        name: shown for name, shown in segments.items() if name is not None and name != OVERALL
    }
    return {OVERALL: segments[None]} | named
