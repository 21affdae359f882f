"""Pages of profiles: each leads to the next, the last says so, and what is no page is not one."""

from typing import Any

import pytest
from harness import Connect
from upstream import Received, Reply, Upstream

ENGAGE = "/api/query/engage"


def page_of(*ids: str, **fields: Any) -> Reply:
    return Reply(
        json={
            "page": 0,
            "page_size": 1000,
            "session_id": "s-1",
            "status": "ok",
            "total": len(ids),
            "results": [
                {"$distinct_id": each, "$properties": {"$name": each.title()}} for each in ids
            ],
            **fields,
        }
    )


def pages_of_two(request: Received) -> Reply:
    """Five profiles, two a page; a page above 0 has to name its session."""
    everyone = ["ada", "grace", "joan", "karen", "mary"]
    form = dict(request.form)
    page = int(form.get("page", "0"))
    if page and form.get("session_id") != "s-1":
        return Reply(400, json={"error": "request for page in uncached query for params"})
    shown = everyone[2 * page : 2 * page + 2]
    return page_of(*shown, page=page, page_size=2, total=5)


async def test_the_next_call_is_spelled_out_and_leads_to_the_end(
    connect: Connect, upstream: Upstream
) -> None:
    upstream.always(ENGAGE, pages_of_two)
    given: dict[str, Any] = {
        "where": 'properties["plan"] == "pro"',
        "output_properties": ["$name"],
        "filter_by_cohort": 5001,
        "region": "eu",
        "project_id": 77,
        "workspace_id": 9,
    }
    found: list[str] = []
    step: dict[str, Any] | None = {"tool": "query_profiles", "arguments": given}

    async with connect() as tools:
        while step is not None:
            answer = await tools.call(step["tool"], **step["arguments"])
            assert answer.status == "ok"
            assert len(upstream.requests) <= 3, "the next calls lead nowhere"
            found += [profile["$distinct_id"] for profile in answer.data["profiles"]]
            step = answer.structured["next"]
            assert answer.structured["complete"] is (step is None)
            assert ("Next: query_profiles(" in answer.text) is (step is not None)
            scope = answer.structured["scope"]
            assert (scope["project"], scope["region"]) == (77, "eu")

    assert found == ["ada", "grace", "joan", "karen", "mary"]
    assert {request.target for request in upstream.requests} == {
        f"{ENGAGE}?project_id=77&workspace_id=9"
    }
    wheres = [dict(request.form)["where"] for request in upstream.requests]
    assert wheres == [given["where"]] * 3


async def test_an_empty_last_page_says_that_it_was_the_last(
    connect: Connect, upstream: Upstream
) -> None:
    upstream.on(ENGAGE, page_of(page=4, total=8))

    async with connect() as tools:
        answer = await tools.call("query_profiles", session_id="s-1", page=4)

    assert (answer.status, answer.structured["complete"]) == ("ok", True)
    assert "no more" in answer.text


@pytest.mark.parametrize(
    "reply",
    [
        Reply(body=""),
        Reply(body="<html>ok</html>"),
        Reply(json=[]),
        Reply(json={"status": "ok"}),
        page_of(results=None),
        page_of(results={"ada": {}}),
        page_of(results="ada"),
        page_of(results=["ada"]),
        Reply(json={"error": "Timeout Error.", "status": "error"}),
    ],
)
async def test_what_is_no_page_of_profiles_is_not_read_as_one(
    connect: Connect, upstream: Upstream, reply: Reply
) -> None:
    """Above all, it is not taken for "no profile matches"."""
    upstream.always(ENGAGE, reply)

    async with connect() as tools:
        answer = await tools.call("query_profiles")

    assert (answer.status, answer.is_error) == ("failed", True)
    assert answer.structured["complete"] is False


@pytest.mark.parametrize(
    "odd",
    [
        page_of("ada", page_size="many"),
        page_of("ada", page_size=None),
        page_of("ada", total="1"),
        page_of("ada", session_id=7),
        page_of(results=[{"$distinct_id": "ada", "$properties": ["$name"]}]),
        page_of(results=[{"$distinct_id": "ada", "$properties": None}]),
        page_of(results=[{"$distinct_id": ["ada"], "$properties": {}}]),
    ],
)
async def test_an_odd_page_is_read_or_refused_and_crashes_nothing(
    connect: Connect, upstream: Upstream, odd: Reply
) -> None:
    upstream.always(ENGAGE, odd)

    async with connect() as tools:
        answer = await tools.call("query_profiles", distinct_ids=["ada"])

    assert answer.raw.structured_content is not None, "crashed"
    assert answer.status in {"ok", "partial", "failed"}
