"""Numbers of events over time: in ranges, summed and averaged."""

import math
from datetime import date

import pytest
from random_events import (
    FIRST_DAY,
    LAST_DAY,
    Counted,
    RandomEvents,
    as_number,
    beginning,
    midnight,
    random_events,
    series,
    within,
)

from mixpanel_mcp.analytics.buckets import Buckets
from mixpanel_mcp.analytics.events import Event, add_events
from mixpanel_mcp.analytics.numeric_segmentation import (
    NumericQuery,
    numeric_averages,
    numeric_segmentation,
    numeric_sums,
    range_name,
)
from mixpanel_mcp.analytics.series import Measure
from mixpanel_mcp.analytics.store import Store, open_store

AMOUNT = 'properties["amount"]'
DAYS = Buckets(FIRST_DAY, LAST_DAY)
NEW_YEAR = date(2026, 1, 1)


def purchases(world: RandomEvents) -> list[Counted]:
    days = within(world.counted, FIRST_DAY, LAST_DAY)
    return [event for event in days if event.event == "Purchase"]


def store_of(*amounts: float) -> Store:
    store = open_store()
    events = [
        Event("Buy", "ann", midnight(NEW_YEAR), f"i-{place}", 0, f'{{"amount":{amount}}}')
        for place, amount in enumerate(amounts)
    ]
    add_events(store, events)
    return store


@pytest.mark.parametrize("seed", range(4))
def test_what_is_no_number_counts_as_nothing(seed: int) -> None:
    world = random_events(seed)
    query = NumericQuery("Purchase", AMOUNT, DAYS)
    numbers: dict[str, list[float]] = {day: [] for day in DAYS.labels}
    for event in purchases(world):
        amount = as_number(event.properties.get("amount"))
        numbers[beginning(event.time, "day")].append(amount or 0.0)
    sums = {day: math.fsum(amounts) for day, amounts in numbers.items()}
    assert numeric_sums(world.store, query) == pytest.approx(sums)
    averages = {day: sums[day] / len(numbers[day]) if numbers[day] else 0.0 for day in sums}
    assert numeric_averages(world.store, query) == pytest.approx(averages)


@pytest.mark.parametrize("seed", range(4))
def test_sums_take_an_expression_and_a_condition(seed: int) -> None:
    world = random_events(seed)
    query = NumericQuery(
        "Purchase",
        f"number({AMOUNT}) * 2",
        Buckets(FIRST_DAY, LAST_DAY, "hour"),
        'user["plan"] == "pro"',
    )
    worth = {"12": 12.0, " 7.5 ": 7.5, "many": 0.0, None: 0.0, True: 1.0}
    expected = dict.fromkeys(query.buckets.labels, 0.0)
    for event in purchases(world):
        if event.profile.get("plan") == "pro":
            amount = event.properties.get("amount")
            value = worth[amount] if isinstance(amount, str | bool | None) else amount
            expected[beginning(event.time, "hour")] += value * 2
    assert numeric_sums(world.store, query) == pytest.approx(expected)


@pytest.mark.parametrize("measure", ["general", "unique", "average"])
@pytest.mark.parametrize("seed", range(3))
def test_ranges_hold_the_numbers_between_their_ends(seed: int, measure: Measure) -> None:
    world = random_events(seed)
    numbers = [as_number(event.properties.get("amount")) for event in purchases(world)]
    known = [number for number in numbers if number is not None]
    width = 10 ** math.floor(math.log10(max(known) - min(known)))

    def name(event: Counted) -> str:
        low = math.floor(event.properties["amount"] / width) * width
        return f"{low:,} - {low + width:,}"

    expected = series(
        [e for e in purchases(world) if as_number(e.properties.get("amount")) is not None],
        DAYS,
        measure,
        name,
        lambda event: beginning(event.time, "day"),
    )
    report = numeric_segmentation(world.store, NumericQuery("Purchase", AMOUNT, DAYS), measure)
    assert report["data"]["values"] == expected
    assert report["legend_size"] == len(expected)


@pytest.mark.parametrize(
    ("amounts", "ranges"),
    [
        pytest.param(
            [2_000, 2_099, 2_100, 2_480],
            ["2,000 - 2,100", "2,100 - 2,200", "2,400 - 2,500"],
            id="hundreds",
        ),
        pytest.param(
            [0.28, 0.29, 0.31], ["0.28 - 0.29", "0.29 - 0.30", "0.31 - 0.32"], id="fractions"
        ),
        pytest.param([-15, -10, 4], ["-20 - -10", "-10 - 0", "0 - 10"], id="negative"),
        pytest.param([7, 7], ["7 - 8"], id="one"),
        pytest.param([], [], id="none"),
        pytest.param([9, 10, 999], ["0 - 100", "900 - 1,000"], id="wide"),
    ],
)
def test_the_names_of_ranges(amounts: list[float], ranges: list[str]) -> None:
    query = NumericQuery("Buy", AMOUNT, Buckets(NEW_YEAR, NEW_YEAR))
    report = numeric_segmentation(store_of(*amounts), query, "general")
    assert list(report["data"]["values"]) == ranges


@pytest.mark.parametrize(
    "amounts",
    [
        pytest.param([1.7e308, -1.7e308, 0], id="largest"),
        pytest.param([5e-324, 0], id="smallest"),
        pytest.param([1e300, 1e300], id="equal"),
        pytest.param([9_007_199_254_740_992, 9_007_199_254_740_994], id="neighbours"),
    ],
)
def test_extreme_numbers_have_ranges_too(amounts: list[float]) -> None:
    query = NumericQuery("Buy", AMOUNT, Buckets(NEW_YEAR, NEW_YEAR))
    values = numeric_segmentation(store_of(*amounts), query, "general")["data"]["values"]
    assert sum(value["2026-01-01"] for value in values.values()) == len(amounts)


def test_a_range_is_named_by_its_ends() -> None:
    assert range_name(20, 2) == "2,000 - 2,100"
    assert range_name(-1, -1) == "-0.1 - 0.0"
