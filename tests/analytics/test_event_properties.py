"""The properties of an event and their values, against a plain count of the same events."""

import json
from collections import Counter
from collections.abc import Iterable

import pytest
from random_events import (
    FIRST_DAY,
    LAST_DAY,
    Counted,
    beginning,
    label,
    platform_label,
    random_events,
    series,
    within,
)

from mixpanel_mcp.analytics.buckets import Buckets, BucketUnit
from mixpanel_mcp.analytics.event_properties import (
    PropertyQuery,
    property_values_over_time,
    top_properties,
    top_values,
)
from mixpanel_mcp.analytics.events import Event, add_events
from mixpanel_mcp.analytics.series import Measure
from mixpanel_mcp.analytics.store import open_store

DAYS = Buckets(FIRST_DAY, LAST_DAY)


def purchases(events: Iterable[Counted]) -> list[Counted]:
    return [event for event in events if event.event == "Purchase"]


def ranked(counts: Counter[str]) -> list[str]:
    return sorted(counts, key=lambda name: (-counts[name], name))


@pytest.mark.parametrize("unit", ["hour", "day", "week", "month"])
@pytest.mark.parametrize("measure", ["general", "unique", "average"])
def test_values_over_time(measure: Measure, unit: BucketUnit) -> None:
    world = random_events(1)
    buckets = Buckets(FIRST_DAY, LAST_DAY, unit)
    query = PropertyQuery("Purchase", "platform", buckets, measure)
    assert property_values_over_time(world.store, query)["data"]["values"] == series(
        purchases(within(world.counted, FIRST_DAY, LAST_DAY)),
        buckets,
        measure,
        platform_label,
        lambda event: beginning(event.time, unit),
    )


def test_only_the_values_that_were_asked_for() -> None:
    world = random_events(2)
    query = PropertyQuery("Purchase", "platform", DAYS, values=["wéb", "none", "undefined"])
    expected = series(
        [
            event
            for event in purchases(within(world.counted, FIRST_DAY, LAST_DAY))
            if platform_label(event) in {"wéb", "undefined"}
        ],
        DAYS,
        "general",
        platform_label,
        lambda event: beginning(event.time, "day"),
    )
    report = property_values_over_time(world.store, query)
    assert report["data"]["values"] == {**expected, "none": dict.fromkeys(DAYS.labels, 0)}
    assert report["legend_size"] == 3


@pytest.mark.parametrize("seed", range(4))
def test_the_values_of_a_property_with_the_most_common_first(seed: int) -> None:
    world = random_events(seed)
    counts = Counter(
        label(event.properties["platform"])
        for event in purchases(world.counted)
        if "platform" in event.properties
    )
    assert top_values(world.store, "Purchase", "platform") == ranked(counts)
    assert top_values(world.store, "Purchase", "platform", limit=2) == ranked(counts)[:2]


@pytest.mark.parametrize("seed", range(4))
def test_the_properties_of_an_event_with_the_most_common_first(seed: int) -> None:
    world = random_events(seed)
    counts = Counter(name for event in purchases(world.counted) for name in event.properties)
    expected = [(name, {"count": counts[name]}) for name in ranked(counts)]
    assert list(top_properties(world.store, "Purchase").items()) == expected
    assert list(top_properties(world.store, "Purchase", limit=1).items()) == expected[:1]


@pytest.mark.parametrize(
    "name", ['quo"te', "back\\slash", "a/b~c", "", "[0]", "$.x", "😀", "line\nbreak", "nul\0", "*"]
)
def test_a_property_may_have_any_name(name: str) -> None:
    store = open_store()
    properties = json.dumps({name: "value", "other": 1})
    add_events(store, [Event("Purchase", "ann", 0, "i-1", 0, properties)])
    assert top_values(store, "Purchase", name) == ["value"]
    assert top_properties(store, "Purchase") == {name: {"count": 1}, "other": {"count": 1}}
