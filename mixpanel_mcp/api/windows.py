"""When calls went out, counted in moving windows."""

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Callable, Hashable


class MovingWindows:
    """Calls by key, each remembered for as long as somebody asks about.

    In memory and on a clock that is handed in: a call that was never sent can be taken back, which
    a shared counter does not offer.
    """

    def __init__(self, clock: Callable[[], float], longest_seconds: float) -> None:
        self._clock = clock
        self._longest = longest_seconds
        self._calls: dict[Hashable, list[float]] = defaultdict(list)

    def add(self, key: Hashable) -> float:
        """Count a call now; what is returned takes it back."""
        moment = self._clock()
        calls = self._calls[key]
        del calls[: bisect_right(calls, moment - self._longest)]
        calls.append(moment)
        return moment

    def take_back(self, key: Hashable, moment: float) -> None:
        self._calls[key].remove(moment)

    def used(self, key: Hashable, seconds: float) -> int:
        calls = self._calls[key]
        return len(calls) - bisect_right(calls, self._clock() - seconds)

    def until_fewer(self, key: Hashable, seconds: float, calls: int) -> float:
        """How many seconds from now fewer than `calls` are left in the window, if none is added."""
        made = self._calls[key]
        if len(made) < calls:
            return 0.0
        return max(0.0, made[-calls] + seconds - self._clock())
