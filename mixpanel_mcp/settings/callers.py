"""Who may call a hosted server, and how much of it is theirs.

    [callers.analytics-team]
    token_sha256 = "9f86d081..."          # what `mixpanel-mcp token new` prints; two at most
    connections = ["shop"]
    toolsets = ["reports", "export"]
    read_only = true
    budget_share = 0.5

A caller is known by a static token, or by a JWT's `subject`, its `scopes`, or both.
"""

import re
from typing import Annotated

from pydantic import AfterValidator, Field

from mixpanel_mcp.settings.base import CommaSeparated, Frozen
from mixpanel_mcp.settings.confirmation import Confirmation


def _parse_hash(value: str) -> str:
    if not re.fullmatch(r"[0-9a-f]{64}", value):
        raise ValueError("is no SHA-256 in 64 small hexadecimal digits")
    return value


class Caller(Frozen):
    """One who may call. What is left unset is as the operator's policy has it; nothing widens."""

    name: str
    token_sha256: CommaSeparated[Annotated[str, AfterValidator(_parse_hash)]] = Field(
        default=(), max_length=2
    )
    subject: str | None = None
    scopes: CommaSeparated[str] = ()
    connections: CommaSeparated[str] = ()
    toolsets: CommaSeparated[str] = ()
    read_only: bool = False
    confirmation: Confirmation | None = None
    allowed_projects: CommaSeparated[int] = ()
    allowed_destinations: CommaSeparated[str] = ()
    budget_share: float | None = Field(default=None, gt=0, le=1)


CALLER_NAMES = tuple(name for name in Caller.model_fields if name != "name")
