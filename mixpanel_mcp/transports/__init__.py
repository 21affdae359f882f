"""How clients reach the server: stdio for one, streamable HTTP and SSE for a team."""
