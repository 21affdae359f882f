"""Events by name, their properties, and the activity feed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from sandbox_client import acted

if TYPE_CHECKING:
    from sandbox_client import SandboxClient

DATES = {"from_date": "2026-03-09", "to_date": "2026-03-10"}


async def some_events(client: SandboxClient) -> None:
    answer = await client.import_events(
        acted("Buy", "ada", "2026-03-09", "10:00:00", price=5, plan="pro"),
        acted("Buy", "ada", "2026-03-10", "00:00:00", price=5, plan="pro"),
        acted("Buy", "ben", "2026-03-09", "11:00:00", plan="free"),
        acted("View", "ben", "2026-03-09", "11:00:00"),
        acted("View", "ben", "2026-03-10", "00:00:00"),
        acted("Old", "ben", "2026-01-01", "00:00:00"),
    )
    assert answer.status_code == 200, answer.text


def by_day(first: float, second: float) -> dict[str, float]:
    return {"2026-03-09": first, "2026-03-10": second}


@pytest.mark.parametrize(
    ("parameters", "values"),
    [
        ({"type": "general"}, {"Buy": by_day(2, 1), "Never": by_day(0, 0)}),
        ({"type": "unique"}, {"Buy": by_day(2, 1), "Never": by_day(0, 0)}),
        (
            {"type": "general", "unit": "week"},
            {"Buy": {"2026-03-09": 3}, "Never": {"2026-03-09": 0}},
        ),
        (
            {"type": "average", "unit": "month"},
            {"Buy": {"2026-03-01": 1.5}, "Never": {"2026-03-01": 0}},
        ),
    ],
)
async def test_events_are_counted_over_time(
    empty: SandboxClient, parameters: dict[str, str], values: dict[str, Any]
) -> None:
    await some_events(empty)
    question = {"event": '["Buy", "Never"]', "unit": "day", **DATES, **parameters}

    reply = await empty.answered("/events", **question)

    assert reply["data"]["values"] == values
    assert reply["legend_size"] == 2


async def test_an_interval_reaches_back_from_now(empty: SandboxClient) -> None:
    await some_events(empty)
    question = {"event": '["Buy"]', "type": "general", "unit": "day"}

    reply = await empty.answered("/events", **question, interval="2")
    one = await empty.answered("/events", **question, interval="1")
    both = await empty.answered("/events", **question, interval="1", **DATES)

    assert reply["data"]["values"] == both["data"]["values"] == {"Buy": by_day(2, 1)}
    assert one["data"]["values"] == {"Buy": {"2026-03-10": 1}}


async def test_counts_may_be_csv(empty: SandboxClient) -> None:
    await some_events(empty)
    question = {"event": '["Buy", "View"]', "type": "general", "unit": "day", "format": "csv"}

    answer = await empty.query("/events", **question, **DATES)

    assert answer.text.splitlines() == ["date,Buy,View", "2026-03-09,2,1", "2026-03-10,1,1"]


async def test_today_is_compared_with_yesterday(empty: SandboxClient) -> None:
    await some_events(empty)

    reply = await empty.answered("/events/top", type="general")
    few = await empty.answered("/events/top", type="unique", limit="1")

    assert reply["type"] == "general"
    assert {
        each["event"]: (each["amount"], each["percent_change"]) for each in reply["events"]
    } == {
        "Buy": (1, -0.5),
        "View": (1, 0),
    }
    assert (few["type"], len(few["events"])) == ("unique", 1)


async def test_names_are_those_of_the_last_month(empty: SandboxClient) -> None:
    await some_events(empty)

    assert await empty.answered("/events/names", type="general") == ["Buy", "View"]
    assert await empty.answered("/events/names", type="general", limit="1") == ["Buy"]
    old = {"from_date": "2026-01-01", "to_date": "2026-01-02"}
    assert await empty.answered("/events/names", type="general", **old) == ["Old"]


async def test_values_of_a_property_are_counted_over_time(empty: SandboxClient) -> None:
    await some_events(empty)
    question = {"event": "Buy", "name": "plan", "type": "general", "unit": "day", **DATES}

    reply = await empty.answered("/events/properties", **question)
    asked = await empty.answered("/events/properties", **question, values='["free", "gold"]')
    largest = await empty.answered("/events/properties", **question, limit="1")

    assert reply["data"]["values"] == {"pro": by_day(1, 1), "free": by_day(1, 0)}
    assert asked["data"]["values"] == {"free": by_day(1, 0), "gold": by_day(0, 0)}
    assert set(largest["data"]["values"]) == {"pro"}


async def test_properties_and_their_values_are_listed(empty: SandboxClient) -> None:
    await some_events(empty)

    properties = await empty.answered("/events/properties/top", event="Buy")
    first = await empty.answered("/events/properties/top", event="Buy", limit="1")
    values = await empty.answered("/events/properties/values", event="Buy", name="plan")
    numbers = await empty.answered("/events/properties/values", event="Buy", name="price")

    assert properties == {"plan": {"count": 3}, "price": {"count": 2}}
    assert first == {"plan": {"count": 3}}
    assert values == ["pro", "free"]
    assert numbers == ["5"]


async def test_the_activity_of_single_users_comes_in_order(empty: SandboxClient) -> None:
    await some_events(empty)

    reply = await empty.answered("/stream/query", distinct_ids='["ada", "nobody"]', **DATES)

    assert reply["status"] == "ok"
    events = reply["results"]["events"]
    assert [event["event"] for event in events] == ["Buy", "Buy"]
    assert {event["properties"]["distinct_id"] for event in events} == {"ada"}
    assert events[0]["properties"]["time"] < events[1]["properties"]["time"]


COUNT = {"event": '["Buy"]', "type": "general", "unit": "day", **DATES}
PROPERTY = {**COUNT, "event": "Buy", "name": "plan"}


@pytest.mark.parametrize(
    ("path", "question", "error"),
    [
        ("/events", {**COUNT, "event": ""}, "Missing required parameter: event"),
        ("/events", {**COUNT, "event": "Buy"}, "event must be a JSON array of strings"),
        ("/events", {**COUNT, "type": ""}, "Missing required parameter: type"),
        ("/events", {**COUNT, "unit": ""}, "Missing required parameter: unit"),
        ("/events", {**COUNT, "unit": "year"}, "unit must be one of"),
        ("/events", {**COUNT, "from_date": ""}, "Missing required parameter: from_date"),
        ("/events", {**COUNT, "interval": "0"}, "interval must be at least 1"),
        ("/events", {**COUNT, "type": "unique", "unit": "hour"}, "unique counts are not"),
        ("/events", {**COUNT, "format": "xml"}, "format must be one of"),
        ("/events/top", {}, "Missing required parameter: type"),
        ("/events/names", {"type": "all"}, "type must be one of"),
        ("/events/names", {"type": "general", "limit": "0"}, "limit must be at least 1"),
        ("/events/properties", {**PROPERTY, "name": ""}, "Missing required parameter: name"),
        ("/events/properties", {**PROPERTY, "values": "pro"}, "values must be a JSON array"),
        ("/events/properties/top", {}, "Missing required parameter: event"),
        ("/events/properties/values", {"event": "Buy"}, "Missing required parameter: name"),
        ("/stream/query", DATES, "Missing required parameter: distinct_ids"),
        ("/stream/query", {**DATES, "distinct_ids": "ada"}, "distinct_ids must be a JSON array"),
        ("/stream/query", {"distinct_ids": "[]"}, "Missing required parameter: from_date"),
    ],
)
async def test_parameters_are_checked(
    empty: SandboxClient, path: str, question: dict[str, str], error: str
) -> None:
    answer = await empty.query(path, **question)

    assert answer.status_code == 400
    assert error in answer.json()["error"]
