"""Time-outs, and calls that end when they should: on the real clock, with small deadlines."""

import asyncio
import time
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any

import pytest
from harness import Connect, Person, Result, Waits
from mcp.types import ElicitResult
from retry_cells import EVERY_CALL, READS, SAFE, UNSAFE, Sent, nothing_between, tell, when_paused
from upstream import Hang, Reply, Upstream, running_upstream

every_call = pytest.mark.parametrize("sent", EVERY_CALL, ids=lambda sent: sent.name)
one_of_each = pytest.mark.parametrize(
    "sent", [READS[0], READS[-1], SAFE[0], UNSAFE[0]], ids=["read", "export", "safe", "unsafe"]
)

# What a call may take beyond its deadline on a busy machine.
SLACK = 2.0


@pytest.mark.parametrize("sent", READS, ids=lambda sent: sent.name)
async def test_a_read_is_repeated_after_its_first_time_out_only(
    connect: Connect, upstream: Upstream, waits: Waits, sent: Sent
) -> None:
    upstream.always(sent.path, Hang())

    async with connect(pacing=nothing_between(waits), **sent.within(0.8)) as tools:
        answer = await tools.call(sent.tool, **sent.arguments)

    assert (answer.status, answer.is_error) == ("failed", True)
    assert "no answer in time" in answer.text
    assert len(upstream.requests) == 2


@pytest.mark.parametrize("sent", READS[:3], ids=lambda sent: sent.name)
async def test_a_read_that_answers_the_second_time_is_a_read(
    connect: Connect, upstream: Upstream, waits: Waits, sent: Sent
) -> None:
    tell(upstream, sent, Hang())

    async with connect(pacing=nothing_between(waits), **sent.within(1.2)) as tools:
        answer = await tools.call(sent.tool, **sent.arguments)

    assert answer.status == "ok"
    assert len(upstream.requests) == 2


@pytest.mark.parametrize("sent", SAFE, ids=lambda sent: sent.name)
async def test_a_write_with_one_end_state_is_repeated_until_its_time_is_up(
    connect: Connect, upstream: Upstream, waits: Waits, sent: Sent
) -> None:
    """0.4 of the time for each attempt, and what is left for the third."""
    tell(upstream, sent, Hang(), Hang())

    async with connect(pacing=nothing_between(waits), **sent.within(1.2)) as tools:
        answer = await tools.call(sent.tool, **sent.arguments)

    assert answer.status == "ok", answer.text
    assert len(upstream.to(sent.path)) == 3


@pytest.mark.parametrize("sent", UNSAFE, ids=lambda sent: sent.name)
async def test_a_write_that_counts_twice_is_not_repeated_after_a_time_out(
    connect: Connect, upstream: Upstream, waits: Waits, sent: Sent
) -> None:
    tell(upstream, sent, Hang())

    async with connect(pacing=nothing_between(waits), **sent.within(0.8)) as tools:
        answer = await tools.call(sent.tool, **sent.arguments)

    assert (answer.status, answer.is_error) == ("failed", True)
    assert "may have happened" in answer.text
    assert len(upstream.requests) == 1


@every_call
async def test_what_never_left_is_sent_by_everyone_once_the_way_is_free(
    connect: Connect, waits: Waits, sent: Sent, unused_port: Callable[[], int]
) -> None:
    """Nobody listens at first; whatever the call is, it cannot have happened."""
    port = unused_port()
    late = Upstream()
    tell(late, sent)
    servers: list[asyncio.Server] = []

    async def listen() -> None:
        if not servers:
            servers.append(await asyncio.start_server(late.serve, "127.0.0.1", port))

    connection = {"base_url": f"http://127.0.0.1:{port}"}
    try:
        async with connect(connection=connection, pacing=when_paused(waits, listen)) as tools:
            answer = await tools.call(sent.tool, **sent.arguments)
    finally:
        for server in servers:
            server.close()

    assert answer.status == "ok", answer.text
    assert len(late.to(sent.path)) == 1
    assert waits.pauses == [3]


@pytest.mark.parametrize("sent", [READS[0], UNSAFE[0]], ids=["read", "unsafe"])
async def test_a_mixpanel_that_cannot_be_reached_is_said_to_have_got_nothing(
    connect: Connect, waits: Waits, sent: Sent, unused_port: Callable[[], int]
) -> None:
    connection = {"base_url": f"http://127.0.0.1:{unused_port()}"}

    async with connect(connection=connection, pacing=waits.pacing()) as tools:
        answer = await tools.call(sent.tool, **sent.arguments)

    assert (answer.status, answer.is_error) == ("failed", True)
    assert "Nothing was sent" in answer.text
    assert "MIXPANEL_BASE_URL" in answer.text


@one_of_each
async def test_no_call_goes_on_after_its_deadline_when_nothing_comes(
    connect: Connect, upstream: Upstream, waits: Waits, sent: Sent
) -> None:
    upstream.default = Hang()

    async with connect(pacing=nothing_between(waits), **sent.within(0.4)) as tools:
        answer, seconds = await _timed(tools.call(sent.tool, **sent.arguments))

    assert answer.is_error
    assert seconds < 0.4 + SLACK
    before = len(upstream.requests)
    await asyncio.sleep(0.15)
    assert len(upstream.requests) == before


