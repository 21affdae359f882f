"""Retention against a count by hand: who was born when, and who came back in which interval."""

import random
from collections import Counter, defaultdict
from collections.abc import Iterable
from datetime import date
from typing import NamedTuple

import pytest
from random_history import (
    CONDITIONS,
    DAY,
    FIRST_DAY,
    LAST_DAY,
    NAMES,
    SEGMENTS,
    Counted,
    beginning,
    days,
    random_history,
)

from mixpanel_mcp.analytics.buckets import DayUnit
from mixpanel_mcp.analytics.events import Event, add_events
from mixpanel_mcp.analytics.retention import (
    Retention,
    RetentionQuery,
    Row,
    retention,
    segmented_retention,
)
from mixpanel_mcp.analytics.selectors import Selector
from mixpanel_mcp.analytics.store import Store

NOON = 1_769_601_600_000
"""28 January 2026, 12:00 UTC."""
DAY_OF_NOON = date(2026, 1, 28)
BUCKETS: list[tuple[DayUnit, int]] = [("day", 1), ("day", 2), ("week", 1), ("month", 1)]
DAYS: dict[DayUnit, int] = {"day": 1, "week": 7, "month": 30}


class Birth(NamedTuple):
    user: str
    bucket: str
    time: int


def fits(selector: Selector, event: Counted) -> bool:
    return selector.event in {None, event.event} and CONDITIONS[selector.where](event)


def births_by_hand(query: RetentionQuery, events: list[Counted]) -> list[Birth]:
    selector = query.returned if query.born is None else query.born
    births: dict[tuple[str, ...], Birth] = {}
    for event in sorted(events, key=lambda event: event.time):
        if FIRST_DAY <= event.day <= LAST_DAY and fits(selector, event):
            bucket = beginning(event.day, FIRST_DAY, query.unit, query.interval)
            once = (event.user,) if query.born else (event.user, bucket)
            births.setdefault(once, Birth(event.user, bucket, event.time))
    return list(births.values())


def counts_by_hand(
    query: RetentionQuery, births: Iterable[Birth], events: list[Counted]
) -> list[int]:
    """How many were back in each interval, or in it or a later one."""
    width = query.interval * DAYS[query.unit] * DAY
    counts = [0] * (query.interval_count + 1)
    for birth in births:
        back = {
            (event.time - birth.time) // width
            for event in events
            if event.user == birth.user and event.time > birth.time and fits(query.returned, event)
        }
        for interval in range(len(counts)):
            later = query.unbounded and any(other > interval for other in back)
            counts[interval] += interval in back or later
    return counts


def random_query(seed: int) -> RetentionQuery:
    chance = random.Random(seed)  # noqa: S311  # reproducible, not secret
    unit, interval = chance.choice(BUCKETS)

    def selector() -> Selector:
        return Selector(chance.choice([None, *NAMES]), chance.choice([None, *CONDITIONS]))

    return RetentionQuery(
        FIRST_DAY,
        LAST_DAY,
        born=chance.choice([None, selector()]),
        returned=selector(),
        unit=unit,
        interval=interval,
        interval_count=chance.randint(0, 5),
        unbounded=chance.choice([True, False]),
    )


@pytest.mark.parametrize("seed", range(100, 130))
def test_retention_is_what_a_count_by_hand_finds(empty_store: Store, seed: int) -> None:
    history = random_history(seed)
    history.store_in(empty_store)
    query = random_query(seed)

    report = retention(empty_store, query)

    births = births_by_hand(query, history.counted())
    expected: Retention = {}
    for day in days(FIRST_DAY, LAST_DAY):
        bucket = beginning(day, FIRST_DAY, query.unit, query.interval)
        here = [birth for birth in births if birth.bucket == bucket]
        expected[bucket] = {
            "first": len(here),
            "counts": counts_by_hand(query, here, history.counted()),
        }
    assert report == expected


