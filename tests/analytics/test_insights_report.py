"""Insights against a count by hand, and the shape in which Mixpanel answers."""

import random
from collections import defaultdict
from collections.abc import Iterable
from datetime import UTC, date, datetime, timedelta

import pytest
from random_history import (
    CONDITIONS,
    FIRST_DAY,
    HOUR,
    LAST_DAY,
    NAMES,
    Counted,
    beginning,
    days,
    label,
    random_history,
)

from mixpanel_mcp.analytics.events import Event, add_events
from mixpanel_mcp.analytics.insights import InsightsQuery, Metric, insights
from mixpanel_mcp.analytics.selectors import Selector
from mixpanel_mcp.analytics.store import Store

COMPUTED_AT = datetime(2026, 3, 10, 12, tzinfo=UTC)
NOON = 1_769_601_600_000
"""28 January 2026, 12:00 UTC."""


def random_query(seed: int, breakdown: str | None) -> InsightsQuery:
    chance = random.Random(seed)  # noqa: S311  # reproducible, not secret
    metrics = [
        Metric(
            Selector(name, chance.choice([None, *CONDITIONS])), chance.choice(["total", "unique"])
        )
        for name in NAMES
    ]
    return InsightsQuery(
        metrics,
        FIRST_DAY,
        LAST_DAY,
        unit=chance.choice(["hour", "day", "week", "month"]),
        chart=chance.choice(["line", "line", "bar", "table"]),
        breakdown=breakdown,
    )


def key(query: InsightsQuery, time: int) -> str:
    if query.chart != "line":
        return "all"
    moment = datetime.fromtimestamp(time // 1_000, UTC)
    if query.unit == "hour":
        return moment.replace(minute=0, second=0).isoformat()
    return f"{beginning(moment.date(), FIRST_DAY, query.unit)}T00:00:00+00:00"


def keys(query: InsightsQuery) -> list[str]:
    first = int(datetime.combine(FIRST_DAY, datetime.min.time(), UTC).timestamp()) * 1_000
    hours = 24 * len(days(FIRST_DAY, LAST_DAY))
    return list(dict.fromkeys(key(query, first + hour * HOUR) for hour in range(hours)))


def leaf_by_hand(query: InsightsQuery, metric: Metric, events: Iterable[Counted]) -> dict[str, int]:
    users = defaultdict[str, list[str]](list)
    for event in events:
        users[key(query, event.time)].append(event.user)
    if metric.math == "unique":
        return {each: len(set(users[each])) for each in keys(query)}
    return {each: len(users[each]) for each in keys(query)}


def counted_by(metric: Metric, events: Iterable[Counted]) -> list[Counted]:
    event_name, where = metric.selector
    return [
        event
        for event in events
        if event.event == event_name
        and CONDITIONS[where](event)
        and FIRST_DAY <= event.day <= LAST_DAY
    ]


@pytest.mark.parametrize("seed", range(300, 320))
def test_a_report_is_what_a_count_by_hand_finds(empty_store: Store, seed: int) -> None:
    history = random_history(seed)
    history.store_in(empty_store)
    query = random_query(seed, breakdown=None)

    report = insights(empty_store, query, COMPUTED_AT)

    assert report["headers"] == ["$event"]
    assert report["series"] == {
        metric.selector.event: leaf_by_hand(query, metric, counted_by(metric, history.counted()))
        for metric in query.metrics
    }


@pytest.mark.parametrize("breakdown", ["plan", 'user["plan"]', "prix €"])
@pytest.mark.parametrize("seed", range(320, 326))
def test_a_breakdown_splits_each_event(empty_store: Store, seed: int, breakdown: str) -> None:
    history = random_history(seed)
    history.store_in(empty_store)
    query = random_query(seed, breakdown)

    report = insights(empty_store, query, COMPUTED_AT)

    assert report["headers"] == ["$event", breakdown]
    for metric in query.metrics:
        events = counted_by(metric, history.counted())
        segments = defaultdict[str, list[Counted]](list)
        for event in events:
            of_user = event.profile.get("plan")
            value = of_user if breakdown == 'user["plan"]' else event.properties.get(breakdown)
            segments[label(value)].append(event)
        assert report["series"][str(metric.selector.event)] == {
            "$overall": leaf_by_hand(query, metric, events),
            **{name: leaf_by_hand(query, metric, each) for name, each in segments.items()},
        }


def test_the_reply_has_the_fields_of_the_example(empty_store: Store) -> None:
    """`query.openapi.yaml` /insights: weeks by their Mondays, with the zone of the project."""
    add_events(empty_store, [Event("Logged in", "ada", NOON, "1", 0, "{}")])
    query = InsightsQuery(
        [Metric(Selector("Logged in"))], date(2026, 1, 26), date(2026, 2, 7), unit="week"
    )

    assert insights(empty_store, query, COMPUTED_AT) == {
        "computed_at": "2026-03-10T12:00:00+00:00",
        "date_range": {
            "from_date": "2026-01-26T00:00:00+00:00",
            "to_date": "2026-02-07T23:59:59.999000+00:00",
        },
        "headers": ["$event"],
        "series": {"Logged in": {"2026-01-26T00:00:00+00:00": 1, "2026-02-02T00:00:00+00:00": 0}},
    }


def test_an_event_counted_in_several_ways_is_told_apart(empty_store: Store) -> None:
    visits = [Event("Visit", "ada", NOON + i, str(i), 0, "{}") for i in range(3)]
    add_events(empty_store, visits)
    visit = Selector("Visit")
    metrics = [
        Metric(visit),
        Metric(visit, "unique"),
        Metric(visit),
        Metric(Selector("Buy")),
        Metric(Selector("Visit - Total")),
    ]
    day = date(2026, 1, 28)

    report = insights(empty_store, InsightsQuery(metrics, day, day, chart="bar"), COMPUTED_AT)

    assert report["series"] == {
        "Visit - Total": {"all": 3},
        "Visit - Unique": {"all": 1},
        "Visit - Total #2": {"all": 3},
        "Buy": {"all": 0},
        "Visit - Total #3": {"all": 0},
    }


def test_a_user_of_two_days_is_unique_in_the_whole_range(empty_store: Store) -> None:
    add_events(
        empty_store,
        [Event("Visit", "ada", NOON + i * 24 * HOUR, str(i), 0, "{}") for i in range(2)],
    )
    first = date(2026, 1, 28)
    query = InsightsQuery(
        [Metric(Selector("Visit"), "unique")], first, first + timedelta(days=1), chart="table"
    )
    assert insights(empty_store, query, COMPUTED_AT)["series"] == {"Visit": {"all": 1}}


def test_a_breakdown_may_have_any_name(empty_store: Store) -> None:
    event = Event("Visit", "ada", NOON, "1", 0, '{"a \\"b\\" \\\\ c": "x"}')
    add_events(empty_store, [event])
    day = date(2026, 1, 28)
    query = InsightsQuery(
        [Metric(Selector("Visit"))], day, day, chart="bar", breakdown='a "b" \\ c'
    )
    assert insights(empty_store, query, COMPUTED_AT)["series"] == {
        "Visit": {"$overall": {"all": 1}, "x": {"all": 1}}
    }


def test_a_report_of_nothing_is_refused(empty_store: Store) -> None:
    day = date(2026, 1, 28)
    with pytest.raises(ValueError, match="at least one event"):
        insights(empty_store, InsightsQuery([], day, day), COMPUTED_AT)
