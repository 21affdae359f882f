"""Segmentation against a plain count of the same events."""

from datetime import UTC, date, datetime, timedelta
from typing import Literal

import pytest
from random_events import (
    FIRST_DAY,
    LAST_DAY,
    NAMES,
    Counted,
    RandomEvents,
    beginning,
    measured,
    platform_label,
    random_events,
    series,
    within,
)

from mixpanel_mcp.analytics.buckets import Buckets, BucketUnit
from mixpanel_mcp.analytics.expressions import ExpressionError
from mixpanel_mcp.analytics.segmentation import SegmentationQuery, segmentation
from mixpanel_mcp.analytics.series import Measure
from mixpanel_mcp.analytics.store import open_store

MEASURES: list[Measure] = ["general", "unique", "average"]
UNITS: list[BucketUnit] = ["minute", "hour", "day", "week", "month"]


def of(counted: list[Counted], name: str) -> list[Counted]:
    return [event for event in within(counted, FIRST_DAY, LAST_DAY) if event.event == name]


@pytest.mark.parametrize("unit", UNITS)
@pytest.mark.parametrize("measure", MEASURES)
@pytest.mark.parametrize("seed", range(3))
def test_an_event_over_time(seed: int, measure: Measure, unit: BucketUnit) -> None:
    world = random_events(seed)
    buckets = Buckets(FIRST_DAY, LAST_DAY, unit)
    for name in NAMES:
        report = segmentation(world.store, SegmentationQuery(name, buckets, measure=measure))
        expected = series(
            of(world.counted, name),
            buckets,
            measure,
            lambda event: event.event,
            lambda event: beginning(event.time, unit),
        )
        assert report["data"]["values"] == expected
        assert report["data"]["series"] == buckets.labels
        assert report["legend_size"] == 1


@pytest.mark.parametrize("unit", ["hour", "day", "month"])
@pytest.mark.parametrize("measure", MEASURES)
@pytest.mark.parametrize("seed", range(3))
def test_an_event_by_a_property(
    seed: int, measure: Measure, unit: Literal["hour", "day", "month"]
) -> None:
    world = random_events(seed)
    buckets = Buckets(FIRST_DAY, LAST_DAY, unit)
    query = SegmentationQuery(
        "Purchase", buckets, on='properties["platform"]', measure=measure, limit=1_000
    )
    expected = series(
        of(world.counted, "Purchase"),
        buckets,
        measure,
        platform_label,
        lambda event: beginning(event.time, unit),
    )
    report = segmentation(world.store, query)
    assert report["data"]["values"] == expected
    assert report["legend_size"] == len(expected)


@pytest.mark.parametrize("seed", range(5))
def test_where_reads_the_event_and_its_user(seed: int) -> None:
    world = random_events(seed)
    buckets = Buckets(FIRST_DAY, LAST_DAY)
    query = SegmentationQuery(
        "Purchase",
        buckets,
        on='user["plan"]',
        where='properties["platform"] in ["ios", 5] or number(properties["amount"]) > 7',
    )
    chosen = [
        event
        for event in of(world.counted, "Purchase")
        if event.properties.get("platform") in ("ios", 5)
        or event.properties.get("amount") in (7.5, 12, 12.25, 250, "12", " 7.5 ")
    ]
    assert segmentation(world.store, query)["data"]["values"] == series(
        chosen,
        buckets,
        "general",
        lambda event: event.profile.get("plan", "undefined"),
        lambda event: beginning(event.time, "day"),
    )


@pytest.mark.parametrize("measure", ["general", "unique"])
@pytest.mark.parametrize("limit", [1, 3, 5])
def test_only_the_largest_segments_are_shown(
    limit: int, measure: Literal["general", "unique"]
) -> None:
    world = RandomEvents(11, count=500)
    buckets = Buckets(FIRST_DAY, LAST_DAY)
    query = SegmentationQuery(
        "Purchase", buckets, on='properties["platform"]', measure=measure, limit=limit
    )
    every = series(
        of(world.counted, "Purchase"),
        buckets,
        measure,
        platform_label,
        lambda event: beginning(event.time, "day"),
    )
    largest = sorted(every, key=lambda name: (-sum(every[name].values()), name))[:limit]
    shown = segmentation(world.store, query)["data"]["values"]
    assert list(shown) == largest
    assert shown == {name: every[name] for name in largest}


def test_an_interval_makes_buckets_of_so_many_days() -> None:
    world = random_events(5)
    buckets = Buckets(FIRST_DAY, LAST_DAY, interval=4)
    report = segmentation(world.store, SegmentationQuery("Purchase", buckets, measure="unique"))
    starts = [FIRST_DAY, FIRST_DAY + timedelta(days=4), FIRST_DAY + timedelta(days=8)]
    groups = [
        of(within(world.counted, start, start + timedelta(days=3)), "Purchase") for start in starts
    ]
    expected = {str(start): measured(g, "unique") for start, g in zip(starts, groups, strict=True)}
    assert report["data"]["values"] == {"Purchase": expected}


def test_an_event_that_never_occurred_is_zero_throughout() -> None:
    day = date(2026, 1, 1)
    store = open_store()
    whole = segmentation(store, SegmentationQuery("Never", Buckets(day, day)))
    assert whole["data"] == {"series": ["2026-01-01"], "values": {"Never": {"2026-01-01": 0}}}
    parted = segmentation(store, SegmentationQuery("Never", Buckets(day, day), on='user["a"]'))
    assert parted["data"]["values"] == {}


def test_what_is_wrong_is_said() -> None:
    store = RandomEvents(1, count=300).store
    with pytest.raises(ExpressionError, match="at column 12"):
        segmentation(store, SegmentationQuery("A", Buckets(FIRST_DAY, LAST_DAY), on="properties["))
    with pytest.raises(ValueError, match="ask for fewer days"):
        Buckets(date(2020, 1, 1), date(2026, 12, 31), "minute")
    minutes = Buckets(date(2026, 2, 1), date(2026, 3, 31), "minute")
    by_id = SegmentationQuery("Purchase", minutes, on='properties["$insert_id"]')
    none = SegmentationQuery("Purchase", minutes, on='properties["platform"]', limit=0)
    with pytest.raises(ValueError, match="at least 1, not 0"):
        segmentation(store, none)
    with pytest.raises(ValueError, match="60 values over 84960 periods"):
        segmentation(store, by_id)


@pytest.mark.parametrize(
    ("unit", "labels"),
    [
        ("minute", ["2026-02-28 23:58:00", "2026-02-28 23:59:00", "2026-03-01 00:00:00"]),
        ("hour", ["2026-02-28 22:00:00", "2026-02-28 23:00:00", "2026-03-01 00:00:00"]),
        ("day", ["2026-02-27", "2026-02-28", "2026-03-01"]),
        ("week", ["2026-02-09", "2026-02-16", "2026-02-23"]),
        ("month", ["2026-01-01", "2026-02-01", "2026-03-01"]),
    ],
)
def test_recent_buckets_end_with_the_present_one(unit: BucketUnit, labels: list[str]) -> None:
    now = datetime(2026, 3, 1, 0, 0, 30, tzinfo=UTC)
    assert Buckets.recent(now, unit, 3).labels == labels
