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

from pydantic import AfterValidator, Field, field_validator

from mixpanel_mcp.destinations import parse_destination
from mixpanel_mcp.settings.base import CommaSeparated, Frozen
from mixpanel_mcp.settings.confirmation import Confirmation
from mixpanel_mcp.settings.tokens import TOKEN_PREFIX

_MOST_HASHES = 2


def _parse_hash(value: str) -> str:
    if value.startswith(TOKEN_PREFIX):
        raise ValueError("is a token; store the hash that `mixpanel-mcp token hash` prints of it")
    digits = value.lower()
    if not re.fullmatch(r"[0-9a-f]{64}", digits):
        raise ValueError(
            "is no SHA-256 in 64 hexadecimal digits; `mixpanel-mcp token new` prints a token and "
            "its hash"
        )
    return digits


def _known_destination(value: str) -> str:
    parse_destination(value)
    return value


class Caller(Frozen):
    """One who may call. What is left unset is as the operator's policy has it; nothing widens."""

    name: str
    token_sha256: CommaSeparated[Annotated[str, AfterValidator(_parse_hash)]] = ()
    subject: str | None = None
    scopes: CommaSeparated[str] = ()
    connections: CommaSeparated[str] = ()
    toolsets: CommaSeparated[str] = ()
    read_only: bool = False
    confirmation: Confirmation | None = None
    allowed_projects: CommaSeparated[int] = ()
    allowed_destinations: CommaSeparated[Annotated[str, AfterValidator(_known_destination)]] = ()
    budget_share: float | None = Field(default=None, gt=0, le=1)
    tabled: frozenset[str] = frozenset()
    """What its table sets, rightly or wrongly."""

    @field_validator("token_sha256")
    @classmethod
    def _old_and_new(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if len(value) > _MOST_HASHES:
            raise ValueError("holds more than two hashes: the new one, and the one it follows")
        return value

    @field_validator("scopes")
    @classmethod
    def _single_words(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if any(re.search(r"\s", scope) for scope in value):
            raise ValueError('has a blank within a scope; write a list, such as ["read", "write"]')
        return value

    @property
    def is_known_by_jwt(self) -> bool:
        return self.subject is not None or bool(self.scopes)


CALLER_NAMES = tuple(name for name in Caller.model_fields if name not in {"name", "tabled"})
