"""Saved funnels: listed, checked to the last parameter, and computed from the events."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from sandbox_client import PROJECT_ID, TODAY, acted, update

from mixpanel_mcp.sandbox.demo import truth

if TYPE_CHECKING:
    from sandbox_client import SandboxClient

DATES = {"from_date": "2026-03-02", "to_date": "2026-03-03"}
FUNNEL = {"name": "Buying", "steps": [{"event": "View"}, {"event": "Buy"}]}


async def saved(client: SandboxClient, **changes: Any) -> str:
    return str((await client.control("funnels", {**FUNNEL, **changes}))["funnel_id"])


async def some_events(client: SandboxClient) -> None:
    await client.import_events(
        acted("View", "ada", "2026-03-02", "10:00:00", os="iOS", price=5),
        acted("Buy", "ada", "2026-03-02", "10:00:30", os="iOS", price=5),
        acted("View", "ben", "2026-03-02", "11:00:00", os="Android", price=50),
        acted("Buy", "ben", "2026-03-04", "11:00:00", os="Android", price=50),
        acted("View", "carla", "2026-03-03", "09:00:00", os="iOS", price=50),
        acted("Buy", "deniz", "2026-03-03", "09:00:00", os="iOS", price=50),
    )


def counts(bucket: Any) -> list[int]:
    return [step["count"] for step in bucket["steps"]]


async def test_saved_funnels_are_listed(empty: SandboxClient) -> None:
    first, second = await saved(empty), await saved(empty, name="Leaving")

    listed = await empty.answered("/funnels/list", workspace_id="1")
    legacy = await empty.get("/api/2.0/funnels/list", params={"project_id": PROJECT_ID})

    assert listed == legacy.json()
    assert listed == [
        {"funnel_id": int(first), "name": "Buying"},
        {"funnel_id": int(second), "name": "Leaving"},
    ]


async def test_a_funnel_is_computed_day_by_day(empty: SandboxClient) -> None:
    await some_events(empty)

    reply = await empty.answered("/funnels", funnel_id=await saved(empty), **DATES)

    assert reply["meta"] == {"dates": ["2026-03-02", "2026-03-03"]}
    assert {day: counts(bucket) for day, bucket in reply["data"].items()} == {
        "2026-03-02": [2, 2],
        "2026-03-03": [1, 0],
    }
    first, second = reply["data"]["2026-03-02"]["steps"]
    assert (first["event"], first["goal"], first["avg_time"]) == ("View", "View", None)
    assert second["avg_time"] == (30 + 2 * 86_400) // 2
    assert reply["data"]["2026-03-02"]["analysis"] == {
        "completion": 2,
        "starting_amount": 2,
        "steps": 2,
        "worst": reply["data"]["2026-03-02"]["analysis"]["worst"],
    }


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"length": "1"}, {"2026-03-02": [2, 1], "2026-03-03": [1, 0]}),
        ({"length": "30", "length_unit": "second"}, {"2026-03-02": [2, 1], "2026-03-03": [1, 0]}),
        ({"length_unit": "second"}, {"2026-03-02": [2, 0], "2026-03-03": [1, 0]}),
        ({"interval": "2"}, {"2026-03-02": [3, 2]}),
        ({"unit": "week"}, {"2026-03-02": [3, 2]}),
        ({"where": 'properties["os"] == "iOS"'}, {"2026-03-02": [1, 1], "2026-03-03": [1, 0]}),
        ({"where": 'user["vip"]'}, {"2026-03-02": [1, 1], "2026-03-03": [0, 0]}),
        ({"limit": "1"}, {"2026-03-02": [2, 2], "2026-03-03": [1, 0]}),
    ],
)
async def test_parameters_change_what_is_counted(
    empty: SandboxClient, changes: dict[str, str], expected: dict[str, list[int]]
) -> None:
    await some_events(empty)
    await empty.engage(update("ben", set={"vip": True}), update("ada", set={"vip": False}))
    funnel_id = await saved(empty)

    reply = await empty.answered("/funnels", funnel_id=funnel_id, **DATES, **changes)

    assert {day: counts(bucket) for day, bucket in reply["data"].items()} == expected


async def test_steps_keep_the_conditions_they_were_saved_with(empty: SandboxClient) -> None:
    await some_events(empty)
    steps = [{"event": "View", "where": 'properties["price"] > 10'}, {"event": "Buy"}]
    funnel_id = await saved(empty, steps=steps, length=1, length_unit="hour")

    reply = await empty.answered("/funnels", funnel_id=funnel_id, **DATES)

    assert [counts(bucket) for bucket in reply["data"].values()] == [[1, 0], [1, 0]]


async def test_a_funnel_is_segmented(empty: SandboxClient) -> None:
    await some_events(empty)
    on = {"on": 'properties["os"]'}

    reply = await empty.answered("/funnels", funnel_id=await saved(empty), **DATES, **on)
    top = await empty.answered("/funnels", funnel_id="7001", **DATES, **on, limit="1")

    by_segment = {
        segment: [step["count"] for step in steps]
        for segment, steps in reply["data"]["2026-03-02"].items()
    }
    assert by_segment == {"$overall": [2, 2], "iOS": [1, 1], "Android": [1, 1]}
    assert set(top["data"]["2026-03-02"]) == {"$overall", "iOS"}


async def test_merged_users_are_one(empty: SandboxClient) -> None:
    await empty.import_events(
        acted("View", "ada", "2026-03-02", "10:00:00"),
        acted("Buy", "a@example.com", "2026-03-02", "11:00:00"),
    )
    question = {"funnel_id": await saved(empty), **DATES}
    before = await empty.answered("/funnels", **question)
    merge = {"$distinct_ids": ["a@example.com", "ada"]}
    await empty.import_events({"event": "$merge", "properties": merge})
    after = await empty.answered("/funnels", **question)

    assert counts(before["data"]["2026-03-02"]) == [1, 0]
    assert counts(after["data"]["2026-03-02"]) == [1, 1]


async def test_the_demo_funnel_shows_the_day_and_the_platform_of_the_fall(
    demo: SandboxClient,
) -> None:
    window = {
        "from_date": truth.first_day(TODAY).isoformat(),
        "to_date": truth.last_day(TODAY).isoformat(),
    }
    (funnel_id,) = (
        str(each["funnel_id"])
        for each in await demo.answered("/funnels/list")
        if each["name"] == truth.FUNNEL_PURCHASE
    )
    reply = await demo.answered(
        "/funnels", funnel_id=funnel_id, **window, on='properties["platform"]'
    )

    for platform in truth.PLATFORMS:
        before: list[float] = []
        since: list[float] = []
        for day, segments in reply["data"].items():
            is_since = day >= truth.release_day(TODAY).isoformat()
            (since if is_since else before).append(segments[platform][2]["step_conv_ratio"])
        fell = sum(before) / len(before) - sum(since) / len(since) > 0.25
        assert fell == (platform == truth.RELEASE_PLATFORM)
        if fell:
            assert max(since) < min(before)


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"funnel_id": ""}, "Missing required parameter: funnel_id"),
        ({"funnel_id": "first"}, "funnel_id must be an integer"),
        ({"funnel_id": "99"}, "funnel 99 does not exist"),
        ({"from_date": ""}, "Missing required parameter: from_date"),
        ({"to_date": "2026-02-01"}, "from_date cannot be later than to_date"),
        ({"from_date": "0026-02-01"}, "from_date must lie in a year from 1900 to 2999"),
        ({"to_date": "9999-12-31"}, "to_date must lie in a year"),
        ({"to_date": "2999-12-31"}, "ask for fewer days or larger units"),
        ({"interval": "10001"}, "interval cannot be over 10000"),
        ({"length": "91"}, "length cannot be over 90"),
        ({"length": "2161", "length_unit": "hour"}, "length cannot be over 2160"),
        ({"length_unit": "seconds"}, "length_unit must be one of"),
        ({"interval": "0"}, "interval must be at least 1"),
        ({"unit": "year"}, "unit must be one of"),
        ({"limit": "10001"}, "limit cannot be over 10000"),
        ({"on": 'properties["a"'}, "on is not a valid expression: expected `]` at column 15"),
        ({"where": '"'}, "where is not a valid expression"),
        ({"where": "1 and 2"}, "at column 1"),
        ({"workspace_id": "x"}, "workspace_id must be an integer"),
    ],
)
async def test_parameters_are_checked(
    empty: SandboxClient, change: dict[str, str], error: str
) -> None:
    question = {"funnel_id": await saved(empty), **DATES, **change}

    answer = await empty.query("/funnels", **question)

    assert answer.status_code == 400
    assert error in answer.json()["error"]
    assert answer.json()["request"].startswith("/api/query/funnels?")


@pytest.mark.parametrize("where", ['properties["a"', "5", "properties.a"])
async def test_a_funnel_is_not_saved_with_a_condition_that_is_none(
    empty: SandboxClient, where: str
) -> None:
    steps = [{"event": "View", "where": where}]
    answer = await empty.post("/sandbox/funnels", json={"name": "Bad", "steps": steps})

    assert answer.status_code == 400
    assert "steps.0.where" in answer.json()["error"]
    assert "at column" in answer.json()["error"]


async def test_interval_and_unit_exclude_each_other(empty: SandboxClient) -> None:
    await some_events(empty)
    funnel_id = await saved(empty)
    place = {"funnel_id": funnel_id, **DATES}

    reply = await empty.query("/funnels", **place, unit="day", interval="2")

    assert reply.status_code == 400
    assert "exclude each other" in reply.json()["error"]
