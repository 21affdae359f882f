"""Who has to agree."""

from enum import StrEnum


class Confirmation(StrEnum):
    """Who may agree to what cannot be undone when the client has no way to ask a person."""

    FLAG = "flag"
    HUMAN = "human"
