"""What the names begin with under which replicas keep and tell things."""

NAMESPACE = "mixpanel-mcp"
CHANNEL = f"{NAMESPACE}:events"
GENERATION = f"{NAMESPACE}:generation"
REPLICAS = f"{NAMESPACE}:replicas"
