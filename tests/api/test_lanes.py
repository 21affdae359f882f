"""Connections to Mixpanel: one for each request, no more than there may be, none ever lost."""

import anyio
import httpx
import pytest

from mixpanel_mcp.api.lanes import Lanes

_PATIENCE = 5.0


def _client() -> httpx.AsyncClient:
    return httpx.AsyncClient(transport=httpx.MockTransport(lambda _: httpx.Response(200)))


async def test_the_lane_used_last_is_taken_first() -> None:
    lanes = Lanes(_client, most=3)
    async with lanes.taken(_PATIENCE) as first, lanes.taken(_PATIENCE) as second:
        assert first is not second
    async with lanes.taken(_PATIENCE) as again:
        assert again is first


async def test_one_request_after_another_needs_one_lane() -> None:
    opened: list[httpx.AsyncClient] = []

    def client() -> httpx.AsyncClient:
        opened.append(_client())
        return opened[-1]

    lanes = Lanes(client, most=3)
    for _ in range(5):
        async with lanes.taken(_PATIENCE):
            pass
    assert len(opened) == 1


async def test_who_finds_no_lane_waits_for_one() -> None:
    lanes = Lanes(_client, most=1)
    order: list[str] = []

    async def second() -> None:
        async with lanes.taken(_PATIENCE):
            order.append("second")

    async with anyio.create_task_group() as beside, lanes.taken(_PATIENCE):
        beside.start_soon(second)
        await anyio.wait_all_tasks_blocked()
        order.append("first")
    assert order == ["first", "second"]


async def test_who_waits_too_long_is_told_that_nothing_was_sent() -> None:
    lanes = Lanes(_client, most=1)
    async with lanes.taken(_PATIENCE):
        with pytest.raises(httpx.PoolTimeout):
            async with lanes.taken(0):
                pytest.fail("there is no lane")


async def test_a_request_that_fails_or_is_cancelled_gives_its_lane_back() -> None:
    lanes = Lanes(_client, most=1)
    with pytest.raises(httpx.ReadError):
        async with lanes.taken(_PATIENCE):
            raise httpx.ReadError("lost")
    with anyio.CancelScope() as scope:
        async with lanes.taken(_PATIENCE):
            scope.cancel()
            await anyio.sleep_forever()
    async with anyio.create_task_group() as waiting, lanes.taken(_PATIENCE):
        waiting.start_soon(_take, lanes)
        await anyio.wait_all_tasks_blocked()
        waiting.cancel_scope.cancel()
    async with lanes.taken(0):
        pass


async def test_all_lanes_are_closed() -> None:
    lanes = Lanes(_client, most=2)
    async with lanes.taken(_PATIENCE) as first, lanes.taken(_PATIENCE) as second:
        pass
    await lanes.close()
    assert first.is_closed
    assert second.is_closed


async def _take(lanes: Lanes) -> None:
    async with lanes.taken(_PATIENCE):
        pass
