"""What a person said, or that there is none; and whoever asks. Knows no MCP."""

from enum import Enum, auto
from typing import Protocol


class Verdict(Enum):
    """What became of the question."""

    APPROVED = auto()
    DECLINED = auto()
    NOBODY_TO_ASK = auto()
    ALREADY_USED = auto()


class Asks(Protocol):
    """Puts a question to the person behind a call."""

    async def ask(self, question: str, binding: str = "") -> Verdict: ...
