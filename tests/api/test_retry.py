"""Each cell of the retry table, counted by the requests that arrive."""

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from harness import Connect, Waits
from retry_cells import EVERY_CALL, READS, SAFE, UNSAFE, Sent, tell
from upstream import Answer, Drop, Reply, Upstream

every_call = pytest.mark.parametrize("sent", EVERY_CALL, ids=lambda sent: sent.name)
every_repeatable = pytest.mark.parametrize("sent", [*READS, *SAFE], ids=lambda sent: sent.name)
every_unsafe = pytest.mark.parametrize("sent", UNSAFE, ids=lambda sent: sent.name)

BROKEN: list[Answer] = [
    Reply(500),
    Reply(502, "<html>Bad gateway</html>"),
    Reply(503, "busy"),
    Reply(504),
    Drop(),
]
every_break = pytest.mark.parametrize("broken", BROKEN, ids=["500", "502", "503", "504", "dropped"])


@every_call
async def test_what_was_refused_with_429_is_sent_again_by_everyone(
    connect: Connect, upstream: Upstream, waits: Waits, sent: Sent
) -> None:
    tell(upstream, sent, Reply(429, '{"error": "slow down"}'), Reply(429))

    async with connect(pacing=waits.pacing()) as tools:
        answer = await tools.call(sent.tool, **sent.arguments)

    assert (answer.status, answer.is_error) == ("ok", False), answer.text
    assert len(upstream.to(sent.path)) == 3
    assert waits.pauses == [3, 5]  # 2 s doubling, and the least of 1 to 5 s of jitter
    assert len({request.content for request in upstream.requests}) == 1


@every_break
@every_repeatable
async def test_reads_and_writes_with_one_end_state_survive_a_break(
    connect: Connect, upstream: Upstream, waits: Waits, sent: Sent, broken: Answer
) -> None:
    tell(upstream, sent, broken, broken)

    async with connect(pacing=waits.pacing()) as tools:
        answer = await tools.call(sent.tool, **sent.arguments)

    assert (answer.status, answer.is_error) == ("ok", False), answer.text
    assert len(upstream.to(sent.path)) == 3
    assert waits.pauses == [3, 5]


@every_break
@every_unsafe
async def test_what_counts_twice_is_never_sent_again_after_a_break(
    connect: Connect, upstream: Upstream, waits: Waits, sent: Sent, broken: Answer
) -> None:
    """It may have happened, and the answer says so instead of guessing."""
    tell(upstream, sent, broken)

    async with connect(pacing=waits.pacing()) as tools:
        answer = await tools.call(sent.tool, **sent.arguments)

    assert (answer.status, answer.is_error) == ("failed", True)
    assert "may have happened" in answer.text
    assert len(upstream.requests) == 1
    assert waits.pauses == []


@every_call
async def test_a_refusal_is_final(
    connect: Connect, upstream: Upstream, waits: Waits, sent: Sent
) -> None:
    """Asking again changes nothing, and 501 says that it will always be so."""
    async with connect(pacing=waits.pacing()) as tools:
        for status in (400, 401, 402, 403, 404, 405, 409, 422, 501):
            upstream.requests.clear()
            tell(upstream, sent, Reply(status, json={"error": "no such luck"}))
            answer = await tools.call(sent.tool, **sent.arguments)

            assert (answer.status, answer.is_error) == ("failed", True), (status, answer.text)
            assert len(upstream.requests) == 1, status
            assert "may have happened" not in answer.text

    # Exports wait for the next of three a second; a retry would wait longer.
    assert all(pause < 2 for pause in waits.pauses)


async def test_events_without_an_insert_id_cannot_be_told_apart_and_go_once(
    connect: Connect, upstream: Upstream
) -> None:
    """A raw /track has no $insert_id of ours, so its second arrival would be a second event."""
    upstream.on("/track", Drop())

    async with connect() as tools:
        answer = await tools.call(
            "raw_request",
            url="/track",
            method="POST",
            data=[{"event": "Signed up", "properties": {"distinct_id": "ada"}}],
            max_retry_count=5,
        )

    assert "may have happened" in answer.text
    assert len(upstream.requests) == 1


