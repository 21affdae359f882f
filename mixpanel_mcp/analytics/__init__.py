"""Events and profiles in DuckDB. It knows neither HTTP nor MCP nor the sandbox."""
