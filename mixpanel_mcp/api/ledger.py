"""What was counted of every project, and what Mixpanel said about it."""

import math
import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from enum import Enum, auto
from typing import NamedTuple

from mixpanel_mcp.api.allowances import DAY, HOUR, RULES, SECOND, Allowance
from mixpanel_mcp.api.fair_places import FairPlaces
from mixpanel_mcp.api.windows import Made, MovingWindows

# Ours are a little longer than Mixpanel's, where a call arrives later than it left here.
_MARGIN = {SECOND: 0.2}
_USUAL_MARGIN = 1.0


class Counted(NamedTuple):
    """A project, at the origin that knows it, and what is counted for it."""

    project: str
    allowance: Allowance


@dataclass(frozen=True)
class BudgetShare:
    """One caller's part of every hourly window."""

    caller: str
    fraction: float

    def of(self, limit: int) -> int:
        return max(1, math.floor(self.fraction * limit))


class Bound(NamedTuple):
    """So many calls in a window of so many seconds, by one caller or by all."""

    limit: int
    window: int
    caller: str | None = None

    @property
    def seconds(self) -> float:
        """What is counted as the window."""
        return self.window + _MARGIN.get(self.window, _USUAL_MARGIN)


@dataclass(frozen=True)
class Others:
    """Calls that Mixpanel counted beyond ours; spread over the hour, as nobody knows better."""

    calls: int
    seen: float

    def left(self, now: float) -> int:
        return max(0, math.ceil(self.calls * (1 - (now - self.seen) / HOUR)))

    def until_fewer(self, calls: int, now: float) -> float:
        """Seconds until fewer than `calls` of them are thought to be in the last hour."""
        if self.left(now) < calls:
            return 0.0
        return max(0.0, self.seen + HOUR * (1 - (calls - 1) / self.calls) - now)


@dataclass(frozen=True)
class Learned:
    """What the 429s of a project taught."""

    others: Others | None = None
    hourly_queries: int | None = None
    not_before: dict[Allowance, float] = field(default_factory=dict[Allowance, float])

    def paused(self, allowance: Allowance, until: float) -> "Learned":
        return replace(self, not_before={**self.not_before, allowance: until})


@dataclass(frozen=True, kw_only=True)
class Counting:
    """One attempt to be counted: under all of these at once, or under none."""

    counted: Sequence[Counted]
    bounds: Sequence[Sequence[Bound]]
    caller: str
    name: str = field(default_factory=lambda: secrets.token_urlsafe(12))


class Count(Enum):
    """What became of a call that was to be counted."""

    TAKEN = auto()
    WINDOW_FULL = auto()
    TOO_MANY_AT_ONCE = auto()


class Ledger:
    """The calls of one process, in memory."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._own_clock = clock
        self.made = MovingWindows(self.clock, DAY + _USUAL_MARGIN)
        self.learned: dict[str, Learned] = {}
        self._places: dict[Counted, FairPlaces] = {}

    def clock(self) -> float:
        """The time by which calls are counted."""
        return self._own_clock()

    @property
    def is_cautious(self) -> bool:
        """Whether only a part is allowed, because nobody knows what others count."""
        return False

    def bounds(self, counted: Counted, share: BudgetShare | None) -> list[Bound]:
        """What a caller's next call has to fit in."""
        found: list[Bound] = []
        for calls, window in RULES[counted.allowance].windows:
            limit = self._limit(counted, calls, window)
            found.append(Bound(limit=limit, window=window))
            if share is not None and window == HOUR:
                found.append(Bound(limit=share.of(limit), window=window, caller=share.caller))
        return found

    def allowed(self, counted: Counted, bound: Bound) -> int:
        """How many calls a bound has room for, those that were made included."""
        del counted
        return bound.limit

    def used(self, counted: Counted, bound: Bound) -> int:
        others = 0 if bound.caller is not None else self.used_by_others(counted)
        return self.made.used(counted, bound.seconds, bound.caller) + others

    def others(self, counted: Counted) -> Others | None:
        """Calls of this hour that are not ours."""
        learned = self.learned.get(counted.project)
        return learned.others if learned and counted.allowance is Allowance.QUERIES else None

    def used_by_others(self, counted: Counted) -> int:
        others = self.others(counted)
        return others.left(self.clock()) if others else 0

    def places(self, counted: Counted) -> FairPlaces | None:
        """Where those that may run at once in this process stand in line."""
        at_once = RULES[counted.allowance].at_once
        if at_once is None:
            return None
        return self._places.setdefault(counted, FairPlaces(at_once))

    async def look(self, counted: Sequence[Counted]) -> None:
        """Learn what others counted meanwhile, where there are others."""

    async def take(self, counting: Counting) -> Count:
        """Count a call if every window has room for it."""
        for counted, bounds in zip(counting.counted, counting.bounds, strict=True):
            if any(self.used(counted, bound) >= self.allowed(counted, bound) for bound in bounds):
                return Count.WINDOW_FULL
        self.add(counting)
        return Count.TAKEN

    def add(self, counting: Counting) -> Made:
        made = Made(self.clock(), counting.name, counting.caller)
        for counted in counting.counted:
            self.made.add(counted, made)
        return made

    async def give_back(self, counting: Counting) -> None:
        """A call was counted that never reached Mixpanel."""
        for counted in counting.counted:
            self.made.take_back(counted, counting.name)

    async def ended(self, counting: Counting) -> None:
        """A call that was counted runs no longer."""

    async def learn(self, project: str, learned: Learned) -> None:
        self.learned[project] = learned

    def _limit(self, counted: Counted, calls: int, window: int) -> int:
        learned = self.learned.get(counted.project)
        if learned and counted.allowance is Allowance.QUERIES and window == HOUR:
            return learned.hourly_queries or calls
        return calls