@pytest.mark.parametrize("seed", range(130, 138))
@pytest.mark.parametrize("on", SEGMENTS)
def test_segments_are_those_of_the_returns(empty_store: Store, seed: int, on: str) -> None:
    history = random_history(seed)
    history.store_in(empty_store)
    query = random_query(seed)

    report = segmented_retention(empty_store, query, on, limit=2)

    segments = defaultdict[str, list[Counted]](list)
    for event in history.counted():
        segments[SEGMENTS[on](event)].append(event)
    births = births_by_hand(query, history.counted())
    assert {start: rows["$overall"] for start, rows in report.items()} == retention(
        empty_store, query
    )
    sizes = Counter[str]()
    expected: dict[str, dict[str, Row]] = {start: {} for start in report}
    for name, events in segments.items():
        for start in report:
            here = [birth for birth in births if birth.bucket == start]
            counts = counts_by_hand(query, here, events)
            sizes[name] += counts[0] if query.unbounded else sum(counts)
            if any(counts):
                expected[start][name] = {"first": len(here), "counts": counts}
    shown = sorted(sizes, key=lambda name: (-sizes[name], name))[:2]
    assert {start: without_overall(rows) for start, rows in report.items()} == {
        start: {name: row for name, row in rows.items() if name in shown}
        for start, rows in expected.items()
    }


def without_overall(rows: dict[str, Row]) -> dict[str, Row]:
    return {name: row for name, row in rows.items() if name != "$overall"}


def sent(*events: tuple[str, int]) -> list[Event]:
    """Events of one user, so many milliseconds after noon."""
    return [
        Event(name, "ada", NOON + after, f"{name} {after} {number}", 0, "{}")
        for number, (name, after) in enumerate(events)
    ]


def signed_up_and_came(interval_count: int = 2, *, unbounded: bool = False) -> RetentionQuery:
    return RetentionQuery(
        DAY_OF_NOON,
        DAY_OF_NOON,
        born=Selector("Sign up"),
        returned=Selector("Visit"),
        interval_count=interval_count,
        unbounded=unbounded,
    )


def test_intervals_roll_from_the_birth_and_exclude_their_end(empty_store: Store) -> None:
    """A visit the next morning is still within the first 24 hours."""
    add_events(empty_store, sent(("Sign up", 0), ("Visit", DAY - 1), ("Visit", 2 * DAY)))
    report = retention(empty_store, signed_up_and_came())
    assert report == {"2026-01-28": {"first": 1, "counts": [1, 0, 1]}}


def test_the_first_interval_counts_who_came_back_not_who_was_born(empty_store: Store) -> None:
    add_events(empty_store, sent(("Visit", 0), ("Visit", 0)))
    same = RetentionQuery(DAY_OF_NOON, DAY_OF_NOON, Selector("Visit"), Selector("Visit"))
    assert retention(empty_store, same) == {"2026-01-28": {"first": 1, "counts": [0, 0]}}

    add_events(empty_store, sent(("Visit", 1)))
    assert retention(empty_store, same) == {"2026-01-28": {"first": 1, "counts": [1, 0]}}


def test_unbounded_who_comes_late_was_retained_all_along(empty_store: Store) -> None:
    add_events(empty_store, sent(("Sign up", 0), ("Visit", 40 * DAY)))
    assert retention(empty_store, signed_up_and_came())["2026-01-28"]["counts"] == [0, 0, 0]
    unbounded = signed_up_and_came(unbounded=True)
    assert retention(empty_store, unbounded)["2026-01-28"]["counts"] == [1, 1, 1]


def test_compounded_a_user_is_born_once_in_each_bucket(empty_store: Store) -> None:
    add_events(empty_store, sent(("Visit", 0), ("Visit", 1), ("Visit", DAY)))
    query = RetentionQuery(DAY_OF_NOON, date(2026, 1, 29), returned=Selector("Visit"))
    assert retention(empty_store, query) == {
        "2026-01-28": {"first": 1, "counts": [1, 1]},
        "2026-01-29": {"first": 1, "counts": [0, 0]},
    }
