"""Saved Insights reports: computed over the days they were saved with."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from sandbox_client import TODAY, acted

from mixpanel_mcp.sandbox.demo import truth

if TYPE_CHECKING:
    from sandbox_client import SandboxClient

DATES = {"from_date": "2026-03-02", "to_date": "2026-03-03"}


async def report(client: SandboxClient, **body: Any) -> Any:
    body = {"name": "Songs", "events": [{"event": "Song played"}], **DATES, **body}
    saved = await client.control("insights", body)
    return await client.answered("/insights", bookmark_id=str(saved["bookmark_id"]))


async def some_events(client: SandboxClient) -> None:
    await client.import_events(
        acted("Song played", "ada", "2026-03-02", "10:00:00", genre="jazz"),
        acted("Song played", "ada", "2026-03-02", "11:00:00", genre="rock"),
        acted("Song played", "ben", "2026-03-03", "10:00:00", genre="jazz"),
        acted("Song played", "ben", "2026-03-04", "10:00:00", genre="jazz"),
        acted("Song skipped", "ben", "2026-03-03", "10:00:00"),
    )


async def test_a_line_has_a_number_for_each_day(empty: SandboxClient) -> None:
    await some_events(empty)

    reply = await report(empty)

    assert reply["headers"] == ["$event"]
    assert reply["series"] == {
        "Song played": {"2026-03-02T00:00:00+00:00": 2, "2026-03-03T00:00:00+00:00": 1}
    }
    assert reply["computed_at"].startswith("2026-03-10T")
    assert reply["date_range"]["from_date"] == "2026-03-02T00:00:00+00:00"
    assert reply["date_range"]["to_date"].startswith("2026-03-03T23:59:59")


async def test_a_bar_has_one_number(empty: SandboxClient) -> None:
    await some_events(empty)
    events = [
        {"event": "Song played", "math": "unique", "where": 'properties["genre"] == "jazz"'},
        {"event": "Song skipped"},
    ]

    reply = await report(empty, events=events, chart="bar", unit="week")

    assert reply["series"] == {"Song played": {"all": 2}, "Song skipped": {"all": 1}}


async def test_a_breakdown_is_one_level_more(empty: SandboxClient) -> None:
    await some_events(empty)

    reply = await report(empty, breakdown="genre", chart="table")

    assert reply["headers"] == ["$event", "genre"]
    assert reply["series"] == {
        "Song played": {"$overall": {"all": 3}, "jazz": {"all": 2}, "rock": {"all": 1}}
    }


async def test_the_demo_report_counts_the_purchases_of_a_month(demo: SandboxClient) -> None:
    reply = await demo.answered("/insights", bookmark_id="81001")
    window = {**reply["date_range"]}
    exported = await demo.exported(
        event=f'["{truth.PURCHASE_COMPLETED}"]',
        from_date=window["from_date"][:10],
        to_date=window["to_date"][:10],
    )

    series = reply["series"][truth.PURCHASE_COMPLETED]
    assert set(series) == {"$overall", *truth.PLATFORMS}
    for platform in truth.PLATFORMS:
        found = sum(each["properties"]["platform"] == platform for each in exported)
        assert sum(series[platform].values()) == found
    assert len(series["$overall"]) == 30
    assert window["to_date"].startswith(truth.last_day(TODAY).isoformat())


@pytest.mark.parametrize(
    ("parameters", "error"),
    [
        ({}, "Missing required parameter: bookmark_id"),
        ({"bookmark_id": "1"}, "report 1 does not exist"),
        ({"bookmark_id": "first"}, "bookmark_id must be an integer"),
    ],
)
async def test_a_report_must_exist(
    empty: SandboxClient, parameters: dict[str, str], error: str
) -> None:
    answer = await empty.query("/insights", **parameters)

    assert answer.status_code == 400
    assert error in answer.json()["error"]


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"events": [{"event": "A", "where": "("}]}, "events.0.where"),
        ({"breakdown": 'properties["a'}, "breakdown"),
        ({"from_date": "2026-02-30"}, "from_date"),
        ({"from_date": "2026-03-04"}, "from_date"),
    ],
)
async def test_a_report_that_cannot_be_computed_is_not_saved(
    empty: SandboxClient, body: dict[str, Any], field: str
) -> None:
    body = {"name": "Bad", "events": [{"event": "A"}], **DATES, **body}

    answer = await empty.post("/sandbox/insights", json=body)

    assert answer.status_code == 400
    assert field in answer.json()["error"]
