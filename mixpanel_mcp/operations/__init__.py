"""The domains. Importing them fills the table of operations, in the order of the tool list."""

from mixpanel_mcp.operation import OPERATIONS
from mixpanel_mcp.operations import (
    events,
    export,
    identities,
    pipeline_creation,
    pipelines,
    profile_queries,
    profiles,
    raw,
    reports,
)

__all__ = [
    "TOOLSETS",
    "events",
    "export",
    "identities",
    "pipeline_creation",
    "pipelines",
    "profile_queries",
    "profiles",
    "raw",
    "reports",
]

TOOLSETS = ("events", "profiles", "identities", "reports", "export", "pipelines", "raw")

_in_order = sorted(OPERATIONS.values(), key=lambda row: TOOLSETS.index(row.toolset))
OPERATIONS.clear()
OPERATIONS.update((row.name, row) for row in _in_order)
