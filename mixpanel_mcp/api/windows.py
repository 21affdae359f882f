"""When calls went out, counted in moving windows."""

from bisect import bisect_right, insort
from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Sequence
from typing import NamedTuple


class Made(NamedTuple):
    """A call that went out: its moment in seconds, a name no other has, and who made it."""

    moment: float
    name: str
    caller: str = ""


def _moment(made: Made) -> float:
    return made.moment


class MovingWindows:
    """Calls by key, each remembered for as long as somebody asks about.

    On a clock that is handed in, and with names: a call that was never sent can be taken back, and
    one that several tell of is counted once.
    """

    def __init__(self, clock: Callable[[], float], longest_seconds: float) -> None:
        self._clock = clock
        self._longest = longest_seconds
        self._calls: dict[Hashable, list[Made]] = defaultdict(list)

    def add(self, key: Hashable, made: Made) -> None:
        """Count a call, once, whoever tells of it again."""
        calls = self._calls[key]
        del calls[: bisect_right(calls, self._clock() - self._longest, key=_moment)]
        if all(each.name != made.name for each in calls):
            insort(calls, made)

    def take_back(self, key: Hashable, name: str) -> None:
        self._calls[key] = [made for made in self._calls[key] if made.name != name]

    def replace(self, key: Hashable, calls: Iterable[Made]) -> None:
        """Take another's word for all calls of a key."""
        self._calls[key] = sorted(calls)

    def all(self, key: Hashable) -> Sequence[Made]:
        return self._calls[key]

    def keys(self) -> Sequence[Hashable]:
        return [key for key, calls in self._calls.items() if calls]

    def used(self, key: Hashable, seconds: float, caller: str | None = None) -> int:
        """How many lie in the window, of one caller or of all."""
        calls = self._of(key, caller)
        return len(calls) - bisect_right(calls, self._clock() - seconds, key=_moment)

    def until_fewer(
        self, key: Hashable, seconds: float, calls: int, caller: str | None = None
    ) -> float:
        """How many seconds from now fewer than `calls` are left in the window, if none is added."""
        made = self._of(key, caller)
        if len(made) < calls:
            return 0.0
        return max(0.0, made[-calls].moment + seconds - self._clock())

    def _of(self, key: Hashable, caller: str | None) -> list[Made]:
        calls = self._calls[key]
        return calls if caller is None else [made for made in calls if made.caller == caller]
