"""Settings in, MCP server out: operations become tools, our results and errors become the SDK's."""

from mixpanel_mcp.server.building import create_server, server_of
from mixpanel_mcp.server.shared import Connected, Shared
from mixpanel_mcp.server.workshop import Workshop, offered

__all__ = ["Connected", "Shared", "Workshop", "create_server", "offered", "server_of"]
