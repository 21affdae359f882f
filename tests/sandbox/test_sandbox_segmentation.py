"""Segmentation in its four forms: parameters, shapes, and numbers counted by hand."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest
from sandbox_client import TODAY, acted, update

from mixpanel_mcp.sandbox.clock import moment
from mixpanel_mcp.sandbox.demo import truth

if TYPE_CHECKING:
    from sandbox_client import SandboxClient

DATES = {"from_date": "2026-03-02", "to_date": "2026-03-03"}
QUESTION = {"event": "Buy", **DATES}


async def some_events(client: SandboxClient) -> None:
    await client.import_events(
        acted("Buy", "ada", "2026-03-02", "10:00:00", price=5, plan="pro"),
        acted("Buy", "ada", "2026-03-02", "10:30:00", price=12.5, plan="pro"),
        acted("Buy", "ben", "2026-03-02", "11:00:00", price=40),
        acted("Buy", "ben", "2026-03-03", "11:00:00", price="40", plan="free"),
        acted("View", "ben", "2026-03-03", "11:00:00", price=1000),
    )
    await client.engage(update("ada", set={"vip": True}))


DAYS = ("2026-03-02", "2026-03-03")


def by_day(first: float, second: float) -> dict[str, float]:
    return dict(zip(DAYS, (first, second), strict=True))


@pytest.mark.parametrize(
    ("parameters", "values"),
    [
        ({}, {"Buy": by_day(3, 1)}),
        ({"type": "unique"}, {"Buy": by_day(2, 1)}),
        ({"type": "average"}, {"Buy": by_day(1.5, 1)}),
        ({"where": 'properties["price"] > 10'}, {"Buy": by_day(2, 0)}),
        ({"where": 'user["vip"]'}, {"Buy": by_day(2, 0)}),
        (
            {"on": 'properties["plan"]'},
            {"pro": by_day(2, 0), "free": by_day(0, 1), "undefined": by_day(1, 0)},
        ),
        ({"on": 'properties["plan"]', "limit": "1"}, {"pro": by_day(2, 0)}),
        (
            {"on": 'user["vip"]', "type": "unique"},
            {"true": by_day(1, 0), "undefined": by_day(1, 1)},
        ),
        ({"unit": "month"}, {"Buy": {"2026-03-01": 4}}),
        ({"type": "unique", "interval": "2"}, {"Buy": {"2026-03-02": 2}}),
        ({"interval": "2"}, {"Buy": by_day(3, 1)}),
    ],
)
async def test_an_event_is_counted_over_time(
    empty: SandboxClient, parameters: dict[str, str], values: dict[str, Any]
) -> None:
    await some_events(empty)

    reply = await empty.answered("/segmentation", **QUESTION, **parameters)

    assert reply["data"]["values"] == values
    assert reply["legend_size"] == len(values)
    assert reply["data"]["series"] == list(next(iter(values.values())))


async def test_hours_have_names_of_their_own(empty: SandboxClient) -> None:
    await some_events(empty)

    reply = await empty.answered("/segmentation", **QUESTION, unit="hour")

    assert len(reply["data"]["series"]) == 48
    assert reply["data"]["values"]["Buy"]["2026-03-02 10:00:00"] == 2


async def test_a_report_may_be_csv(empty: SandboxClient) -> None:
    await some_events(empty)

    answer = await empty.query(
        "/segmentation", **QUESTION, on='properties["plan"]', limit="2", format="csv"
    )

    assert answer.headers["content-type"].startswith("text/csv")
    assert answer.text.splitlines() == ["date,pro,free", "2026-03-02,2,0", "2026-03-03,0,1"]


async def test_numbers_fall_into_ranges(empty: SandboxClient) -> None:
    await some_events(empty)

    reply = await empty.answered(
        "/segmentation/numeric", **QUESTION, on='number(properties["price"])'
    )

    assert reply["data"]["values"] == {
        "0 - 10": by_day(1, 0),
        "10 - 20": by_day(1, 0),
        "40 - 50": by_day(1, 1),
    }


async def test_numbers_are_summed_and_averaged(empty: SandboxClient) -> None:
    await some_events(empty)
    question = {**QUESTION, "on": 'properties["price"]'}

    sums = await empty.answered("/segmentation/sum", **question)
    averages = await empty.answered("/segmentation/average", **question)

    assert sums["results"] == by_day(57.5, 0)
    assert sums["computed_at"].startswith("2026-03-10T")
    assert averages == {"status": "ok", "results": by_day(57.5 / 3, 0.0)}
    assert isinstance(sums["results"]["2026-03-03"], int)


async def test_the_demo_is_counted_as_its_export_says(demo: SandboxClient) -> None:
    window = {
        "from_date": truth.release_day(TODAY).isoformat(),
        "to_date": truth.last_day(TODAY).isoformat(),
    }
    exported = await demo.exported(event=f'["{truth.PURCHASE_COMPLETED}"]', **window)
    question = {"event": truth.PURCHASE_COMPLETED, **window}
    expected: Counter[tuple[str, str]] = Counter()
    amounts: Counter[str] = Counter()
    for properties in (event["properties"] for event in exported):
        day = moment(properties["time"] * 1000).date().isoformat()
        expected[properties["platform"], day] += 1
        amounts[day] += properties["amount"]

    counted = await demo.answered("/segmentation", **question, on='properties["platform"]')
    summed = await demo.answered("/segmentation/sum", **question, on='properties["amount"]')

    values = counted["data"]["values"]
    assert {
        (platform, day): number for platform, days in values.items() for day, number in days.items()
    } == {(platform, day): expected[platform, day] for platform in values for day in amounts}
    assert summed["results"] == dict(amounts)


@pytest.mark.parametrize(
    ("path", "change", "error"),
    [
        ("/segmentation", {"event": ""}, "Missing required parameter: event"),
        ("/segmentation", {"to_date": ""}, "Missing required parameter: to_date"),
        ("/segmentation", {"unit": "week"}, "unit must be one of minute, hour, day, month"),
        ("/segmentation", {"type": "median"}, "type must be one of"),
        ("/segmentation", {"limit": "10001"}, "limit cannot be over 10000"),
        ("/segmentation", {"on": "plan"}, "on is not a valid expression: "),
        ("/segmentation", {"where": '"plan'}, "where is not a valid expression: "),
        ("/segmentation", {"format": "xml"}, "format must be one of"),
        ("/segmentation", {"from_date": "1990-01-01", "unit": "minute"}, "ask for fewer days"),
        ("/segmentation/numeric", {"on": ""}, "Missing required parameter: on"),
        ("/segmentation/numeric", {"unit": "month"}, "unit must be one of hour, day"),
        ("/segmentation/numeric", {"type": "median"}, "type must be one of"),
        ("/segmentation/sum", {"on": ""}, "Missing required parameter: on"),
        ("/segmentation/sum", {"where": "("}, "where is not a valid expression: "),
        ("/segmentation/average", {"unit": "minute"}, "unit must be one of"),
    ],
)
async def test_parameters_are_checked(
    empty: SandboxClient, path: str, change: dict[str, str], error: str
) -> None:
    question = {**QUESTION, "on": 'properties["price"]', **change}

    answer = await empty.query(path, **question)

    assert answer.status_code == 400
    assert error in answer.json()["error"]
    assert answer.json()["status"] == "error"
