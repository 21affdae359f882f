"""Others use the project too: a 429 that says how much they used is believed."""

from datetime import UTC, datetime

import pytest
from harness import Connect, Waits
from metering import HOUR, JANUARY, left, mirror, next_slot, question, report, spend, too_many, used
from upstream import Reply, Upstream

from mixpanel_mcp.api.retry import Pacing

INSIGHTS = "/api/query/insights"


@pytest.fixture(autouse=True)
def answering(upstream: Upstream) -> None:
    upstream.default = mirror


async def test_others_calls_are_counted_from_then_on(
    connect: Connect, upstream: Upstream, waits: Waits
) -> None:
    upstream.on(INSIGHTS, too_many(55, 60))

    async with connect(pacing=waits.pacing()) as tools:
        answer = await report(1).ask(tools)
        assert (answer.status, used(answer), left(answer)) == ("ok", 56, 4)
        await spend(tools, 4)
        refused = await report(2).ask(tools)

    assert next_slot(refused)
    assert "others" in refused.text
    assert len(upstream.requests) == 6


async def test_when_others_used_everything_the_next_call_waits_for_a_named_moment(
    connect: Connect, upstream: Upstream, waits: Waits
) -> None:
    pacing = waits.pacing()
    upstream.on(INSIGHTS, too_many(60, 60))

    async with connect(pacing=pacing) as tools:
        limited = await report(1).ask(tools)
        refused = await report(2).ask(tools)
        slot = next_slot(refused)
        until = (slot - datetime.fromtimestamp(pacing.now(), UTC)).total_seconds()
        assert (limited.status, limited.is_error) == ("failed", True)
        assert len(upstream.requests) == 1
        assert 0 < until <= HOUR + 5

        waits.pass_time(until)
        later = await report(2).ask(tools)

    assert later.status == "ok"
    assert len(upstream.requests) == 2


async def test_all_of_the_others_calls_are_forgotten_after_their_hour(
    connect: Connect, upstream: Upstream, waits: Waits
) -> None:
    upstream.on(INSIGHTS, too_many(60, 60))

    async with connect(pacing=waits.pacing()) as tools:
        await report(1).ask(tools)
        waits.pass_time(HOUR + 2)
        await spend(tools, 60)
        refused = await report(2).ask(tools)

    assert (used(refused), left(refused)) == (60, 0)
    assert len(upstream.requests) == 61


async def test_others_and_ours_never_pass_the_limit_while_the_hour_goes_by(
    connect: Connect, upstream: Upstream, waits: Waits
) -> None:
    """A call a minute: what the others used comes back bit by bit."""
    upstream.on(INSIGHTS, too_many(60, 60))

    async with connect(pacing=waits.pacing(), cache_seconds=0) as tools:
        await report(1).ask(tools)
        counts: list[int] = []
        for minute in range(59):
            waits.pass_time(60)
            answer = await report(minute).ask(tools)
            counts.append(used(answer))

    assert max(counts) <= 60
    assert 30 < len(upstream.requests) <= 60


async def test_another_limit_is_believed(
    connect: Connect, upstream: Upstream, waits: Waits
) -> None:
    upstream.on(INSIGHTS, too_many(30, 400))

    async with connect(pacing=waits.pacing()) as tools:
        answer = await report(1).ask(tools)
        assert (used(answer), left(answer)) == (31, 369)
        await spend(tools, 369)
        refused = await report(2).ask(tools)

    assert next_slot(refused)
    assert "400 queries an hour" in refused.text
    assert answer.structured["scope"]["budget"]["queries"]["limit"] == 400


async def test_a_lower_limit_is_believed_too(
    connect: Connect, upstream: Upstream, waits: Waits
) -> None:
    upstream.on(INSIGHTS, too_many(10, 20))

    async with connect(pacing=waits.pacing()) as tools:
        await report(1).ask(tools)
        await spend(tools, 9)
        refused = await report(2).ask(tools)

    assert next_slot(refused)
    assert len(upstream.requests) == 11


async def test_our_own_calls_are_not_taken_for_others(
    connect: Connect, upstream: Upstream, waits: Waits
) -> None:
    async with connect(pacing=waits.pacing()) as tools:
        await spend(tools, 20)
        upstream.on(INSIGHTS, too_many(21, 60))
        answer = await report(1).ask(tools)

    assert (used(answer), left(answer)) == (22, 38)


