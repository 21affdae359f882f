"""Funnels against a count by hand: user by user, event by event, in plain Python."""

import random
from collections import Counter, defaultdict
from collections.abc import Sequence
from datetime import date
from typing import Any, NamedTuple

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
from mixpanel_mcp.analytics.events import Event, add_events
from mixpanel_mcp.analytics.expressions import ExpressionError
from mixpanel_mcp.analytics.funnels import FunnelQuery, LengthUnit, funnel, segmented_funnel
from mixpanel_mcp.analytics.selectors import Selector
from mixpanel_mcp.analytics.store import Store

NOON = 1_769_601_600_000
"""28 January 2026, 12:00 UTC."""
DAY_OF_NOON = date(2026, 1, 28)
LENGTHS = {"second": 1_000, "minute": 60_000, "hour": HOUR, "day": DAY}

WINDOWS: list[tuple[int, LengthUnit]] = [(6, "hour"), (1, "day"), (3, "day"), (5_400, "second")]
BUCKETS: list[tuple[DayUnit, int]] = [("day", 1), ("day", 3), ("week", 1), ("month", 1)]

Path = list[int]
"""The times at which one user reached the steps, from the first on."""


class Entry(NamedTuple):
    """A user who entered a bucket."""

    bucket: str
    events: list[Counted]
    """More than one, if they came in the same millisecond."""
    path: Path


def entries_by_hand(query: FunnelQuery, events: list[Counted]) -> list[Entry]:
    users = defaultdict[str, list[Counted]](list)
    for event in events:
        if CONDITIONS[query.where](event):
            users[event.user].append(event)
    entries: list[Entry] = []
    for history in users.values():
        entering = defaultdict[str, list[Counted]](list)
        for event in history:
            if query.from_date <= event.day <= query.to_date and fits(query.steps[0], event):
                bucket = beginning(event.day, query.from_date, query.unit, query.interval)
                entering[bucket].append(event)
        for bucket, candidates in entering.items():
            first = min(event.time for event in candidates)
            at_once = [event for event in candidates if event.time == first]
            entries.append(Entry(bucket, at_once, follow(query, first, history)))
    return entries


def follow(query: FunnelQuery, entered: int, history: list[Counted]) -> Path:
    end = entered + query.length * LENGTHS[query.length_unit]
    path = [entered]
    for step in query.steps[1:]:
        later = [e.time for e in history if path[-1] < e.time <= end and fits(step, e)]
        if not later:
            break
        path.append(min(later))
    return path


def fits(step: Selector, event: Counted) -> bool:
    return event.event == step.event and CONDITIONS[step.where](event)


def steps_by_hand(steps: Sequence[Selector], paths: list[Path]) -> list[dict[str, Any]]:
    counts = [sum(len(path) > number for path in paths) for number in range(len(steps))]
    written: list[dict[str, Any]] = []
    for number, step in enumerate(steps):
        reached = [path for path in paths if len(path) > number]
        since_previous = [path[number] - path[number - 1] for path in reached]
        since_entry = [path[number] - path[0] for path in reached]
        written.append(
            {
                "count": counts[number],
                "avg_time": mean_seconds(since_previous) if number and reached else None,
                "avg_time_from_start": mean_seconds(since_entry) if reached else 0,
                "step_conv_ratio": ratio(counts[number], counts[number - 1]) if number else 1,
                "overall_conv_ratio": ratio(counts[number], counts[0]) if number else 1,
                "goal": step.event,
                "event": step.event,
                "step_label": step.event,
            }
        )
    return written


def mean_seconds(milliseconds: list[int]) -> int:
    return round(sum(milliseconds) / len(milliseconds) / 1_000)


def ratio(count: int, of: int) -> float:
    return count / of if of else 0


def random_query(seed: int) -> FunnelQuery:
    chance = random.Random(seed)  # noqa: S311  # reproducible, not secret
    steps = [
        Selector(chance.choice(NAMES), chance.choice([None, None, *CONDITIONS]))
        for _ in range(chance.randint(1, 5))
    ]
    length, length_unit = chance.choice(WINDOWS)
    unit, interval = chance.choice(BUCKETS)
    return FunnelQuery(
        steps,
        FIRST_DAY,
        LAST_DAY,
        length=length,
        length_unit=length_unit,
        unit=unit,
        interval=interval,
        where=chance.choice([None, *CONDITIONS]),
    )


