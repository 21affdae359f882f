"""How far Redis is to be believed, and since when; nothing is asked here."""

import logging
import time
from enum import Enum, auto

_log = logging.getLogger(__name__)

# Longer than every replica needs to notice that Redis is back, and to tell it what it counted.
_SETTLE_SECONDS = 3.0
# Whoever never met Redis does not know how many others there are.
_UNKNOWN_REPLICAS = 4


class State(Enum):
    """How far Redis is to be believed."""

    AWAY = auto()
    SETTLING = auto()
    """It answers, and is being told what was counted without it."""
    SHARED = auto()


class Belief:
    """What one replica thinks of Redis."""

    def __init__(self) -> None:
        self.state = State.AWAY
        self.replicas = _UNKNOWN_REPLICAS
        self.generation = ""
        self.left_at: float | None = None
        """When Redis was last believed, by the shared clock."""
        self.why_away = "no answer"
        self._offset = time.time() - time.monotonic()
        self._trusted_from = 0.0
        self._was_told = False

    @property
    def is_shared(self) -> bool:
        """Whether Redis knows everything."""
        return self.state is State.SHARED

    @property
    def is_there(self) -> bool:
        return self.state is not State.AWAY

    @property
    def is_settled(self) -> bool:
        """Whether all others had the time to tell Redis what they know."""
        return self.clock() >= self._trusted_from

    def clock(self) -> float:
        """Redis' time, as far as it is known."""
        return time.monotonic() + self._offset

    def set_clock(self, now: float) -> None:
        self._offset = now - time.monotonic()

    def doubt(self, why: str) -> None:
        """Believe Redis no longer until all have told it what they know."""
        if self.state is State.AWAY:
            return
        if self.state is State.SHARED:
            self.left_at = self.clock()
            self._say(why)
        self.state = State.SETTLING
        self._trusted_from = self.clock() + _SETTLE_SECONDS

    def forgot(self) -> None:
        """Redis is none that was told anything: the next heartbeat does it."""
        self.doubt("lost its memory")
        self.generation = ""

    def lost(self, why: str) -> None:
        """Redis did not do what it was asked."""
        self.why_away = why
        if self.state is State.AWAY:
            return
        if self.state is State.SHARED:
            self.left_at = self.clock()
        self.state = State.AWAY
        self._say(f"is away: {why}")

    def was_never_there(self) -> None:
        self._say(f"cannot be used: {self.why_away}")

    def settle(self, replicas: int) -> None:
        """Redis answers again, or is another: it is to be told what it may not know."""
        ever = self.left_at is not None or self.state is State.SHARED
        self.replicas = max(self.replicas if ever else 1, replicas)
        self.doubt("lost its memory")
        self.state = State.SETTLING

    def told(self, generation: str, *, was_away: bool) -> None:
        """It was told what is known here; the others need time for the same."""
        self.generation = generation
        began = float(generation.split(":")[1])
        self._trusted_from = began + _SETTLE_SECONDS
        if was_away and self.left_at is not None:
            self._trusted_from = self.clock() + _SETTLE_SECONDS

    def trust(self, replicas: int) -> None:
        self.state = State.SHARED
        self.replicas = replicas
        if self._was_told:
            _log.warning("Redis is believed again: what replicas count is shared")
            self._was_told = False

    def _say(self, why: str) -> None:
        """Say it once, until Redis is believed again."""
        if not self._was_told:
            _log.warning("Redis %s; this server counts cautiously, for itself", why)
        self._was_told = True
