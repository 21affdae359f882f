"""Every answer says what is used and left of the hour: to programs in its scope, and in words."""

import json
from typing import Any

import pytest
from harness import Connect, Era, Person, Waits
from metering import JANUARY, left, mirror, report, spend, used
from upstream import Reply, Upstream

INSIGHTS = "/api/query/insights"
EVENT = {"event": "Signed up", "properties": {"distinct_id": "ada", "time": 1_767_225_600}}

# How an answer can end, after three queries and two exports: tool, arguments, status, queries.
ENDS: dict[str, tuple[str, dict[str, Any], str, int]] = {
    "read": ("query_insights_saved_reports", {"bookmark_id": 1}, "ok", 4),
    "cached": ("query_insights_saved_reports", {"bookmark_id": 10_000}, "ok", 3),
    "failed": ("list_saved_funnels", {}, "failed", 4),
    "invalid": ("query_insights_saved_reports", {"bookmark_id": "x"}, "refused", 3),
    "confirmation": ("delete_pipeline", {"name": "p"}, "confirmation_required", 3),
    "write": ("import_events", {"events": [EVENT]}, "ok", 3),
    "partial_write": (
        "create_profile",
        {"properties": [{"$distinct_id": "ada", "plan": "pro"}]},
        "failed",
        3,
    ),
    "pipelines": ("list_pipelines", {}, "ok", 3),
    "raw": ("raw_request", {"url": "/api/query/cohorts/list", "method": "GET"}, "ok", 4),
    "jql": ("custom_jql_query", {"script": "function main() {}"}, "ok", 4),
    "profiles": ("query_profiles", {}, "ok", 4),
}


@pytest.fixture(autouse=True)
def answering(upstream: Upstream) -> None:
    upstream.default = mirror
    upstream.always("/api/query/funnels/list", Reply(401, json={"error": "no"}))
    upstream.always("/engage", Reply(json={"status": 0, "error": "no"}))
    upstream.always("/import", Reply(json={"code": 200, "num_records_imported": 1, "status": "OK"}))


@pytest.mark.parametrize("end", ENDS)
async def test_every_answer_has_used_and_left(connect: Connect, era: Era, end: str) -> None:
    tool, arguments, status, queries = ENDS[end]
    async with connect(era=era) as tools:
        await spend(tools, 3)
        for _ in range(2):
            await tools.call("download_data", **JANUARY)
        answer = await tools.call(tool, **arguments)

    assert answer.status == status, answer.text
    assert answer.structured["scope"]["budget"] == {
        "queries": {"used": queries, "left": 60 - queries, "limit": 60},
        "exports": {"used": 2, "left": 58, "limit": 60},
    }
    if status == "ok":
        line = answer.text.splitlines()[-1]
        assert f"queries {queries} used {60 - queries} left" in line
        assert "exports 2 used 58 left" in line


async def test_a_refusal_for_the_budget_has_it_in_scope_and_in_data(connect: Connect) -> None:
    async with connect() as tools:
        await spend(tools, 60)
        refused = await report(1).ask(tools)

    assert refused.status == "refused"
    assert refused.is_error
    assert (used(refused), left(refused)) == (60, 0)
    assert refused.data["budget"] == refused.structured["scope"]["budget"]


async def test_a_declined_call_has_the_budget_too(connect: Connect, upstream: Upstream) -> None:
    async with connect(person=Person("decline"), era="legacy") as tools:
        await spend(tools, 1)
        answer = await tools.call("delete_pipeline", name="p", confirm=True)

    assert answer.status == "refused"
    assert (used(answer), left(answer)) == (1, 59)
    assert len(upstream.requests) == 1


async def test_a_page_of_profiles_costs_one_each(connect: Connect) -> None:
    async with connect() as tools:
        for page in range(3):
            answer = await tools.call("query_profiles", session_id="s-1", page=page)
            assert (used(answer), left(answer)) == (page + 1, 59 - page)


async def test_the_answer_shows_the_budget_of_the_project_it_asked(connect: Connect) -> None:
    """Also where only the raw request's own query names the project."""
    async with connect(connection={"project_id": None}) as tools:
        await spend(tools, 2, project_id=777)
        answer = await tools.call("raw_request", url=f"{INSIGHTS}?project_id=777", method="GET")

    assert (answer.status, used(answer), left(answer)) == ("ok", 3, 57)


async def test_what_is_used_is_said_anew_when_calls_leave_the_hour(
    connect: Connect, waits: Waits
) -> None:
    async with connect(pacing=waits.pacing()) as tools:
        await spend(tools, 10)
        waits.pass_time(1800)
        await spend(tools, 5)
        waits.pass_time(1805)
        answer = await tools.call("list_pipelines")

    assert (used(answer), left(answer)) == (5, 55)


async def test_a_report_without_numbers_is_sent_again(connect: Connect, upstream: Upstream) -> None:
    """And costs again, as nothing could be concluded from the first."""
    upstream.always(INSIGHTS, Reply(json={"headers": []}))

    async with connect() as tools:
        first = await report(1).ask(tools)
        second = await report(1).ask(tools)

    assert (used(first), used(second)) == (1, 2)
    assert json.dumps(second.data) == "null"
