"""Reads that are kept for a minute: what is answered from them, and what never is."""

from typing import Any

import pytest
from harness import Connect, Era, Waits
from metering import JANUARY, PIPELINES, Question, left, mirror, question, report, used
from upstream import Reply, Upstream

INSIGHTS = "/api/query/insights"
LIST = "/api/query/funnels/list"
GOOD = Reply(json={"series": {"asked-1": {"2026-01-01": 1}}})

READS: dict[str, tuple[str, dict[str, Any]]] = {
    "funnels": ("list_saved_funnels", {}),
    "funnel": ("query_funnel_saved_reports", {"funnel_id": 1, **JANUARY}),
    "insights": ("query_insights_saved_reports", {"bookmark_id": 1}),
    "jql": ("custom_jql_query", {"script": "function main() {}"}),
    "profiles": ("query_profiles", {"where": 'properties["plan"] == "pro"'}),
    "pipelines": ("list_pipelines", {}),
}
every_read = pytest.mark.parametrize(("tool", "arguments"), READS.values(), ids=READS)


@pytest.fixture(autouse=True)
def answering(upstream: Upstream) -> None:
    upstream.default = mirror


@every_read
async def test_an_equal_read_sends_nothing_costs_nothing_and_says_so(
    connect: Connect,
    upstream: Upstream,
    waits: Waits,
    era: Era,
    tool: str,
    arguments: dict[str, Any],
) -> None:
    async with connect(era=era, pacing=waits.pacing()) as tools:
        first = await tools.call(tool, **arguments)
        waits.pass_time(20)
        second = await tools.call(tool, **arguments)

    assert len(upstream.requests) == 1
    assert "cached_seconds" not in first.structured["scope"]
    assert "cache" not in first.notes
    assert (second.status, second.data) == ("ok", first.data)
    assert 20 <= second.structured["scope"]["cached_seconds"] < 21
    assert "from the cache, 20 s old" in second.notes
    assert "fresh=true" in second.text
    assert used(second) == used(first)
    assert left(second) == left(first)


@every_read
async def test_fresh_asks_mixpanel_and_renews_what_is_kept(
    connect: Connect, upstream: Upstream, waits: Waits, tool: str, arguments: dict[str, Any]
) -> None:
    async with connect(pacing=waits.pacing()) as tools:
        await tools.call(tool, **arguments)
        waits.pass_time(40)
        fresh = await tools.call(tool, **arguments, fresh=True)
        waits.pass_time(40)
        kept = await tools.call(tool, **arguments)

    assert len(upstream.requests) == 2
    assert "cached_seconds" not in fresh.structured["scope"]
    assert 40 <= kept.structured["scope"]["cached_seconds"] < 41


async def test_fresh_data_is_what_later_calls_get(connect: Connect, upstream: Upstream) -> None:
    upstream.on(INSIGHTS, *(_counting(number) for number in (1, 2)))

    async with connect() as tools:
        await report(1).ask(tools)
        fresh = await report(1).ask(tools, fresh=True)
        kept = await report(1).ask(tools)

    assert kept.data == fresh.data == {"series": {"All": {"2026-01-01": 2}}}


def _counting(number: int) -> Reply:
    return Reply(json={"series": {"All": {"2026-01-01": number}}})


async def test_a_fresh_call_that_fails_leaves_nothing_that_looks_fresh(
    connect: Connect, upstream: Upstream
) -> None:
    upstream.on(INSIGHTS, GOOD, Reply(400, json={"error": "no"}))

    async with connect() as tools:
        await report(1).ask(tools)
        fresh = await report(1).ask(tools, fresh=True)
        after = await report(1).ask(tools)

    assert (fresh.status, after.status) == ("failed", "ok")
    assert len(upstream.requests) == 3


async def test_what_is_kept_expires_by_the_clock(
    connect: Connect, upstream: Upstream, waits: Waits
) -> None:
    async with connect(pacing=waits.pacing(), cache_seconds=30) as tools:
        await report(1).ask(tools)
        waits.pass_time(29)
        young = await report(1).ask(tools)
        waits.pass_time(1)
        old = await report(1).ask(tools)

    assert "cached_seconds" in young.structured["scope"]
    assert "cached_seconds" not in old.structured["scope"]
    assert len(upstream.requests) == 2


async def test_being_read_does_not_make_it_younger(
    connect: Connect, upstream: Upstream, waits: Waits
) -> None:
    async with connect(pacing=waits.pacing()) as tools:
        for _ in range(7):
            await report(1).ask(tools)
            waits.pass_time(10)

    assert len(upstream.requests) == 2


async def test_zero_seconds_keep_nothing(connect: Connect, upstream: Upstream) -> None:
    async with connect(cache_seconds=0) as tools:
        answers = [await report(1).ask(tools) for _ in range(2)]

    assert len(upstream.requests) == 2
    assert "cached_seconds" not in answers[1].structured["scope"]


OTHERS: dict[str, tuple[str, dict[str, Any]]] = {
    "argument": ("query_insights_saved_reports", {"bookmark_id": 2}),
    "project": ("query_insights_saved_reports", {"bookmark_id": 1, "project_id": 777}),
    "workspace": ("query_insights_saved_reports", {"bookmark_id": 1, "workspace_id": 5}),
    "region": ("query_insights_saved_reports", {"bookmark_id": 1, "region": "eu"}),
    "tool": ("list_saved_funnels", {}),
    "raw": ("raw_request", {"url": f"{INSIGHTS}?bookmark_id=1", "method": "GET"}),
}


@pytest.mark.parametrize("other", OTHERS)
async def test_what_differs_in_anything_is_sent(
    connect: Connect, upstream: Upstream, other: str
) -> None:
    tool, arguments = OTHERS[other]

    async with connect() as tools:
        await report(1).ask(tools)
        answer = await tools.call(tool, **arguments)

    assert answer.status == "ok"
    assert "cached_seconds" not in answer.structured["scope"]
    assert len(upstream.requests) == 2


