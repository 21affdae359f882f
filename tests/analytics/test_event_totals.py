"""Events by name, against a plain count of the same events."""

from collections import defaultdict
from datetime import timedelta

import pytest
from random_events import (
    FIRST_DAY,
    LAST_DAY,
    NAMES,
    Counted,
    beginning,
    measured,
    random_events,
    series,
    within,
)

from mixpanel_mcp.analytics.buckets import Buckets, BucketUnit
from mixpanel_mcp.analytics.event_totals import event_names, event_totals, top_events
from mixpanel_mcp.analytics.series import Measure

MEASURES: list[Measure] = ["general", "unique", "average"]


def by_name(events: list[Counted], measure: Measure) -> dict[str, float]:
    """The most common first."""
    groups: dict[str, list[Counted]] = defaultdict(list)
    for event in events:
        groups[event.event].append(event)
    amounts = {name: measured(group, measure) for name, group in groups.items()}
    return dict(sorted(amounts.items(), key=lambda item: (-item[1], item[0])))


@pytest.mark.parametrize("unit", ["hour", "day", "week", "month"])
@pytest.mark.parametrize("measure", MEASURES)
@pytest.mark.parametrize("seed", range(3))
def test_several_events_over_time(seed: int, measure: Measure, unit: BucketUnit) -> None:
    world = random_events(seed)
    buckets = Buckets(FIRST_DAY, LAST_DAY, unit)
    asked = [NAMES[2], "Never", NAMES[0], NAMES[2]]
    expected = series(
        [e for e in within(world.counted, FIRST_DAY, LAST_DAY) if e.event in asked],
        buckets,
        measure,
        lambda event: event.event,
        lambda event: beginning(event.time, unit),
    )
    expected["Never"] = dict.fromkeys(buckets.labels, 0)
    report = event_totals(world.store, asked, buckets, measure)
    assert report["data"]["values"] == expected
    assert report["legend_size"] == 3


@pytest.mark.parametrize("measure", MEASURES)
@pytest.mark.parametrize("seed", range(3))
def test_names_come_with_the_most_common_first(seed: int, measure: Measure) -> None:
    world = random_events(seed)
    span = Buckets(FIRST_DAY, LAST_DAY)
    ranked = list(by_name(within(world.counted, FIRST_DAY, LAST_DAY), measure))
    assert event_names(world.store, span, measure, limit=255) == ranked
    assert event_names(world.store, span, measure, limit=2) == ranked[:2]


@pytest.mark.parametrize("measure", MEASURES)
@pytest.mark.parametrize("seed", range(3))
def test_the_events_of_today_are_compared_with_yesterday(seed: int, measure: Measure) -> None:
    world = random_events(seed)
    for days in range(-2, 8):
        today = FIRST_DAY + timedelta(days=days)
        yesterday = today - timedelta(days=1)
        before = by_name(within(world.counted, yesterday, yesterday), measure)
        expected = [
            {
                "amount": amount,
                "event": name,
                "percent_change": (
                    (amount - before[name]) / before[name] if name in before else 1.0
                ),
            }
            for name, amount in by_name(within(world.counted, today, today), measure).items()
        ]
        assert top_events(world.store, today, measure, limit=100) == expected
        assert top_events(world.store, today, measure, limit=1) == expected[:1]
