"""Mixpanel's 60 queries an hour: counted in moving windows, and refused before Mixpanel does."""

from datetime import UTC, datetime, timedelta

import pytest
from harness import Connect, Era, Result, Waits
from metering import (
    DAY,
    EXPORT,
    HOUR,
    JANUARY,
    MINUTE,
    Meter,
    left,
    mirror,
    next_slot,
    report,
    spend,
    used,
)
from retry_cells import when_paused
from upstream import Drop, Reply, Upstream


@pytest.fixture(autouse=True)
def answering(upstream: Upstream) -> None:
    upstream.default = mirror


async def test_the_61st_query_of_an_hour_sends_nothing_and_says_when_the_next_may(
    connect: Connect, upstream: Upstream, waits: Waits, era: Era
) -> None:
    pacing = waits.pacing()
    async with connect(era=era, pacing=pacing) as tools:
        await spend(tools, 60)
        refusal = await report(1).ask(tools)
        slot = next_slot(refusal)

        assert len(upstream.requests) == 60
        in_an_hour = datetime.fromtimestamp(pacing.now(), UTC) + timedelta(hours=1)
        assert abs(slot - in_an_hour) < timedelta(minutes=1)
        assert "Nothing was sent" in refusal.text
        assert "60 queries an hour" in refusal.text
        assert "download_data" in refusal.text
        assert "cached" in refusal.text
        assert waits.pauses == []

        waits.pass_time((slot - datetime.fromtimestamp(pacing.now(), UTC)).total_seconds())
        assert (await report(1).ask(tools)).status == "ok"

    assert len(upstream.requests) == 61


async def test_what_costs_no_query_still_goes_out_when_no_query_is_left(
    connect: Connect, upstream: Upstream
) -> None:
    """What the refusal promises."""
    async with connect() as tools:
        await spend(tools, 60)
        kept = await report(10_000).ask(tools)
        events = await tools.call("download_data", **JANUARY)
        pipelines = await tools.call("list_pipelines")
        refusal = await report(1).ask(tools)

    assert (kept.status, events.status, pipelines.status) == ("ok", "ok", "ok")
    assert refusal.status == "refused"
    assert len(upstream.requests) == 62


async def test_the_windows_move_with_the_calls(
    connect: Connect, upstream: Upstream, waits: Waits
) -> None:
    """30 calls now and 30 in 50 minutes: at 55 nothing is left, after the hour 30 are."""
    async with connect(pacing=waits.pacing(), cache_seconds=0) as tools:
        await spend(tools, 30)
        waits.pass_time(50 * MINUTE)
        await spend(tools, 30)
        waits.pass_time(5 * MINUTE)
        assert (await report(1).ask(tools)).status == "refused"

        waits.pass_time(5 * MINUTE + 1)
        await spend(tools, 30)
        refusal = await report(1).ask(tools)

        assert used(refusal) == 60
        assert len(upstream.requests) == 90
        waits.pass_time(50 * MINUTE)
        await spend(tools, 30)

    assert len(upstream.requests) == 120


async def test_no_query_is_given_back_before_its_hour_is_over(
    connect: Connect, upstream: Upstream, waits: Waits
) -> None:
    async with connect(pacing=waits.pacing(), cache_seconds=0) as tools:
        await spend(tools, 60)
        waits.pass_time(HOUR - 30)
        refusal = await report(1).ask(tools)

    assert refusal.status == "refused"
    assert len(upstream.requests) == 60


async def test_a_slot_that_is_seconds_away_is_waited_for(
    connect: Connect, upstream: Upstream, waits: Waits
) -> None:
    async with connect(pacing=waits.pacing(), cache_seconds=0) as tools:
        await spend(tools, 60)
        waits.pass_time(HOUR - 4)
        answer = await report(1).ask(tools)

    assert answer.status == "ok"
    assert len(upstream.requests) == 61
    assert 3 < sum(waits.pauses) < 6


