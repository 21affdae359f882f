"""Equal reads that are under way at the same time go out once."""

import asyncio
import time
from typing import Any

import pytest
from harness import Connect, Era, Result, Tools, Waits
from metering import MINUTE, everybody_had_a_turn, mirror, next_slot, question, report, spend, used
from retry_cells import nothing_between
from upstream import Drop, Hang, Held, Reply, Upstream

INSIGHTS = "/api/query/insights"


@pytest.fixture
def release() -> asyncio.Event:
    return asyncio.Event()


@pytest.fixture(autouse=True)
def answering(upstream: Upstream, release: asyncio.Event) -> None:
    """Every answer waits until it is let go."""
    upstream.default = Held(release, mirror)


def _asking(tools: Tools, calls: int, number: int = 1, **more: Any) -> list[asyncio.Task[Result]]:
    return [asyncio.create_task(report(number).ask(tools, **more)) for _ in range(calls)]


@pytest.mark.parametrize("cache_seconds", [0, 60])
@pytest.mark.parametrize("number", range(4))
async def test_fifty_equal_calls_are_one_request(
    connect: Connect,
    upstream: Upstream,
    release: asyncio.Event,
    era: Era,
    number: int,
    cache_seconds: int,
) -> None:
    async with connect(era=era, cache_seconds=cache_seconds) as tools:
        asked = [asyncio.create_task(question(number).ask(tools)) for _ in range(50)]
        await upstream.opened(1)
        await everybody_had_a_turn()
        release.set()
        answers = await asyncio.gather(*asked)

    assert len(upstream.requests) == 1
    assert all(map(question(number).is_answered_by, answers))
    assert {answer.status for answer in answers} == {"ok"}
    assert {used(answer) for answer in answers} == {1}


async def test_the_others_get_an_answer_where_the_first_caller_leaves(
    connect: Connect, upstream: Upstream, release: asyncio.Event
) -> None:
    async with connect() as tools:
        asked = _asking(tools, 10)
        await upstream.opened(1)
        await everybody_had_a_turn()
        asked[0].cancel()
        await asyncio.wait(asked[:1])
        await everybody_had_a_turn()
        release.set()
        answers = await asyncio.gather(*asked[1:])

    assert {answer.status for answer in answers} == {"ok"}
    assert len(upstream.requests) <= 2


async def test_callers_that_leave_one_by_one_leave_the_last_its_answer(
    connect: Connect, upstream: Upstream, release: asyncio.Event
) -> None:
    async with connect() as tools:
        asked = _asking(tools, 4)
        await upstream.opened(1)
        for task in asked[:3]:
            await everybody_had_a_turn()
            task.cancel()
            await asyncio.wait([task])
        await everybody_had_a_turn()
        release.set()
        answer = await asked[3]

    assert answer.status == "ok"
    assert len(upstream.requests) <= 4


async def test_one_that_leaves_while_it_waits_for_the_first_costs_nothing(
    connect: Connect, upstream: Upstream, release: asyncio.Event
) -> None:
    async with connect() as tools:
        asked = _asking(tools, 3)
        await upstream.opened(1)
        await everybody_had_a_turn()
        asked[2].cancel()
        await asyncio.wait(asked[2:])
        release.set()
        answers = await asyncio.gather(*asked[:2])

    assert {answer.status for answer in answers} == {"ok"}
    assert len(upstream.requests) == 1


@pytest.mark.parametrize(
    "failing",
    [Reply(400, json={"error": "no"}), Reply(json={"headers": 1, "series": 1}), Reply(body="x")],
    ids=["400", "wrong_shape", "no_json"],
)
async def test_a_failure_is_everybodys_and_nobodys_afterwards(
    connect: Connect, upstream: Upstream, release: asyncio.Event, failing: Reply
) -> None:
    upstream.on(INSIGHTS, Held(release, failing))

    async with connect() as tools:
        asked = _asking(tools, 20)
        await upstream.opened(1)
        await everybody_had_a_turn()
        release.set()
        answers = await asyncio.gather(*asked)
        sent = len(upstream.requests)
        later = await report(1).ask(tools)

    assert sent == 1
    assert {(answer.status, answer.is_error) for answer in answers} == {("failed", True)}
    assert later.status == "ok"
    assert "cached_seconds" not in later.structured["scope"]
    assert len(upstream.requests) == 2


async def test_retries_of_a_shared_read_are_shared(
    connect: Connect, upstream: Upstream, waits: Waits, release: asyncio.Event
) -> None:
    upstream.on(INSIGHTS, Held(release, Reply(500)), Drop())

    async with connect(pacing=waits.pacing()) as tools:
        asked = _asking(tools, 10)
        await upstream.opened(1)
        await everybody_had_a_turn()
        release.set()
        answers = await asyncio.gather(*asked)

    assert {answer.status for answer in answers} == {"ok"}
    assert len(upstream.requests) == 3
    assert {used(answer) for answer in answers} == {3}


async def test_equal_calls_without_a_slot_are_all_refused_and_asked_anew_later(
    connect: Connect, upstream: Upstream, waits: Waits, release: asyncio.Event
) -> None:
    release.set()
    async with connect(pacing=waits.pacing()) as tools:
        await spend(tools, 60)
        answers = await asyncio.gather(*_asking(tools, 10))
        waits.pass_time(61 * MINUTE)
        later = await report(1).ask(tools)

    assert all(map(next_slot, answers))
    assert later.status == "ok"
    assert len(upstream.requests) == 61


async def test_fresh_calls_join_nobody(
    connect: Connect, upstream: Upstream, release: asyncio.Event
) -> None:
    async with connect() as tools:
        asked = [*_asking(tools, 2), *_asking(tools, 2, fresh=True)]
        await upstream.opened(3)
        await everybody_had_a_turn()
        release.set()
        answers = await asyncio.gather(*asked)

    assert {answer.status for answer in answers} == {"ok"}
    assert len(upstream.requests) == 3


async def test_different_calls_do_not_wait_for_each_other(
    connect: Connect, upstream: Upstream, release: asyncio.Event
) -> None:
    async with connect() as tools:
        slow = _asking(tools, 2)
        await upstream.opened(1)
        upstream.default = mirror
        quick = await report(2).ask(tools)
        assert quick.status == "ok"
        assert not any(task.done() for task in slow)
        release.set()
        await asyncio.gather(*slow)

    assert len(upstream.requests) == 2


async def test_raw_requests_are_each_sent(
    connect: Connect, upstream: Upstream, release: asyncio.Event
) -> None:
    """Whoever asks raw gets what Mixpanel says now."""
    release.set()
    async with connect() as tools:
        await asyncio.gather(*(question(4).ask(tools) for _ in range(4)))

    assert len(upstream.requests) == 4


async def test_who_waited_for_another_call_has_no_more_time_than_its_own(
    connect: Connect, upstream: Upstream, waits: Waits
) -> None:
    """The first caller leaves shortly before the deadline of both."""
    upstream.always(INSIGHTS, Hang())

    async with connect(pacing=nothing_between(waits), read_seconds=1) as tools:
        begun = time.perf_counter()
        asked = _asking(tools, 2)
        await asyncio.wait(asked, timeout=0.7)
        asked[0].cancel()
        answer = await asked[1]
        seconds = time.perf_counter() - begun

    assert (answer.status, answer.is_error) == ("failed", True)
    assert seconds < 1.5