@one_of_each
async def test_no_call_goes_on_after_its_deadline_when_the_answer_drips(
    connect: Connect, waits: Waits, sent: Sent
) -> None:
    """Each byte comes in time, and the last one never would."""
    async with (
        _dripping(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n") as url,
        connect(
            connection={"base_url": url}, pacing=nothing_between(waits), **sent.within(0.4)
        ) as tools,
    ):
        answer, seconds = await _timed(tools.call(sent.tool, **sent.arguments))

    assert (answer.status, answer.is_error) == ("failed", True)
    assert seconds < 0.4 + SLACK


async def test_no_call_goes_on_after_its_deadline_when_the_head_drips(
    connect: Connect, waits: Waits
) -> None:
    async with (
        _dripping(b"") as url,
        connect(
            connection={"base_url": url}, pacing=nothing_between(waits), read_seconds=0.4
        ) as tools,
    ):
        answer, seconds = await _timed(tools.call("list_saved_funnels"))

    assert answer.is_error
    assert seconds < 0.4 + SLACK


async def test_many_batches_share_one_deadline(
    connect: Connect, upstream: Upstream, waits: Waits
) -> None:
    """Each batch alone would be in time; together they are not."""
    events = [
        {
            "event": "Signed up",
            "properties": {"distinct_id": "ada", "time": 1_767_225_600 + n, "$insert_id": f"s-{n}"},
        }
        for n in range(10_000)
    ]
    upstream.default = Hang()

    async with connect(pacing=nothing_between(waits), write_seconds=0.5) as tools:
        answer, seconds = await _timed(tools.call("import_events", events=events))

    assert answer.is_error
    assert seconds < 0.5 + 2 * SLACK


async def test_an_export_that_stops_in_the_middle_says_what_is_there(
    connect: Connect, upstream: Upstream, waits: Waits
) -> None:
    line = b'{"event":"Signed up","properties":{"time":1767225600,"distinct_id":"ada"}}\n'
    head = b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n" + line * 3
    async with (
        _dripping(head, b"{") as url,
        connect(connection={"base_url": url}, pacing=waits.pacing(), export_seconds=0.4) as tools,
    ):
        answer = await tools.call("download_data", from_date="2026-01-01", to_date="2026-01-01")

    assert (answer.status, answer.is_error) == ("failed", True)
    assert answer.data["events_received"] == 3
    assert "incomplete" in answer.text
    assert upstream.requests == []


async def test_the_time_a_person_needs_does_not_count(
    connect: Connect, upstream: Upstream, waits: Waits
) -> None:
    """The deadline begins with the first request, not with the question."""
    upstream.default = Reply(json={})

    class SlowPerson(Person):
        async def __call__(self, context: Any, params: Any) -> ElicitResult:
            await asyncio.sleep(0.2)
            return await super().__call__(context, params)

    async with connect(
        era="legacy", person=SlowPerson(), pacing=waits.pacing(), write_seconds=0.15
    ) as tools:
        answer = await tools.call("delete_pipeline", name="p", confirm=True)

    assert answer.status == "ok", answer.text


async def test_a_passthrough_retries_by_its_own_numbers(
    connect: Connect, upstream: Upstream, waits: Waits
) -> None:
    upstream.default = Reply(500)

    async with connect(pacing=waits.pacing()) as tools:
        await tools.call(
            "raw_request",
            url="/api/query/cohorts/list",
            method="POST",
            max_retry_count=2,
            retry_delay_ms=250,
        )

    assert waits.pauses == [0.25, 0.25]
    assert len(upstream.requests) == 3


async def _timed(call: Any) -> tuple[Result, float]:
    begun = time.perf_counter()
    answer = await asyncio.wait_for(call, 5)
    return answer, time.perf_counter() - begun


@asynccontextmanager
async def _dripping(head: bytes, drop: bytes = b"H") -> AsyncGenerator[str]:
    """Serve a reply that begins with `head` and goes on one byte at a time, for ever."""
    over = asyncio.Event()
    serving: list[asyncio.Task[None] | None] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        serving.append(asyncio.current_task())
        with suppress(ConnectionError):
            await reader.readuntil(b"\r\n\r\n")
            writer.write(head)
            while not (writer.is_closing() or over.is_set()):
                writer.write(drop)
                await writer.drain()
                await asyncio.sleep(0.02)
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()
        over.set()
        await asyncio.gather(*(task for task in serving if task is not None))


async def test_the_upstream_of_these_tests_notices_who_leaves() -> None:
    """What the other tests rest on: a closed connection is counted."""
    async with running_upstream() as upstream:
        upstream.default = Hang()
        port = int(upstream.url.rsplit(":", 1)[1])
        _, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        await writer.drain()
        await asyncio.sleep(0.05)
        writer.close()
        await asyncio.sleep(0.05)
        assert upstream.closed_early == 1