async def test_a_later_count_replaces_an_earlier_one(
    connect: Connect, upstream: Upstream, waits: Waits
) -> None:
    upstream.on(INSIGHTS, too_many(50, 60), too_many(20, 60))

    async with connect(pacing=waits.pacing()) as tools:
        answer = await report(1).ask(tools)

    assert (used(answer), left(answer)) == (21, 39)


async def test_what_was_learned_of_one_project_says_nothing_of_another(
    connect: Connect, upstream: Upstream
) -> None:
    upstream.on(INSIGHTS, too_many(60, 60))

    async with connect() as tools:
        await report(1).ask(tools)
        other = await report(1).ask(tools, project_id=777)

    assert (other.status, used(other), left(other)) == ("ok", 1, 59)


async def test_a_raw_request_and_jql_learn_as_well(
    connect: Connect, upstream: Upstream, waits: Waits
) -> None:
    upstream.on("/api/query/events/names", too_many(40, 60))
    upstream.on("/api/query/jql", too_many(50, 60))

    async with connect(pacing=waits.pacing()) as tools:
        raw = await question(4).ask(tools)
        jql = await question(1).ask(tools)

    assert (raw.status, used(raw)) == ("failed", 40)
    assert (jql.status, used(jql)) == ("ok", 51)


async def test_an_exports_429_says_nothing_of_queries(
    connect: Connect, upstream: Upstream, waits: Waits
) -> None:
    upstream.on("/api/2.0/export", too_many(60, 60))

    async with connect(pacing=waits.pacing()) as tools:
        await tools.call("download_data", **JANUARY)
        query = await report(1).ask(tools)

    assert (query.status, used(query)) == ("ok", 1)


HARMLESS = {
    "empty": Reply(429),
    "html": Reply(429, body="<html>Too many requests</html>"),
    "json_list": Reply(429, json=[1]),
    "concurrency": Reply(429, json={"error": "5/5 queries running concurrently."}),
    "no_numbers": Reply(429, json={"error": "Query rate limit exceeded for project_id: 4242."}),
    "zero": too_many(0, 0),
    "negative": too_many(-5, -60),
    "huge": too_many("9" * 5000, "9" * 5000),
    "huge_limit": too_many(1, "9" * 20),
    "words": too_many("many", "few"),
    "broken_text": Reply(429, body=b"\xff\xfe\x00"),
}


@pytest.mark.parametrize("name", HARMLESS)
async def test_a_429_without_usable_numbers_does_no_harm(
    connect: Connect, upstream: Upstream, waits: Waits, name: str
) -> None:
    upstream.on(INSIGHTS, HARMLESS[name])

    async with connect(pacing=waits.pacing()) as tools:
        answer = await report(1).ask(tools)
        assert (answer.status, used(answer), left(answer)) == ("ok", 2, 58)
        await spend(tools, 58)
        refused = await report(2).ask(tools)

    assert next_slot(refused)
    assert len(upstream.requests) == 60


@pytest.mark.parametrize("count", [61, 1000, 999_999])
async def test_a_count_above_the_limit_ends_with_its_hour(
    connect: Connect, upstream: Upstream, waits: Waits, count: int
) -> None:
    upstream.on(INSIGHTS, too_many(count, 60))

    async with connect(pacing=waits.pacing()) as tools:
        await report(1).ask(tools)
        assert next_slot(await report(2).ask(tools))
        waits.pass_time(HOUR + 2)
        answer = await report(2).ask(tools)

    assert (answer.status, used(answer)) == ("ok", 1)


@pytest.mark.parametrize("count", [60, 61, 70, 80, 90, 100])
async def test_who_waited_for_the_named_moment_is_not_sent_away_again(
    connect: Connect, upstream: Upstream, count: int
) -> None:
    """On a clock that stops at the very end of a pause, as coarse ones do."""
    now = [1000.0]

    async def sleep(seconds: float) -> None:
        now[0] += seconds

    pacing = Pacing(clock=lambda: now[0], now=lambda: now[0], sleep=sleep)
    async with connect(pacing=pacing, cache_seconds=0) as tools:
        await spend(tools, 1)
        upstream.on(INSIGHTS, too_many(count, 60))
        await report(1).ask(tools)
        slot = next_slot(await report(1).ask(tools)).timestamp()
        now[0] = slot - 5
        answer = await report(1).ask(tools)

    assert answer.status == "ok", answer.text
    assert slot - 1 <= now[0] <= slot + 2
