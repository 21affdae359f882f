"""Resources: what can be browsed and attached, under `mixpanel://` URIs."""

from mixpanel_mcp.resources.changes import Follower
from mixpanel_mcp.resources.completions import TemplateCompletions, listing_sources
from mixpanel_mcp.resources.kinds import KINDS, Kind
from mixpanel_mcp.resources.library import Library
from mixpanel_mcp.resources.place import Read
from mixpanel_mcp.resources.reading import Budget, Reader
from mixpanel_mcp.resources.server import ResourceServer

__all__ = [
    "KINDS",
    "Budget",
    "Follower",
    "Kind",
    "Library",
    "Read",
    "Reader",
    "ResourceServer",
    "TemplateCompletions",
    "listing_sources",
]
