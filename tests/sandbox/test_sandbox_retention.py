"""Retention and frequency: the parameters, the shapes, and small numbers counted by hand."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from sandbox_client import TODAY, acted, update

from mixpanel_mcp.sandbox.demo import truth

if TYPE_CHECKING:
    from sandbox_client import SandboxClient

DATES = {"from_date": "2026-03-02", "to_date": "2026-03-03"}
BIRTH = {**DATES, "born_event": "Sign up"}


async def some_events(client: SandboxClient) -> None:
    await client.import_events(
        acted("Sign up", "ada", "2026-03-02", "10:00:00", plan="pro"),
        acted("Sign up", "ben", "2026-03-02", "11:00:00", plan="free"),
        acted("Sign up", "carla", "2026-03-03", "09:00:00", plan="free"),
        acted("Came", "ada", "2026-03-02", "12:00:00", os="iOS"),
        acted("Came", "ada", "2026-03-03", "12:00:00", os="iOS"),
        acted("Came", "ada", "2026-03-04", "12:00:00", os="Web"),
        acted("Came", "ben", "2026-03-04", "12:00:00", os="Web"),
        acted("Left", "carla", "2026-03-03", "09:30:00"),
    )


@pytest.mark.parametrize(
    ("parameters", "expected"),
    [
        ({"event": "Came"}, {"2026-03-02": (2, [1, 1]), "2026-03-03": (1, [0, 0])}),
        ({}, {"2026-03-02": (2, [1, 1]), "2026-03-03": (1, [1, 0])}),
        (
            {"event": "Came", "interval_count": "2"},
            {"2026-03-02": (2, [1, 1, 2]), "2026-03-03": (1, [0, 0, 0])},
        ),
        (
            {"event": "Came", "interval_count": "2", "unbounded_retention": "true"},
            {"2026-03-02": (2, [2, 2, 2]), "2026-03-03": (1, [0, 0, 0])},
        ),
        (
            {"event": "Came", "born_where": 'properties["plan"] == "pro"'},
            {"2026-03-02": (1, [1, 1]), "2026-03-03": (0, [0, 0])},
        ),
        (
            {"event": "Came", "where": 'properties["os"] == "iOS"'},
            {"2026-03-02": (2, [1, 1]), "2026-03-03": (1, [0, 0])},
        ),
        ({"event": "Came", "interval": "2"}, {"2026-03-02": (3, [1, 2])}),
        ({"event": "Came", "unit": "week"}, {"2026-03-02": (3, [2, 0])}),
        (
            {"retention_type": "compounded", "event": "Came", "born_event": "ignored"},
            {"2026-03-02": (1, [0, 1]), "2026-03-03": (1, [0, 1])},
        ),
    ],
)
async def test_retention_counts_who_came_back(
    empty: SandboxClient,
    parameters: dict[str, str],
    expected: dict[str, tuple[int, list[int]]],
) -> None:
    await some_events(empty)

    reply = await empty.answered("/retention", **{**BIRTH, **parameters})

    assert {day: (row["first"], row["counts"]) for day, row in reply.items()} == expected


async def test_retention_is_segmented(empty: SandboxClient) -> None:
    await some_events(empty)

    reply = await empty.answered("/retention", **BIRTH, event="Came", on='properties["os"]')

    assert reply["2026-03-02"]["$overall"] == {"first": 2, "counts": [1, 1]}
    assert reply["2026-03-02"]["iOS"] == {"first": 2, "counts": [1, 1]}


async def test_the_demo_plans_differ_in_retention(demo: SandboxClient) -> None:
    window = {
        "from_date": truth.first_day(TODAY).isoformat(),
        "to_date": truth.last_day(TODAY).isoformat(),
    }
    kept: dict[str, float] = {}
    for plan in truth.PLANS:
        reply = await demo.answered(
            "/retention",
            **window,
            born_event=truth.SIGN_UP,
            born_where=f'properties["plan"] == "{plan}"',
            unit="week",
            interval_count="4",
        )
        old = [row for _, row in sorted(reply.items())][:4]
        kept[plan] = sum(row["counts"][4] for row in old) / sum(row["first"] for row in old)

    assert kept["pro"] > 1.5 * kept["free"]


@pytest.mark.parametrize(
    ("parameters", "expected"),
    [
        ({}, {"2026-03-02": [2, 2], "2026-03-03": [2, 1]}),
        ({"event": "Came"}, {"2026-03-02": [1, 0], "2026-03-03": [1, 0]}),
        (
            {"where": 'properties["os"] == "iOS"'},
            {"2026-03-02": [1, 0], "2026-03-03": [1, 0]},
        ),
        ({"where": 'user["vip"] == true'}, {"2026-03-02": [1, 1], "2026-03-03": [1, 0]}),
    ],
)
async def test_frequency_counts_hours(
    empty: SandboxClient, parameters: dict[str, str], expected: dict[str, list[int]]
) -> None:
    await some_events(empty)
    await empty.import_events(
        acted("Sign up", "ben", "2026-03-02", "13:00:00"), acted("Left", "ada", "2026-03-03")
    )
    await empty.import_events(acted("Left", "carla", "2026-03-03", "10:30:00"))
    await empty.engage(update("ada", set={"vip": True}))

    question = {**DATES, "unit": "day", "addiction_unit": "hour", **parameters}
    reply = await empty.answered("/retention/addiction", **question)

    assert {day: numbers[:2] for day, numbers in reply["data"].items()} == expected
    assert {len(numbers) for numbers in reply["data"].values()} == {24}


async def test_frequency_is_segmented(empty: SandboxClient) -> None:
    await some_events(empty)
    question = {**DATES, "unit": "week", "addiction_unit": "day", "on": 'properties["os"]'}

    reply = await empty.answered("/retention/addiction", **question, event="Came")

    assert reply["data"]["2026-03-02"]["iOS"] == [1, 1, 0, 0, 0, 0, 0]


@pytest.mark.parametrize(
    ("path", "change", "error"),
    [
        ("/retention", {"born_event": ""}, "Missing required parameter: born_event"),
        ("/retention", {"from_date": ""}, "Missing required parameter: from_date"),
        ("/retention", {"retention_type": "death"}, "retention_type must be one of"),
        ("/retention", {"interval": "91"}, "interval cannot be over 90"),
        ("/retention", {"interval_count": "0"}, "interval_count must be at least 1"),
        ("/retention", {"unit": "hour"}, "unit must be one of"),
        ("/retention", {"born_where": "("}, "born_where is not a valid expression"),
        ("/retention", {"where": "("}, "where is not a valid expression: "),
        ("/retention", {"on": "platform"}, "on is not a valid expression: "),
        ("/retention", {"unbounded_retention": "maybe"}, "unbounded_retention must be one of"),
        ("/retention/addiction", {"unit": ""}, "Missing required parameter: unit"),
        ("/retention/addiction", {"addiction_unit": ""}, "Missing required parameter: addiction"),
        ("/retention/addiction", {"addiction_unit": "week"}, "addiction_unit must be one of"),
        ("/retention/addiction", {"where": "("}, "where is not a valid expression: "),
    ],
)
async def test_parameters_are_checked(
    empty: SandboxClient, path: str, change: dict[str, Any], error: str
) -> None:
    question = {**BIRTH, "unit": "day"}
    if path.endswith("addiction"):
        question["addiction_unit"] = "hour"

    answer = await empty.query(path, **{**question, **change})

    assert answer.status_code == 400
    assert error in answer.json()["error"]
