"""Settings in, MCP server out: operations become tools, our results and errors become the SDK's."""

from mixpanel_mcp.server.building import create_server
from mixpanel_mcp.server.workshop import offered

__all__ = ["create_server", "offered"]
