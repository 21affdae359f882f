"""What a script may use up."""

from __future__ import annotations

from dataclasses import dataclass

MEGABYTE = 1024 * 1024


@dataclass(frozen=True)
class Limits:
    seconds: float = 120
    """From the start of the query to its end ("JQL": two minutes)."""
    memory: int = 512 * MEGABYTE
    """Bytes that the script's own values may take."""
    output: int = 256 * MEGABYTE
    """Bytes of the result. Mixpanel allows 2 GB, which nobody wants to hold in a sandbox."""
