"""Who reads requests before they leave, and what they may do."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Protocol

from mixpanel_mcp.api.request import Repeat, Request


class Effect(IntEnum):
    """What a request does to the project's data, from harmless to final."""

    READS = 0
    ADDS = 1
    OVERWRITES = 2
    IRREVERSIBLE = 3


@dataclass(frozen=True)
class Permit:
    """The guard's leave to send a request."""

    effect: Effect
    repeat: Repeat
    project: str = ""
    """Whom Mixpanel counts it for."""


# Properties by which data says whose project it is for, in small letters. A record without any of
# them is to the guard as every other one of its event.
TOKEN_NAMES = frozenset({"token", "$token", "api_key", "project_token"})


class Guard(Protocol):
    """Reads requests before they leave; raises what stops them."""

    async def permit(self, requests: Sequence[Request]) -> Sequence[Permit]: ...

    def preview(self, request: Request) -> Permit:
        """Judge a request, without effect on what is asked later."""
        ...

    def weigh(self, request: Request, count: int) -> Permit:
        """Judge a request that stands for `count` records; what stops it at once is raised.

        Whatever was weighed is permitted by `permit_weighed` together, or not at all.
        """
        ...

    def weighed(self) -> str | None:
        """What of all that was weighed somebody has to agree to."""
        ...

    async def permit_weighed(self, fingerprint: str) -> None:
        """Ask for all that was weighed; the yes is good for what has this fingerprint."""
        ...
