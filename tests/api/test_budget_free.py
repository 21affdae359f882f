"""What never reached Mixpanel costs nothing."""

import asyncio
import os
import socket
from collections.abc import Callable, Iterator

import pytest
from harness import Connect, Waits
from metering import JANUARY, everybody_had_a_turn, left, mirror, report, used
from upstream import Held, Upstream


@pytest.fixture
def full_port() -> Iterator[int]:
    """A port that lets nobody in: its queue is full, and nobody is taken from it."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        address = listener.getsockname()
        queue = [socket.socket() for _ in range(4)]
        for each in queue:
            each.settimeout(0)
            each.connect_ex(address)
        yield address[1]
        for each in queue:
            each.close()


async def test_what_never_reached_mixpanel_costs_nothing(
    connect: Connect, waits: Waits, unused_port: Callable[[], int]
) -> None:
    connection = {"base_url": f"http://127.0.0.1:{unused_port()}"}

    async with connect(connection=connection, pacing=waits.pacing()) as tools:
        answers = [await report(number).ask(tools) for number in range(3)]
        export = await tools.call("download_data", **JANUARY)

    assert {answer.status for answer in [*answers, export]} == {"failed"}
    assert waits.pauses  # each was tried more than once
    assert (used(export), used(export, "exports")) == (0, 0)
    assert (left(export), left(export, "exports")) == (60, 60)


@pytest.mark.parametrize("missing", ["username", "password", "project_id"])
async def test_what_is_not_configured_costs_nothing(
    connect: Connect, upstream: Upstream, missing: str
) -> None:
    async with connect(connection={missing: None}) as tools:
        answer = await report(1).ask(tools)

    assert answer.status == "refused"
    assert (used(answer), left(answer)) == (0, 60)
    assert upstream.requests == []


async def test_a_proxy_that_cannot_be_used_costs_nothing(
    connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in [name for name in os.environ if name.lower().endswith("_proxy")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HTTPS_PROXY", "nonsense://proxy")

    async with connect(connection={"base_url": None}) as tools:
        answer = await report(1).ask(tools)

    assert answer.status == "refused"
    assert "Nothing was sent" in answer.text
    assert used(answer) == 0


async def test_wrong_arguments_cost_nothing(connect: Connect, upstream: Upstream) -> None:
    async with connect() as tools:
        answer = await tools.call("query_insights_saved_reports", bookmark_id="eleven")

    assert answer.status == "refused"
    assert used(answer) == 0
    assert upstream.requests == []


async def test_a_query_that_was_left_while_it_waited_for_a_place_costs_nothing(
    connect: Connect, upstream: Upstream
) -> None:
    release = asyncio.Event()
    upstream.default = Held(release, mirror)

    async with connect() as tools:
        running = [asyncio.create_task(report(number).ask(tools)) for number in range(5)]
        await upstream.opened(5)
        sixth = asyncio.create_task(report(6).ask(tools))
        await everybody_had_a_turn()
        sixth.cancel()
        await asyncio.wait([sixth])
        release.set()
        await asyncio.gather(*running)
        answer = await report(7).ask(tools)

    assert used(answer) == 6
    assert len(upstream.requests) == 6


@pytest.mark.parametrize("seconds", [0.3, 3])
async def test_a_connection_that_never_opens_costs_nothing(
    connect: Connect, waits: Waits, full_port: int, seconds: float
) -> None:
    """Also where the call's time ends before the time to connect does."""
    connection = {"base_url": f"http://127.0.0.1:{full_port}"}

    async with connect(connection=connection, pacing=waits.pacing(), read_seconds=seconds) as tools:
        answer = await report(1).ask(tools)

    assert (answer.status, answer.is_error) == ("failed", True)
    assert (used(answer), left(answer)) == (0, 60)


async def test_a_write_whose_connection_never_opens_cannot_have_happened(
    connect: Connect, waits: Waits, full_port: int
) -> None:
    connection = {"base_url": f"http://127.0.0.1:{full_port}"}
    add = [{"$distinct_id": "ada", "$add": {"visits": 1}}]

    async with connect(connection=connection, pacing=waits.pacing(), write_seconds=0.3) as tools:
        answer = await tools.call("update_multiple_profiles", properties_to_update=add)

    assert (answer.status, answer.is_error) == ("failed", True)
    assert "may have happened" not in answer.text
