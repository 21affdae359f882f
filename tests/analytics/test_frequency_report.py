"""Frequency against a count by hand: in how many hours or days each user was there."""

import random
from collections import Counter, defaultdict
from collections.abc import Iterable
from datetime import date, timedelta

import pytest
from random_history import (
    CONDITIONS,
    DAY,
    FIRST_DAY,
    HOUR,
    LAST_DAY,
    NAMES,
    SEGMENTS,
    Counted,
    beginning,
    days,
    random_history,
)

from mixpanel_mcp.analytics.buckets import DayUnit
from mixpanel_mcp.analytics.frequency import (
    AddictionUnit,
    FrequencyQuery,
    frequency,
    segmented_frequency,
)
from mixpanel_mcp.analytics.selectors import Selector
from mixpanel_mcp.analytics.store import Store

UNITS: list[tuple[DayUnit, AddictionUnit]] = [
    ("day", "hour"),
    ("week", "hour"),
    ("month", "hour"),
    ("week", "day"),
    ("month", "day"),
]
WIDTHS: dict[AddictionUnit, int] = {"hour": HOUR, "day": DAY}


def random_query(seed: int) -> FrequencyQuery:
    chance = random.Random(seed)  # noqa: S311  # reproducible, not secret
    selector = Selector(chance.choice([None, *NAMES]), chance.choice([None, *CONDITIONS]))
    unit, addiction_unit = chance.choice(UNITS)
    return FrequencyQuery(FIRST_DAY, LAST_DAY, unit, addiction_unit, selector)


def selected(query: FrequencyQuery, events: Iterable[Counted]) -> list[Counted]:
    event_name, where = query.selector
    return [
        event
        for event in events
        if event_name in {None, event.event}
        and CONDITIONS[where](event)
        and FIRST_DAY <= event.day <= LAST_DAY
    ]


def numbers_by_hand(query: FrequencyQuery, start: str, events: Iterable[Counted]) -> list[int]:
    """For each n, how many users have events in at least n hours (or days) of the period."""
    units = defaultdict[str, set[int]](set)
    for event in events:
        if beginning(event.day, FIRST_DAY, query.unit) == start:
            units[event.user].add(event.time // WIDTHS[query.addiction_unit])
    times = [len(each) for each in units.values()]
    return [sum(each > n for each in times) for n in range(size(query, date.fromisoformat(start)))]


def size(query: FrequencyQuery, start: date) -> int:
    after = start + timedelta(days={"day": 1, "week": 7, "month": 32}[query.unit])
    if query.unit == "month":
        after = after.replace(day=1)
    return (after - start).days * DAY // WIDTHS[query.addiction_unit]


@pytest.mark.parametrize("seed", range(200, 215))
def test_frequency_is_what_a_count_by_hand_finds(empty_store: Store, seed: int) -> None:
    history = random_history(seed)
    history.store_in(empty_store)
    query = random_query(seed)

    report = frequency(empty_store, query)

    events = selected(query, history.counted())
    starts = {beginning(day, FIRST_DAY, query.unit) for day in days(FIRST_DAY, LAST_DAY)}
    assert report == {start: numbers_by_hand(query, start, events) for start in starts}


@pytest.mark.parametrize("seed", range(215, 221))
@pytest.mark.parametrize("on", SEGMENTS)
def test_a_segment_knows_only_its_own_events(empty_store: Store, seed: int, on: str) -> None:
    history = random_history(seed)
    history.store_in(empty_store)
    query = random_query(seed)

    report = segmented_frequency(empty_store, query, on, limit=2)

    events = selected(query, history.counted())
    segments = defaultdict[str, list[Counted]](list)
    sizes = Counter[str]()
    for name, _start, _user in {
        (SEGMENTS[on](event), beginning(event.day, FIRST_DAY, query.unit), event.user)
        for event in events
    }:
        sizes[name] += 1
    for event in events:
        segments[SEGMENTS[on](event)].append(event)
    shown = sorted(sizes, key=lambda name: (-sizes[name], name))[:2]
    for start, found in report.items():
        expected = {name: numbers_by_hand(query, start, segments[name]) for name in shown}
        assert found == {
            "$overall": numbers_by_hand(query, start, events),
            **{name: numbers for name, numbers in expected.items() if any(numbers)},
        }
