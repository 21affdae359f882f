"""Who calls a hosted server."""

import hashlib
from dataclasses import dataclass


@dataclass(frozen=True)
class Identity:
    """One of the configured callers, and for a JWT the subject that it was issued to.

    What a server keeps for one identity, no other one sees.
    """

    caller: str
    subject: str | None = None

    @property
    def shown(self) -> str:
        """For the audit log."""
        return self.caller if self.subject is None else f"{self.caller} ({self.subject})"

    @property
    def folder(self) -> str:
        """A name for a folder of its own; subjects are not made for file systems."""
        if self.subject is None:
            return self.caller
        return f"{self.caller}.{hashlib.sha256(self.subject.encode()).hexdigest()[:32]}"
