"""Saved reports: checked to the last parameter, then honestly not computed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from sandbox_client import PROJECT_ID

if TYPE_CHECKING:
    from sandbox_client import SandboxClient

DATES = {"from_date": "2026-03-01", "to_date": "2026-03-09"}
FUNNEL = {"name": "Buying", "steps": [{"event": "A"}, {"event": "B"}]}


async def test_saved_funnels_are_listed(empty: SandboxClient) -> None:
    first = await empty.control("funnels", FUNNEL)
    second = await empty.control("funnels", {**FUNNEL, "name": "Leaving"})

    listed = await empty.query("/funnels/list", workspace_id="1")
    legacy = await empty.get("/api/2.0/funnels/list", params={"project_id": PROJECT_ID})

    assert (
        listed.json()
        == legacy.json()
        == [
            {**first, "name": "Buying"},
            {**second, "name": "Leaving"},
        ]
    )


async def test_a_known_funnel_is_not_computed_yet(empty: SandboxClient) -> None:
    saved = await empty.control("funnels", FUNNEL)
    answer = await empty.query(
        "/funnels", funnel_id=str(saved["funnel_id"]), **DATES, length="90", length_unit="day"
    )

    assert answer.status_code == 501
    assert answer.json() == {"error": "The sandbox does not compute funnels yet."}


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"funnel_id": ""}, "Missing required parameter: funnel_id"),
        ({"funnel_id": "first"}, "funnel_id must be an integer"),
        ({"funnel_id": "99"}, "funnel 99 does not exist"),
        ({"from_date": ""}, "Missing required parameter: from_date"),
        ({"to_date": "2026-02-01"}, "from_date cannot be later than to_date"),
        ({"length": "91"}, "length cannot be over 90"),
        ({"length": "2161", "length_unit": "hour"}, "length cannot be over 2160"),
        ({"length_unit": "seconds"}, "length_unit must be one of"),
        ({"interval": "0"}, "interval must be at least 1"),
        ({"unit": "year"}, "unit must be one of"),
        ({"limit": "10001"}, "limit cannot be over 10000"),
        ({"on": 'properties["a"'}, "on is not a valid expression"),
        ({"where": '"'}, "where is not a valid expression"),
        ({"workspace_id": "x"}, "workspace_id must be an integer"),
    ],
)
async def test_funnel_parameters_are_checked_first(
    empty: SandboxClient, change: dict[str, str], error: str
) -> None:
    saved = await empty.control("funnels", FUNNEL)
    question = {"funnel_id": str(saved["funnel_id"]), **DATES, **change}

    answer = await empty.query("/funnels", **question)

    assert answer.status_code == 400
    assert error in answer.json()["error"]


async def test_insights_know_their_reports(empty: SandboxClient) -> None:
    saved = await empty.control(
        "insights", {"name": "Songs", "events": [{"event": "Song played"}], **DATES}
    )

    known = await empty.query("/insights", bookmark_id=str(saved["bookmark_id"]))
    unknown = await empty.query("/insights", bookmark_id="1")
    missing = await empty.query("/insights")

    assert [each.status_code for each in (known, unknown, missing)] == [501, 400, 400]


async def test_cohorts_are_listed_with_true_counts_only(empty: SandboxClient) -> None:
    few = await empty.control("cohorts", {"name": "Few", "distinct_ids": ["ada", "ben", "ada"]})
    many = await empty.control("cohorts", {"name": "Many", "where": "true"})

    listed = await empty.post("/api/query/cohorts/list", params={"project_id": PROJECT_ID})

    first, second = listed.json()
    assert first.pop("created").startswith("2026-03-10 ")
    assert first == {
        **few,
        "name": "Few",
        "count": 2,
        "description": "",
        "is_visible": 1,
        "project_id": PROJECT_ID,
    }
    assert second["id"] == many["id"]
    assert "count" not in second


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/api/query/funnels/list"),
        ("GET", "/api/query/funnels"),
        ("GET", "/api/query/insights"),
        ("POST", "/api/query/cohorts/list"),
        ("POST", "/api/query/jql"),
        ("POST", "/api/query/engage"),
        ("GET", "/api/2.0/export"),
        ("GET", "/api/2.0/nessie/pipeline/jobs"),
        ("GET", "/api/2.0/nessie/pipeline/status"),
        ("POST", "/api/2.0/nessie/pipeline/create"),
    ],
)
async def test_every_reading_path_wants_a_service_account(
    empty: SandboxClient, method: str, path: str
) -> None:
    nobody = await empty.request(method, path, auth=("", ""))
    elsewhere = await empty.request(method, path, params={"project_id": 2})

    assert nobody.status_code == 401
    assert nobody.json()["error"] == "Unable to authenticate request"
    assert elsewhere.status_code == 403
