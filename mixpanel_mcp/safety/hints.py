"""What a client is told of a tool's effect before it calls."""

import mcp.types as t

from mixpanel_mcp.operation import Effect, Operation


def hints_of(row: Operation, *, read_only: bool) -> t.ToolAnnotations:
    reads = row.effect is Effect.READS or read_only
    return t.ToolAnnotations(
        read_only_hint=reads,
        destructive_hint=None if reads else row.effect > Effect.ADDS,
        idempotent_hint=None if reads else row.idempotent,
        open_world_hint=True,
    )
