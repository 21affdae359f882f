"""200 calls side by side: never more than Mixpanel allows, and each with its own answer."""

import asyncio
import time
from collections.abc import Callable

import pytest
from harness import Connect, Era, Result, Tools, Waits
from metering import (
    EXPORT,
    HOUR,
    JANUARY,
    Meter,
    Question,
    everybody_had_a_turn,
    mirror,
    next_slot,
    question,
    too_many,
    used,
)
from upstream import Held, Upstream

from mixpanel_mcp.api.retry import Pacing


@pytest.fixture
def release() -> asyncio.Event:
    return asyncio.Event()


async def _ask_all(tools: Tools, questions: list[Question]) -> list[Result]:
    return await asyncio.gather(*(each.ask(tools) for each in questions))


def _different(number: int) -> Question:
    return question(number)


def _in_pairs(number: int) -> Question:
    """Each question twice, the two far apart; raw requests are not cached, so not among them."""
    return question([n for n in range(1000) if n % 5 != 4][number % 100])


@pytest.mark.parametrize("asked", [_different, _in_pairs], ids=["different", "in_pairs"])
async def test_two_hundred_queries_at_once_stay_within_the_hour_and_the_five(
    connect: Connect,
    upstream: Upstream,
    release: asyncio.Event,
    era: Era,
    asked: Callable[[int], Question],
) -> None:
    meter = Meter(time.monotonic)
    upstream.default = Held(release, meter)
    questions = [asked(number) for number in range(200)]

    async with connect(era=era) as tools:
        everything = asyncio.create_task(_ask_all(tools, questions))
        await upstream.opened(5)
        await everybody_had_a_turn()  # a sixth has all the time to come
        assert upstream.open == 5
        release.set()
        answers = await everything

    assert upstream.most_open == 5
    assert len(upstream.requests) == meter.most_within(HOUR) == 60
    for each, answer in zip(questions, answers, strict=True):
        assert answer.status in {"ok", "refused"}
        if answer.status == "ok":
            assert each.is_answered_by(answer)
        else:
            assert next_slot(answer)
            assert "cost no query" in answer.text
    answered = {each.number for each, one in zip(questions, answers, strict=True) if _good(one)}
    assert len(answered) == 60


def _good(answer: Result) -> bool:
    return answer.status == "ok"


async def test_equal_questions_among_two_hundred_are_all_answered_for_the_price_of_one(
    connect: Connect, upstream: Upstream, release: asyncio.Event, era: Era
) -> None:
    """40 questions, five times each."""
    upstream.default = Held(release, mirror)
    cached = [n for n in range(100) if n % 5 != 4][:40]
    questions = [question(number) for number in cached * 5]

    async with connect(era=era) as tools:
        everything = asyncio.create_task(_ask_all(tools, questions))
        await upstream.opened(5)
        release.set()
        answers = await everything

    assert len(upstream.requests) == 40
    assert all(map(_good, answers))
    assert all(map(Question.is_answered_by, questions, answers))
    assert max(map(used, answers)) == 40


async def test_no_sixty_first_goes_out_while_time_goes_on(
    connect: Connect, upstream: Upstream, waits: Waits
) -> None:
    """Five waves of 40 in two hours and a half, counted by the recorder's own window."""
    meter = Meter(waits.clock)
    upstream.default = meter
    answers: list[Result] = []

    async with connect(pacing=waits.pacing(), cache_seconds=0) as tools:
        for wave in range(5):
            questions = [question(wave * 40 + number) for number in range(40)]
            answers += await _ask_all(tools, questions)
            waits.pass_time(HOUR / 2)

    assert meter.most_within(HOUR) == 60
    assert [answer.status for answer in answers].count("ok") == len(upstream.requests)
    assert len(upstream.requests) >= 140


async def test_exports_side_by_side_leave_three_a_second(
    connect: Connect, upstream: Upstream, era: Era
) -> None:
    """On the real clock; a request may be late by a fifth of a second on a busy machine."""
    meter = Meter(time.monotonic)
    upstream.default = meter

    async with connect(era=era, pacing=Pacing()) as tools:
        answers = await asyncio.gather(
            *(tools.call("download_data", **JANUARY, limit=n + 1) for n in range(8))
        )

    assert [answer.status for answer in answers] == ["ok"] * 8
    assert len(upstream.to(EXPORT)) == 8
    assert meter.most_within(0.8) == 3


async def test_two_hundred_exports_at_once_stay_within_the_hour(
    connect: Connect, upstream: Upstream, waits: Waits
) -> None:
    meter = Meter(waits.clock)
    upstream.default = meter

    async with connect(pacing=waits.pacing()) as tools:
        answers = await asyncio.gather(
            *(tools.call("download_data", **JANUARY, limit=n + 1) for n in range(200))
        )

    assert meter.most_within(HOUR) <= 60
    assert [answer.status for answer in answers].count("ok") == len(upstream.requests)
    for answer in answers:
        if answer.status != "ok":
            assert next_slot(answer)


async def test_jql_side_by_side_counts_every_query_once(
    connect: Connect, upstream: Upstream
) -> None:
    """Refusals of the JQL allowance take nothing from the queries."""
    upstream.on("/api/query/insights", too_many(1, 400))
    upstream.default = mirror

    async with connect() as tools:
        await question(5).ask(tools)
        for number in range(58):
            await tools.call("custom_jql_query", script=f"// asked-{number}")
        before = await tools.call("list_saved_funnels")
        answers = await asyncio.gather(
            *(tools.call("custom_jql_query", script=f"// asked-{n}") for n in range(100, 105))
        )
        after = await tools.call("list_saved_funnels", fresh=True)

    assert sorted(answer.status for answer in answers) == ["ok"] * 2 + ["refused"] * 3
    assert used(after) == used(before) + 3


async def test_places_come_free_for_those_that_wait(
    connect: Connect, upstream: Upstream, release: asyncio.Event
) -> None:
    """Two projects have five places each."""
    upstream.default = Held(release, mirror)

    async with connect() as tools:
        asked = [
            asyncio.create_task(question(number * 5).ask(tools, project_id=project))
            for number in range(8)
            for project in (4242, 777)
        ]
        await upstream.opened(10)
        await everybody_had_a_turn()
        assert upstream.open == 10
        release.set()
        answers = await asyncio.gather(*asked)

    assert all(map(_good, answers))
    assert upstream.most_open == 10


async def test_who_finds_no_place_before_the_deadline_is_refused_in_time(
    connect: Connect, upstream: Upstream, release: asyncio.Event
) -> None:
    """Five unknown calls of the Query API, which count as writes and so have more time."""
    upstream.default = Held(release, mirror)
    unknown = {"url": "/api/query/unknown", "method": "POST", "confirm": True}

    async with connect(read_seconds=0.3) as tools:
        five = [asyncio.create_task(tools.call("raw_request", **unknown)) for _ in range(5)]
        await upstream.opened(5)
        begun = time.monotonic()
        refused = await question(5).ask(tools)
        seconds = time.monotonic() - begun
        release.set()
        answers = await asyncio.gather(*five)

    assert all(map(_good, answers))
    assert 0.2 < seconds < 5
    assert (refused.status, refused.is_error) == ("refused", True)
    assert "Nothing was sent" in refused.text
    assert used(refused) == len(upstream.requests) == 5