async def test_the_same_said_in_other_words_is_not_sent(
    connect: Connect, upstream: Upstream
) -> None:
    """The connection's own project and region may be named."""
    async with connect() as tools:
        await report(1).ask(tools)
        answer = await report(1).ask(tools, project_id=4242, region="US")

    assert "cached_seconds" in answer.structured["scope"]
    assert len(upstream.requests) == 1


async def test_pages_of_a_session_are_kept_apart(connect: Connect, upstream: Upstream) -> None:
    async with connect() as tools:
        for _ in range(2):
            for session, page in (("s-1", 1), ("s-1", 2), ("s-2", 1)):
                answer = await tools.call("query_profiles", session_id=session, page=page)
                assert answer.data["page"] == page

    assert len(upstream.requests) == 3


async def test_a_pipelines_states_are_kept_apart(connect: Connect, upstream: Upstream) -> None:
    upstream.always(f"{PIPELINES}status", Reply(json={"failed": 1}))

    async with connect() as tools:
        for _ in range(2):
            for status in (["failed"], ["running"], ["failed", "running"]):
                await tools.call("get_pipeline", name="p", status=status)

    assert len(upstream.requests) == 3


FAILURES: dict[str, Reply] = {
    "400": Reply(400, json={"error": "no"}),
    "401": Reply(401, json={"error": "no"}),
    "402": Reply(402, json={"error": "no"}),
    "403": Reply(403, json={"error": "no"}),
    "404": Reply(404, json={"error": "no"}),
    "501": Reply(501),
    "redirect": Reply(302, headers={"location": "/"}),
    "created": Reply(201, json={"series": {}}),
    "error_inside": Reply(json={"error": "no", "status": "error"}),
    "no_json": Reply(body="<html>Welcome</html>"),
    "empty": Reply(body=""),
    "list": Reply(json=[]),
    "series_is_a_list": Reply(json={"series": []}),
    "no_data": Reply(json={"headers": []}),
    "data_is_null": Reply(json={"series": None}),
    "cut": Reply(body='{"series": {', cut=True),
    "bad_gzip": Reply(body=b"no gzip", headers={"content-encoding": "gzip"}),
}


@pytest.mark.parametrize("name", FAILURES)
async def test_what_nothing_could_be_concluded_from_is_not_kept(
    connect: Connect, upstream: Upstream, waits: Waits, name: str
) -> None:
    upstream.always(INSIGHTS, FAILURES[name])

    async with connect(pacing=waits.pacing(), read_seconds=5) as tools:
        bad = await report(1).ask(tools)
        upstream.always(INSIGHTS, mirror)
        good = await report(1).ask(tools)
        kept = await report(1).ask(tools)

    assert bad.status == "failed" or not bad.structured["complete"]
    assert (good.status, good.data) == ("ok", {"series": {"asked-1": {"2026-01-01": 1}}})
    assert "cached_seconds" not in good.structured["scope"]
    assert "cached_seconds" in kept.structured["scope"]


@pytest.mark.parametrize("reply", [Reply(json={"results": 1}), Reply(json={})])
async def test_profiles_of_the_wrong_shape_are_not_kept(
    connect: Connect, upstream: Upstream, reply: Reply
) -> None:
    upstream.on("/api/query/engage", reply)

    async with connect() as tools:
        assert (await tools.call("query_profiles")).status == "failed"
        assert (await tools.call("query_profiles")).status == "ok"


@pytest.mark.parametrize("megabytes", [3, 5])
async def test_a_large_reply_is_not_kept(
    connect: Connect, upstream: Upstream, megabytes: int
) -> None:
    large = Reply(json=[{"funnel_id": 1, "name": "x" * (megabytes * 1024 * 1024)}])
    upstream.always(LIST, large)

    async with connect() as tools:
        answers = [await tools.call("list_saved_funnels") for _ in range(2)]

    assert {answer.status for answer in answers} == {"ok"}
    assert len(upstream.requests) == (1 if megabytes < 4 else 2)


async def test_many_kept_replies_make_room_for_each_other(
    connect: Connect, upstream: Upstream
) -> None:
    """The oldest goes first, and what is left is still right."""
    upstream.default = lambda request: Reply(
        json={"series": {"All": {request.query[1][1]: 1}}, "rest": "x" * (3 * 1024 * 1024)}
    )

    async with connect() as tools:
        for number in range(12):
            await report(number).ask(tools)
        newest = await report(11).ask(tools)
        oldest = await report(0).ask(tools)

    assert "cached_seconds" in newest.structured["scope"]
    assert newest.structured["data"]["series"] == {"All": {"11": 1}}
    assert "cached_seconds" not in oldest.structured["scope"]
    assert len(upstream.requests) == 13


async def test_two_servers_keep_nothing_for_each_other(
    connect: Connect, upstream: Upstream
) -> None:
    async with connect() as one, connect(connection={"username": "other"}) as another:
        await report(1).ask(one)
        answer = await report(1).ask(another)

    assert "cached_seconds" not in answer.structured["scope"]
    assert len(upstream.requests) == 2


async def test_the_answer_of_a_kept_read_is_whole_for_each_tool(connect: Connect) -> None:
    """Five questions kept side by side, and each gets its own back."""
    questions = [question(number) for number in range(20) if number % 5 != 4]

    async with connect() as tools:
        for each in questions:
            await each.ask(tools)
        answers = [await each.ask(tools) for each in questions]

    assert all(map(Question.is_answered_by, questions, answers))
    assert all("cached_seconds" in answer.structured["scope"] for answer in answers)
