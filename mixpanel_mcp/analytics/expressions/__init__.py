"""Mixpanel's segmentation expressions (`where`, `on`, selectors), compiled to SQL."""

from mixpanel_mcp.analytics.expressions.bindings import Bindings
from mixpanel_mcp.analytics.expressions.compiler import (
    Subject,
    condition,
    event_parts,
    needs_user,
    number,
    segment,
)
from mixpanel_mcp.analytics.expressions.errors import ExpressionError
from mixpanel_mcp.analytics.expressions.parser import MAX_HEIGHT, parse
from mixpanel_mcp.analytics.expressions.syntax import Expression

__all__ = [
    "MAX_HEIGHT",
    "Bindings",
    "Expression",
    "ExpressionError",
    "Subject",
    "condition",
    "event_parts",
    "needs_user",
    "number",
    "parse",
    "segment",
]
