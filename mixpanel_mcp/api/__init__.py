"""The shared HTTP layer: regions, requests, retries, errors. Knows HTTP; knows nothing of MCP."""
