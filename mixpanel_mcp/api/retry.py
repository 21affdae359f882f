"""When a request is sent again, and after which pause."""

import random
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from enum import Enum, auto

import anyio

from mixpanel_mcp.api.replies import Reply
from mixpanel_mcp.api.request import Repeat, RetryRules

_FIRST_PAUSE = 2.0
_LONGEST_PAUSE = 60.0

# The share of a call's time that one attempt may take where a time-out may be followed by another
# (a read has two attempts, a write that is safe to repeat more), and what is kept for the next one.
_ATTEMPT_SHARE = {Repeat.READ: 0.5, Repeat.SAFE: 0.4}
_NEXT_SHARE = 0.3


class Outcome(Enum):
    """Why an attempt brought no answer, as far as sending it again is concerned."""

    RATE_LIMITED = auto()
    SERVER_ERROR = auto()
    DROPPED = auto()
    NEVER_SENT = auto()
    TIMED_OUT = auto()


class AttemptFailedError(Exception):
    """One attempt brought no answer; `reply` is there where Mixpanel said so itself."""

    def __init__(self, outcome: Outcome, reply: Reply | None = None) -> None:
        self.outcome = outcome
        self.reply = reply
        super().__init__(outcome.name)


@dataclass(frozen=True)
class Pacing:
    """Clock, pause and chance; handed in so that tests need not wait."""

    clock: Callable[[], float] = time.monotonic
    now: Callable[[], float] = time.time
    sleep: Callable[[float], Awaitable[None]] = anyio.sleep
    jitter: Callable[[float, float], float] = random.uniform


@dataclass
class Deadline:
    """The end of a whole call, its pauses included; its first request starts the clock."""

    seconds: float
    pacing: Pacing = field(default_factory=Pacing)
    _ends: float | None = None

    def remaining(self) -> float:
        now = self.pacing.clock()
        if self._ends is None:
            self._ends = now + self.seconds
        return self._ends - now


def attempt_seconds(
    deadline: Deadline, repeat: Repeat, rules: RetryRules | None, *, attempt: int, timed_out: int
) -> float:
    """How long one attempt may take: the rest of the call where a time-out ends it anyway."""
    remaining = deadline.remaining()
    again = may_repeat(Outcome.TIMED_OUT, repeat, timed_out_before=timed_out)
    if not again or not wanted(Outcome.TIMED_OUT, rules, attempt=attempt):
        return remaining
    return min(remaining, deadline.seconds * _ATTEMPT_SHARE[repeat])


def may_repeat(outcome: Outcome, repeat: Repeat, *, timed_out_before: int) -> bool:
    """The table of what is sent again.

    A 429 was refused, so it is always safe. Whatever may have reached Mixpanel is repeated only
    where a second arrival changes nothing.
    """
    match outcome:
        case Outcome.RATE_LIMITED | Outcome.NEVER_SENT:
            return True
        case Outcome.SERVER_ERROR | Outcome.DROPPED:
            return repeat is not Repeat.UNSAFE
        case Outcome.TIMED_OUT:
            return repeat is Repeat.SAFE or (repeat is Repeat.READ and timed_out_before == 0)


def wanted(outcome: Outcome, rules: RetryRules | None, *, attempt: int) -> bool:
    """Whether a passthrough call's own rules ask for another attempt; ours always do."""
    if rules is None:
        return True
    if outcome is Outcome.RATE_LIMITED and not rules.on_rate_limit:
        return False
    return attempt <= rules.retries


def pause_seconds(
    attempt: int, asked: float | None, pacing: Pacing, rules: RetryRules | None
) -> float:
    """The pause before another attempt: what Mixpanel asked for, or 2 s doubling, plus jitter."""
    if asked is not None:
        return asked + pacing.jitter(0, 1)
    if rules is not None and rules.delay_seconds is not None:
        return rules.delay_seconds
    return min(_LONGEST_PAUSE, _FIRST_PAUSE * 2 ** (attempt - 1)) + pacing.jitter(1, 5)


def pause_that_fits(pause: float, outcome: Outcome, deadline: Deadline) -> float:
    """Shorten the pause after a time-out, where it would leave no time to try again in."""
    if outcome is not Outcome.TIMED_OUT:
        return pause
    return min(pause, max(0.0, deadline.remaining() - deadline.seconds * _NEXT_SHARE))
