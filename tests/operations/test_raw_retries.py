"""Passthrough requests are retried by their own arguments, and never beyond what is safe."""

from typing import Any

import pytest
from harness import Connect, Waits
from upstream import Drop, Hang, Reply, Upstream

READ: dict[str, Any] = {"url": "/api/query/cohorts/list", "method": "GET"}
UNKNOWN: dict[str, Any] = {
    "url": "/api/app/me",
    "method": "POST",
    "data": {"a": 1},
    "confirm": True,
}
APPEND: dict[str, Any] = {
    "url": "/engage",
    "method": "POST",
    "data": [{"$distinct_id": "a", "$add": {"n": 1}}],
}
FINE = Reply(json={})


@pytest.mark.parametrize("fault", [Reply(500), Reply(502, body="<html>"), Reply(429), Drop()])
async def test_by_default_nothing_is_tried_again(
    connect: Connect, upstream: Upstream, fault: Reply | Drop
) -> None:
    upstream.default = fault

    async with connect() as tools:
        answer = await tools.call("raw_request", **READ)

    assert (answer.status, answer.is_error) == ("failed", True)
    assert len(upstream.requests) == 1


@pytest.mark.parametrize("fault", [Reply(500), Reply(599), Drop()])
async def test_a_read_is_tried_as_often_as_asked(
    connect: Connect, upstream: Upstream, waits: Waits, fault: Reply | Drop
) -> None:
    upstream.on(READ["url"], fault, fault)
    upstream.default = FINE

    async with connect(pacing=waits.pacing()) as tools:
        answer = await tools.call("raw_request", **READ, max_retry_count=2, retry_delay_ms=1500)

    assert answer.status == "ok"
    assert len(upstream.requests) == 3
    assert waits.pauses == [1.5, 1.5]


async def test_and_no_more_often_than_that(
    connect: Connect, upstream: Upstream, waits: Waits
) -> None:
    upstream.default = Reply(500, json={"error": "still ill"})

    async with connect(pacing=waits.pacing()) as tools:
        answer = await tools.call("raw_request", **READ, max_retry_count=2)

    assert answer.status == "failed"
    assert answer.data["http_status"] == 500
    assert len(upstream.requests) == 3
    assert waits.pauses == [0, 0]


async def test_the_pauses_may_grow(connect: Connect, upstream: Upstream, waits: Waits) -> None:
    """2 s doubling, and at least a second of jitter."""
    upstream.default = Reply(503)

    async with connect(pacing=waits.pacing()) as tools:
        await tools.call(
            "raw_request",
            **READ,
            max_retry_count=3,
            use_exponential_backoff=True,
            retry_delay_ms=9,
        )

    assert waits.pauses == [3, 5, 9]


@pytest.mark.parametrize("request_", [READ, UNKNOWN, APPEND], ids=["read", "unknown", "append"])
@pytest.mark.parametrize(("on_all", "sent"), [(False, 1), (True, 3)])
async def test_a_429_is_tried_again_where_all_errors_are(
    connect: Connect, upstream: Upstream, request_: dict[str, Any], *, on_all: bool, sent: int
) -> None:
    """It was refused, so that even a write did not happen."""
    upstream.default = Reply(429, json={"error": "slow down"})

    async with connect() as tools:
        answer = await tools.call(
            "raw_request", **request_, max_retry_count=2, retry_on_all_errors=on_all
        )

    assert answer.status == "failed"
    assert len(upstream.requests) == sent


@pytest.mark.parametrize("status", [400, 401, 402, 403, 404, 413, 501])
async def test_all_errors_are_not_those_that_stay(
    connect: Connect, upstream: Upstream, status: int
) -> None:
    upstream.default = Reply(status)

    async with connect() as tools:
        answer = await tools.call(
            "raw_request", **READ, max_retry_count=5, retry_on_all_errors=True
        )

    assert answer.status == "failed"
    assert len(upstream.requests) == 1