@pytest.mark.parametrize("seed", range(30))
def test_a_funnel_is_what_a_count_by_hand_finds(empty_store: Store, seed: int) -> None:
    history = random_history(seed)
    history.store_in(empty_store)
    query = random_query(seed)

    report = funnel(empty_store, query)

    paths = defaultdict[str, list[Path]](list)
    for entry in entries_by_hand(query, history.counted()):
        paths[entry.bucket].append(entry.path)
    buckets = {
        beginning(day, FIRST_DAY, query.unit, query.interval) for day in days(FIRST_DAY, LAST_DAY)
    }
    assert report["meta"]["dates"] == sorted(buckets)
    assert {bucket: found["steps"] for bucket, found in report["data"].items()} == {
        bucket: steps_by_hand(query.steps, paths[bucket]) for bucket in buckets
    }


@pytest.mark.parametrize("seed", range(30, 38))
@pytest.mark.parametrize("on", SEGMENTS)
def test_segments_are_those_of_the_entries(empty_store: Store, seed: int, on: str) -> None:
    history = random_history(seed)
    history.store_in(empty_store)
    query = random_query(seed)

    report = segmented_funnel(empty_store, query, on, limit=2)

    entries = entries_by_hand(query, history.counted())
    sizes = Counter(segment_of(entry, on) for entry in entries)
    shown = sorted(sizes, key=lambda name: (-sizes[name], name))[:2]
    for start, found in report["data"].items():
        here = [entry for entry in entries if entry.bucket == start]
        expected = {"$overall": [entry.path for entry in here]}
        for entry in here:
            if (name := segment_of(entry, on)) in shown:
                expected.setdefault(name, []).append(entry.path)
        assert found == {
            name: steps_by_hand(query.steps, paths) for name, paths in expected.items()
        }


def segment_of(entry: Entry, on: str) -> str:
    """Of entries in the same millisecond the smaller value counts."""
    return min(SEGMENTS[on](event) for event in entry.events)


def sent(*events: tuple[str, int]) -> list[Event]:
    """Events of one user, so many milliseconds after noon."""
    return [
        Event(name, "ada", NOON + after, f"{name} {after} {number}", 0, "{}")
        for number, (name, after) in enumerate(events)
    ]


def counts(store: Store, steps: Sequence[str], length: int = 1, **query: Any) -> list[int]:
    report = funnel(
        store,
        FunnelQuery(
            [Selector(step) for step in steps], DAY_OF_NOON, DAY_OF_NOON, length=length, **query
        ),
    )
    return [step["count"] for step in report["data"][str(DAY_OF_NOON)]["steps"]]


def test_the_last_millisecond_of_the_window_converts_and_the_next_does_not(
    empty_store: Store,
) -> None:
    add_events(empty_store, sent(("View", 0), ("Buy", HOUR)))
    assert counts(empty_store, ["View", "Buy"], length_unit="hour") == [1, 1]
    assert counts(empty_store, ["View", "Buy"], 60 * 60 - 1, length_unit="second") == [1, 0]

    add_events(empty_store, sent(("Pay", HOUR + 1)))
    assert counts(empty_store, ["View", "Pay"], length_unit="hour") == [1, 0]


def test_the_window_runs_from_the_entry_not_from_the_step_before(empty_store: Store) -> None:
    add_events(empty_store, sent(("View", 0), ("Buy", HOUR), ("Pay", HOUR + 1)))
    assert counts(empty_store, ["View", "Buy", "Pay"], length_unit="hour") == [1, 1, 0]


def test_a_step_at_the_same_moment_is_not_later(empty_store: Store) -> None:
    add_events(empty_store, sent(("View", 0), ("Buy", 0)))
    assert counts(empty_store, ["View", "Buy"]) == [1, 0]


