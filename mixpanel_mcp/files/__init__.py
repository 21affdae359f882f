"""Events in and out of files, below the folder that the operator set. A leaf: knows no MCP."""
