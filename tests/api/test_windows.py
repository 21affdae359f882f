"""Moving windows, against a list that is counted by hand."""

from dataclasses import dataclass, field

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mixpanel_mcp.api.windows import Made, MovingWindows

LONGEST = 50
# Whole seconds, so that a window's very edge is met often, and sums are exact.
MOMENTS = st.lists(
    st.tuples(
        st.sampled_from(["add", "take back", "pass time"]),
        st.sampled_from(["queries", "exports"]),
        st.integers(0, 20),
    ),
    max_size=60,
)
SECONDS = st.integers(1, LONGEST)


@dataclass
class Naive:
    """Every call there ever was."""

    now: int = 0
    calls: list[tuple[str, int, str]] = field(default_factory=list[tuple[str, int, str]])

    def used(self, key: str, seconds: int, at: float | None = None) -> int:
        now = self.now if at is None else at
        return sum(each == key and now - moment < seconds for each, moment, _ in self.calls)


def _played(steps: list[tuple[str, str, int]]) -> tuple[MovingWindows, Naive]:
    naive = Naive()
    windows = MovingWindows(lambda: naive.now, LONGEST)
    for index, (step, key, number) in enumerate(steps):
        own = [call for call in naive.calls if call[0] == key and naive.now - call[1] < LONGEST]
        if step == "add":
            windows.add(key, Made(naive.now, f"call {index}"))
            naive.calls.append((key, naive.now, f"call {index}"))
        elif step == "take back" and own:
            chosen = own[number % len(own)]
            windows.take_back(key, chosen[2])
            naive.calls.remove(chosen)
        elif step == "pass time":
            naive.now += number
    return windows, naive


@given(steps=MOMENTS, seconds=SECONDS)
@settings(deadline=None)
def test_what_is_used_is_what_lies_in_the_window(
    steps: list[tuple[str, str, int]], seconds: int
) -> None:
    windows, naive = _played(steps)

    for key in ("queries", "exports"):
        assert windows.used(key, seconds) == naive.used(key, seconds)


@given(steps=MOMENTS, seconds=SECONDS, calls=st.integers(1, 10))
@settings(deadline=None)
def test_the_wait_is_the_shortest_after_which_there_are_fewer(
    steps: list[tuple[str, str, int]], seconds: int, calls: int
) -> None:
    windows, naive = _played(steps)

    for key in ("queries", "exports"):
        wait = windows.until_fewer(key, seconds, calls)
        assert naive.used(key, seconds, naive.now + wait) < calls
        if wait:
            assert naive.used(key, seconds, naive.now + wait - 0.5) >= calls


@given(
    steps=st.lists(st.floats(0, 3, allow_nan=False), min_size=1, max_size=80),
    limit=st.integers(1, 5),
    seconds=st.floats(0.5, 10),
)
@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_who_waits_as_told_never_passes_the_limit(
    steps: list[float], limit: int, seconds: float
) -> None:
    now = 0.0
    windows = MovingWindows(lambda: now, 1000)
    sent: list[float] = []

    for step in steps:
        now += step
        while wait := windows.until_fewer("queries", seconds, limit):
            now += max(wait, 1e-6)
        windows.add("queries", Made(now, f"call {len(sent)}"))
        sent.append(now)

    for first in sent:
        assert sum(first <= moment < first + seconds * (1 - 1e-9) for moment in sent) <= limit


def test_a_call_that_several_tell_of_is_counted_once() -> None:
    windows = MovingWindows(lambda: 10.0, LONGEST)

    for moment in (4.0, 4.000001):
        windows.add("queries", Made(moment, "the same", "analyst"))
    windows.add("queries", Made(2.0, "an earlier one", "finance"))

    assert windows.used("queries", 7) == 1
    assert windows.used("queries", 9) == 2
    assert windows.used("queries", 9, "analyst") == 1
    assert windows.until_fewer("queries", 9, 2) == 1.0