@pytest.mark.parametrize("sent", [READS[0], SAFE[0], UNSAFE[0]], ids=["read", "safe", "unsafe"])
async def test_a_busy_mixpanel_is_left_alone_when_the_time_is_up(
    connect: Connect, upstream: Upstream, waits: Waits, sent: Sent
) -> None:
    """Reads have 30 s and writes 60 s: what does not fit any more is not waited for."""
    upstream.always(sent.path, Reply(429, json={"error": "slow down"}))

    async with connect(pacing=waits.pacing()) as tools:
        answer = await tools.call(sent.tool, **sent.arguments)

    expected = [3, 5, 9] if sent.row == "read" else [3, 5, 9, 17]
    assert waits.pauses == expected
    assert len(upstream.to(sent.path)) == len(expected) + 1
    assert (answer.status, answer.is_error) == ("failed", True)
    assert "HTTP 429" in answer.text
    assert f"Try again in {17 if sent.row == 'read' else 33} s" in answer.text


async def test_pauses_double_up_to_a_minute_and_no_further(
    connect: Connect, upstream: Upstream, waits: Waits
) -> None:
    upstream.always("/api/2.0/export", Reply(503))

    async with connect(pacing=waits.pacing(), export_seconds=400) as tools:
        await tools.call("download_data", from_date="2026-01-01", to_date="2026-01-01")

    assert waits.pauses == [3, 5, 9, 17, 33, 61, 61, 61, 61, 61]


@pytest.mark.parametrize("status", [429, 503])
async def test_mixpanels_own_retry_after_in_seconds_is_what_is_waited(
    connect: Connect, upstream: Upstream, waits: Waits, status: int
) -> None:
    tell(upstream, READS[0], Reply(status, headers={"Retry-After": "7"}), Reply(status))

    async with connect(pacing=waits.pacing()) as tools:
        answer = await tools.call("list_saved_funnels")

    assert answer.status == "ok"
    assert waits.pauses == [7, 5]


async def test_retry_after_may_be_a_date(
    connect: Connect, upstream: Upstream, waits: Waits
) -> None:
    then = format_datetime(datetime.now(UTC) + timedelta(seconds=12), usegmt=True)
    tell(upstream, READS[0], Reply(429, headers={"Retry-After": then}))

    async with connect(pacing=waits.pacing()) as tools:
        answer = await tools.call("list_saved_funnels")

    assert answer.status == "ok"
    (pause,) = waits.pauses
    assert 9 < pause <= 12


@pytest.mark.parametrize(
    ("value", "pause"),
    [
        ("Wed, 21 Oct 2015 07:28:00 GMT", 0),
        ("soon", 3),
        ("-5", 3),
        ("1.5", 3),
        ("", 3),
        ("Wed, 99 Oct 2015 07:28:00 GMT", 3),
        ("Mon, 01 Jan 0001 00:00:00 +2359", 0),
    ],
)
async def test_a_retry_after_that_makes_no_sense_is_no_reason_to_fail(
    connect: Connect, upstream: Upstream, waits: Waits, value: str, pause: float
) -> None:
    tell(upstream, READS[0], Reply(429, headers={"Retry-After": value}))

    async with connect(pacing=waits.pacing()) as tools:
        answer = await tools.call("list_saved_funnels")

    assert (answer.status, waits.pauses) == ("ok", [pause])


@pytest.mark.parametrize("asked", ["31", "3600", "9" * 400])
async def test_a_pause_beyond_the_deadline_ends_the_call_at_once(
    connect: Connect, upstream: Upstream, waits: Waits, asked: str
) -> None:
    upstream.always(READS[0].path, Reply(429, headers={"Retry-After": asked}))

    async with connect(pacing=waits.pacing()) as tools:
        answer = await tools.call("list_saved_funnels")

    assert waits.pauses == []
    assert len(upstream.requests) == 1
    assert (answer.status, answer.is_error) == ("failed", True)
    if len(asked) < 5:
        assert f"Try again in {asked} s" in answer.text


@pytest.mark.parametrize("sent", [READS[0], SAFE[0]], ids=["read", "safe"])
async def test_a_server_that_stays_down_is_reported_with_the_time_to_wait(
    connect: Connect, upstream: Upstream, waits: Waits, sent: Sent
) -> None:
    upstream.always(sent.path, Reply(503, "<html>maintenance</html>"))

    async with connect(pacing=waits.pacing()) as tools:
        answer = await tools.call(sent.tool, **sent.arguments)

    assert answer.status == "failed"
    assert "HTTP 503" in answer.text
    assert "Try again in" in answer.text
    assert "maintenance" not in answer.text