def test_equal_steps_need_an_event_each(empty_store: Store) -> None:
    add_events(empty_store, sent(("View", 0), ("View", 1)))
    assert counts(empty_store, ["View", "View", "View"]) == [1, 1, 0]


def test_who_enters_on_the_last_day_may_convert_after_it(empty_store: Store) -> None:
    add_events(empty_store, sent(("View", 0), ("Buy", DAY)))
    assert counts(empty_store, ["View", "Buy"]) == [1, 1]


def test_a_later_entry_of_the_same_bucket_does_not_help(empty_store: Store) -> None:
    """A user enters a bucket once, with the first event: the clock is not started again."""
    add_events(empty_store, sent(("View", 0), ("View", HOUR), ("Buy", HOUR + 1)))
    assert counts(empty_store, ["View", "Buy"], length_unit="hour") == [1, 0]


def test_an_event_before_the_days_is_no_entry(empty_store: Store) -> None:
    """Also where its week is shown, because the days begin within it."""
    add_events(empty_store, sent(("View", -DAY), ("Buy", 1)))
    report = funnel(
        empty_store,
        FunnelQuery([Selector("View")], DAY_OF_NOON, DAY_OF_NOON, unit="week"),
    )
    assert report["meta"]["dates"] == ["2026-01-26"]
    assert report["data"]["2026-01-26"]["analysis"]["starting_amount"] == 0


def test_the_analysis_names_the_step_where_most_fell_away(empty_store: Store) -> None:
    everybody = [
        *sent(("View", 0), ("Buy", 1_000), ("Pay", 2_000)),
        *(event._replace(distinct_id="bob") for event in sent(("View", 0), ("Buy", 2_000))),
        *(event._replace(distinct_id="cem") for event in sent(("View", 0), ("Buy", 4_000))),
    ]
    add_events(empty_store, everybody)
    query = FunnelQuery(
        [Selector("View"), Selector("Buy"), Selector("Pay")], DAY_OF_NOON, DAY_OF_NOON
    )

    assert funnel(empty_store, query)["data"][str(DAY_OF_NOON)] == {
        "steps": [
            {
                "count": 3,
                "avg_time": None,
                "avg_time_from_start": 0,
                "step_conv_ratio": 1.0,
                "overall_conv_ratio": 1.0,
                "goal": "View",
                "event": "View",
                "step_label": "View",
            },
            {
                "count": 3,
                "avg_time": 2,
                "avg_time_from_start": 2,
                "step_conv_ratio": 1.0,
                "overall_conv_ratio": 1.0,
                "goal": "Buy",
                "event": "Buy",
                "step_label": "Buy",
            },
            {
                "count": 1,
                "avg_time": 1,
                "avg_time_from_start": 2,
                "step_conv_ratio": 1 / 3,
                "overall_conv_ratio": 1 / 3,
                "goal": "Pay",
                "event": "Pay",
                "step_label": "Pay",
            },
        ],
        "analysis": {"completion": 1, "starting_amount": 3, "steps": 3, "worst": 2},
    }


def test_a_value_called_overall_does_not_replace_the_whole(empty_store: Store) -> None:
    one, two = sent(("View", 0), ("View", 1))
    named = one._replace(distinct_id="eve", properties='{"plan": "$overall"}')
    add_events(empty_store, [named, two])
    query = FunnelQuery([Selector("View")], DAY_OF_NOON, DAY_OF_NOON)

    report = segmented_funnel(empty_store, query, 'properties["plan"]')

    found = report["data"][str(DAY_OF_NOON)]
    assert {name: steps[0]["count"] for name, steps in found.items()} == {
        "$overall": 2,
        "undefined": 1,
    }


def test_a_funnel_without_steps_is_refused(empty_store: Store) -> None:
    with pytest.raises(ValueError, match="at least one step"):
        funnel(empty_store, FunnelQuery([], DAY_OF_NOON, DAY_OF_NOON))


def test_an_expression_that_is_none_is_refused_with_its_position(empty_store: Store) -> None:
    query = FunnelQuery([Selector("View", "1 +")], DAY_OF_NOON, DAY_OF_NOON)
    with pytest.raises(ExpressionError, match="at column"):
        funnel(empty_store, query)
