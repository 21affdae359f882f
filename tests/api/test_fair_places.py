"""Places are given by turns, and none is lost, whoever gives up waiting when."""

import asyncio
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mixpanel_mcp.api.fair_places import FairPlaces

STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("come"), st.sampled_from("abc")),
        st.tuples(st.sampled_from(["leave", "give up"]), st.integers(0, 30)),
        # A place is given and taken back in the same turn of the loop.
        st.tuples(st.just("leave and give up"), st.integers(0, 30)),
    ),
    max_size=60,
)


class _Callers:
    """Those who come for a place, and hold it until they are told to leave."""

    def __init__(self, places: FairPlaces) -> None:
        self.let_in: list[str] = []
        self.inside: list[tuple[asyncio.Task[None], asyncio.Event]] = []
        self.most_inside = 0
        self.waiting: list[asyncio.Task[None]] = []
        self._places = places

    async def come(self, caller: str) -> None:
        self.waiting.append(asyncio.create_task(self._hold(caller)))
        await _settled()

    def leave(self, number: int) -> None:
        if self.inside:
            self.inside[number % len(self.inside)][1].set()

    def give_up(self, number: int) -> None:
        if self.waiting:
            self.waiting[number % len(self.waiting)].cancel()

    async def _hold(self, caller: str) -> None:
        task, told = asyncio.current_task(), asyncio.Event()
        assert task is not None
        try:
            async with self._places.held_by(caller):
                self.waiting.remove(task)
                self.let_in.append(caller)
                self.inside.append((task, told))
                self.most_inside = max(self.most_inside, len(self.inside))
                await told.wait()
                self.inside.remove((task, told))
        finally:
            if task in self.waiting:
                self.waiting.remove(task)


async def _settled() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


async def test_one_of_another_waits_for_a_single_turn() -> None:
    callers = _Callers(FairPlaces(1))
    for caller in "aaaaabbc":
        await callers.come(caller)
    while callers.inside:
        callers.leave(0)
        await _settled()

    assert "".join(callers.let_in) == "aabcabaa"


async def test_those_of_one_caller_are_let_in_as_they_came() -> None:
    places, came = FairPlaces(1), list[int]()

    async def come(number: int) -> None:
        async with places.held_by("a"):
            came.append(number)
            await asyncio.sleep(0)

    await asyncio.gather(*map(come, range(20)))

    assert came == list(range(20))


@given(most=st.integers(1, 3), steps=STEPS)
def test_no_place_is_lost_and_none_is_given_twice(
    most: int, steps: list[tuple[str, int | str]]
) -> None:
    asyncio.run(_played(most, steps))


async def _played(most: int, steps: list[tuple[str, int | str]]) -> None:
    callers = _Callers(places := FairPlaces(most))
    for step, what in steps:
        if isinstance(what, str):
            await callers.come(what)
            continue
        if step.startswith("leave"):
            callers.leave(what)
            if step == "leave and give up":
                await asyncio.sleep(0)  # it leaves, and the next one is told
        if step.endswith("give up"):
            callers.give_up(what)
        await _settled()
        # Nobody waits beside a free place.
        assert len(callers.inside) == most or not callers.waiting
    while callers.inside:
        callers.leave(0)
        await _settled()

    assert callers.most_inside <= most
    assert not callers.waiting
    await _all_are_free(places, most)


async def _all_are_free(places: FairPlaces, most: int) -> None:
    callers = _Callers(places)
    for _ in range(most + 1):
        await callers.come("z")
    assert (len(callers.inside), len(callers.waiting)) == (most, 1)
    callers.leave(0)
    await _settled()
    assert Counter(callers.let_in) == {"z": most + 1}
    for each in range(most):
        callers.leave(each)
    await _settled()


async def test_who_is_let_in_and_gives_up_at_once_hands_the_place_on() -> None:
    callers = _Callers(FairPlaces(1))
    for caller in "abc":
        await callers.come(caller)
    second = callers.waiting[0]
    callers.leave(0)
    await asyncio.sleep(0)  # the first has left, and the second was told
    second.cancel()
    with pytest.raises(asyncio.CancelledError):
        await second
    await _settled()

    assert callers.let_in == ["a", "c"]
