"""What the replicas of a hosted server share, through Redis or Valkey."""

from mixpanel_mcp.replicas.replicas import Replicas

__all__ = ["Replicas"]