@pytest.mark.parametrize("request_", [UNKNOWN, APPEND], ids=["unknown", "append"])
@pytest.mark.parametrize("fault", [Reply(500), Drop(), Hang()], ids=["500", "drop", "hang"])
async def test_a_write_that_may_have_happened_is_never_sent_twice(
    connect: Connect, upstream: Upstream, request_: dict[str, Any], fault: Reply | Drop | Hang
) -> None:
    upstream.default = fault

    async with connect() as tools:
        answer = await tools.call(
            "raw_request",
            **request_,
            max_retry_count=10,
            retry_on_all_errors=True,
            use_exponential_backoff=True,
            timeout_ms=100,
        )

    assert (answer.status, answer.is_error) == ("failed", True)
    assert "may have happened" in answer.text
    assert len(upstream.requests) == 1


async def test_a_write_that_says_the_same_each_time_is_sent_again(
    connect: Connect, upstream: Upstream
) -> None:
    upstream.on("/engage", Reply(500), Drop())
    upstream.default = Reply(body="1")

    async with connect() as tools:
        answer = await tools.call(
            "raw_request",
            url="/engage",
            method="POST",
            data=[{"$distinct_id": "a", "$set": {"n": 1}}],
            max_retry_count=2,
        )

    assert answer.status == "ok"
    assert len({request.body for request in upstream.requests}) == 1
    assert len(upstream.requests) == 3


@pytest.mark.parametrize(("count", "sent"), [(0, 1), (1, 2), (5, 2)])
async def test_a_timeout_ends_an_attempt_and_a_read_gets_one_more(
    connect: Connect, upstream: Upstream, count: int, sent: int
) -> None:
    upstream.default = Hang()

    async with connect() as tools:
        answer = await tools.call("raw_request", **READ, timeout_ms=100, max_retry_count=count)

    assert answer.status == "failed"
    assert "in time" in answer.text
    assert len(upstream.requests) == sent


async def test_without_a_timeout_the_calls_own_deadline_holds(
    connect: Connect, upstream: Upstream
) -> None:
    upstream.default = Hang()

    async with connect(read_seconds=0.2) as tools:
        answer = await tools.call("raw_request", **READ, timeout_ms=600_000)

    assert answer.status == "failed"
    assert len(upstream.requests) == 1


async def test_a_pause_that_mixpanel_asks_for_is_kept(
    connect: Connect, upstream: Upstream, waits: Waits
) -> None:
    upstream.on(READ["url"], Reply(503, headers={"retry-after": "7"}))
    upstream.default = FINE

    async with connect(pacing=waits.pacing()) as tools:
        answer = await tools.call("raw_request", **READ, max_retry_count=1, retry_delay_ms=1)

    assert answer.status == "ok"
    assert waits.pauses == [7]


async def test_a_pause_beyond_the_deadline_is_not_waited_for(
    connect: Connect, upstream: Upstream, waits: Waits
) -> None:
    upstream.default = Reply(500)

    async with connect(pacing=waits.pacing(), read_seconds=10) as tools:
        answer = await tools.call("raw_request", **READ, max_retry_count=9, retry_delay_ms=11_000)

    assert answer.status == "failed"
    assert waits.pauses == []
    assert len(upstream.requests) == 1


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("timeout_ms", 0),
        ("timeout_ms", "soon"),
        ("retry_delay_ms", -1),
        ("max_retry_count", -1),
        ("max_retry_count", 1.5),
        ("retry_on_all_errors", "some"),
        ("use_exponential_backoff", 2),
    ],
)
async def test_what_is_no_rule_is_refused(
    connect: Connect, upstream: Upstream, name: str, value: Any
) -> None:
    async with connect() as tools:
        for tool in ("raw_request", "create_generic_pipeline", "edit_generic_pipeline"):
            given = READ if tool == "raw_request" else {}
            answer = await tools.call(tool, **given, **{name: value})
            assert (answer.status, answer.is_error) == ("refused", True), tool
            assert name in answer.text

    assert upstream.requests == []
