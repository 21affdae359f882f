"""One client, at stdin and stdout."""

import anyio
from mcp.server.mcpserver import MCPServer


def serve_stdio(server: MCPServer) -> None:
    """Speak over stdin and stdout until the client closes them."""
    anyio.run(server.run_stdio_async)