async def test_a_slot_beyond_the_calls_deadline_is_not_waited_for(
    connect: Connect, upstream: Upstream, waits: Waits
) -> None:
    async with connect(pacing=waits.pacing(), cache_seconds=0, read_seconds=2) as tools:
        await spend(tools, 60)
        waits.pass_time(HOUR - 6)
        refusal = await report(1).ask(tools)

    assert next_slot(refusal)
    assert waits.pauses == []
    assert len(upstream.requests) == 60


async def test_a_fourth_export_of_a_second_waits_for_the_next(
    connect: Connect, upstream: Upstream, waits: Waits
) -> None:
    meter = Meter(waits.clock)
    upstream.default = meter

    async with connect(pacing=waits.pacing()) as tools:
        answers = [await tools.call("download_data", **JANUARY) for _ in range(10)]

    assert [answer.status for answer in answers] == ["ok"] * 10
    assert [used(answer, "exports") for answer in answers] == list(range(1, 11))
    assert len(upstream.to(EXPORT)) == 10
    assert meter.most_within(1) == 3
    assert 2 < sum(waits.pauses) < 4


async def test_an_export_that_cannot_wait_a_second_is_told_of_the_second_and_not_of_the_hour(
    connect: Connect, upstream: Upstream, waits: Waits
) -> None:
    async with connect(pacing=waits.pacing(), export_seconds=0.5) as tools:
        answers = [await tools.call("download_data", **JANUARY) for _ in range(4)]

    assert next_slot(answers[3])
    assert len(upstream.requests) == 3
    assert "60 exports an hour" not in answers[3].text
    assert left(answers[3], "exports") == 57


async def test_the_61st_export_of_an_hour_is_refused(
    connect: Connect, upstream: Upstream, waits: Waits
) -> None:
    async with connect(pacing=waits.pacing()) as tools:
        for _ in range(60):
            answer = await tools.call("download_data", **JANUARY)
            assert answer.status == "ok"
        refusal = await tools.call("download_data", **JANUARY)
        assert next_slot(refusal)
        assert "60 exports an hour" in refusal.text
        assert "Query API" in refusal.text
        assert (await report(1).ask(tools)).status == "ok"
        waits.pass_time(DAY)
        assert (await tools.call("download_data", **JANUARY)).status == "ok"

    assert len(upstream.to(EXPORT)) == 61


@pytest.mark.parametrize("failing", [Reply(500), Reply(429), Drop()], ids=["500", "429", "drop"])
async def test_every_retry_costs_one(
    connect: Connect, upstream: Upstream, waits: Waits, failing: Reply | Drop
) -> None:
    upstream.on("/api/query/insights", failing, failing)

    async with connect(pacing=waits.pacing()) as tools:
        answer = await report(1).ask(tools)

    assert answer.status == "ok"
    assert len(upstream.requests) == 3
    assert (used(answer), left(answer)) == (3, 57)


async def test_retries_end_with_the_last_query_of_the_hour(
    connect: Connect, upstream: Upstream, waits: Waits
) -> None:
    async with connect(pacing=waits.pacing()) as tools:
        await spend(tools, 58)
        upstream.default = Reply(503)
        answer = await report(1).ask(tools)

    assert (answer.status, answer.is_error) == ("failed", True)
    assert len(upstream.requests) == 60
    assert left(answer) == 0


async def test_a_call_that_was_sent_once_is_not_said_to_have_sent_nothing(
    connect: Connect, upstream: Upstream, waits: Waits
) -> None:
    """Another call takes the last slot while this one pauses before its retry."""
    others: list[Result] = []

    async def ask_another() -> None:
        others.append(await report(2).ask(tools))

    async with connect(pacing=when_paused(waits, ask_another)) as tools:
        await spend(tools, 58)
        upstream.on("/api/query/insights", Reply(500))
        answer = await report(1).ask(tools)

    assert [other.status for other in others] == ["ok"]
    assert answer.is_error
    assert "Nothing was sent" not in answer.text
