"""What an answer that ends a call says of the next one, and the pauses Mixpanel asks for."""

import pytest
from harness import Connect, Waits
from metering import HOUR, mirror, next_slot, report, spend, too_many
from upstream import Reply, Upstream

INSIGHTS = "/api/query/insights"


@pytest.fixture(autouse=True)
def answering(upstream: Upstream) -> None:
    upstream.default = mirror


async def test_the_429_itself_names_the_next_slot_and_the_limit_it_taught(
    connect: Connect, upstream: Upstream, waits: Waits
) -> None:
    upstream.on(INSIGHTS, too_many(401, 400))

    async with connect(pacing=waits.pacing()) as tools:
        limited = await report(1).ask(tools)
        refused = await report(2).ask(tools)

    assert (limited.status, refused.status) == ("failed", "refused")
    assert limited.data["next_slot"] == refused.data["next_slot"]
    assert "400 queries an hour" in limited.text
    assert "60 queries" not in limited.text
    assert "Meanwhile" in limited.text


async def test_a_failure_in_the_last_slot_does_not_promise_another_in_a_minute(
    connect: Connect, upstream: Upstream, waits: Waits
) -> None:
    async with connect(pacing=waits.pacing()) as tools:
        await spend(tools, 59)
        upstream.on(INSIGHTS, Reply(500))
        failed = await report(99).ask(tools)

    assert failed.status == "failed"
    assert failed.data["next_slot"]
    assert "in a minute" not in failed.text


@pytest.mark.parametrize("seconds", [600, 2 * HOUR])
async def test_a_long_pause_that_was_asked_for_is_kept_by_the_next_calls_too(
    connect: Connect, upstream: Upstream, waits: Waits, seconds: int
) -> None:
    asked = Reply(429, json={"error": "slow down"}, headers={"retry-after": str(seconds)})
    upstream.on(INSIGHTS, asked)

    async with connect(pacing=waits.pacing()) as tools:
        await report(1).ask(tools)
        sent = len(upstream.requests)
        refused = await report(2).ask(tools)
        waits.pass_time(min(seconds, HOUR) + 1)
        answer = await report(3).ask(tools)

    assert (refused.status, answer.status) == ("refused", "ok")
    assert "asked for a pause" in refused.text
    assert next_slot(refused)
    assert len(upstream.requests) == sent + 1


async def test_a_short_pause_is_waited_for_and_no_more(
    connect: Connect, upstream: Upstream, waits: Waits
) -> None:
    asked = Reply(429, json={"error": "slow down"}, headers={"retry-after": "12"})
    upstream.on(INSIGHTS, asked)

    async with connect(pacing=waits.pacing()) as tools:
        answer = await report(1).ask(tools)

    assert answer.status == "ok"
    assert sum(waits.pauses) == pytest.approx(12, abs=1)


async def test_personal_data_is_asked_for_once_a_second(
    connect: Connect, upstream: Upstream, waits: Waits
) -> None:
    upstream.default = Reply(json={"status": "ok", "results": {}})

    async with connect(pacing=waits.pacing()) as tools:
        for number in range(3):
            url = f"/api/app/data-retrievals/v3.0/{number}"
            await tools.call("raw_request", url=url, method="GET")

    assert len(upstream.requests) == 3
    assert sum(waits.pauses) == pytest.approx(2.4, abs=0.5)
