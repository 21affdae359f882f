"""What reports over segments have in common: their names, and which of them are shown.

The top segments are the largest; equals come in the order of their names. Mixpanel's replies name
events without the property "undefined", and all segments together, shown or not, "$overall".
"""

from __future__ import annotations

from mixpanel_mcp.analytics.expressions import Bindings, Subject, segment

DEFAULT_SEGMENTS = 255
OVERALL = "$overall"


def segment_name(on: str, bindings: Bindings) -> str:
    """SQL for the name of an event's segment, never NULL.

    Raises:
        ExpressionError: `on` is no expression.
    """
    return f"coalesce({segment(on, Subject.EVENTS, bindings)}, 'undefined')"


def is_among_the_largest(relation: str, size: str, limit: int) -> str:
    """SQL that is true for the rows of the `limit` segments with the largest sum of a column."""
    return (
        f"segment IN (SELECT segment FROM {relation}"
        f" GROUP BY segment ORDER BY sum({size}) DESC, segment LIMIT {limit:d})"
    )
