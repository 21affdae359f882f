"""Faults on order, over real connections."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import httpx
import pytest
from sandbox_client import event

if TYPE_CHECKING:
    from sandbox_client import SandboxClient


async def test_faults_come_in_order_and_end(connected: SandboxClient) -> None:
    await connected.control("faults", {"path": "/track", "kind": "429", "times": 2, "after": 1})
    await connected.control("faults", {"path": "/track", "kind": 500})

    answers = [(await connected.track(event())).status_code for _ in range(5)]

    assert answers == [200, 429, 429, 500, 200]


async def test_zero_is_a_200_that_is_none(connected: SandboxClient) -> None:
    await connected.control("faults", {"path": "/track", "kind": "zero"})

    answer = await connected.track(event())

    assert (answer.status_code, answer.text) == (200, "0")


@pytest.mark.parametrize(
    ("method", "path", "error"),
    [
        ("POST", "/import", "Project exceeded rate limits."),
        ("POST", "/track", "Project exceeded rate limits."),
        ("GET", "/api/query/funnels", "Query rate limit exceeded for project_id: 1000001."),
        ("GET", "/api/2.0/export", "too many export requests in progress"),
    ],
)
async def test_each_family_has_its_own_429(
    connected: SandboxClient, method: str, path: str, error: str
) -> None:
    await connected.control("faults", {"path": path, "kind": "429"})

    answer = await connected.request(method, path)

    assert answer.status_code == 429
    assert answer.json()["error"].startswith(error)


async def test_reset_drops_the_connection_and_stores_nothing(connected: SandboxClient) -> None:
    await connected.control("faults", {"path": "/track", "kind": "reset"})

    with pytest.raises(httpx.TransportError):
        await connected.track(event())

    (listed,) = (await connected.get("/sandbox/requests")).json()
    assert (listed["status"], listed["path"]) == (None, "/track")
    assert listed["bytes"] > 0
    assert await _exported_today(connected) == 0


async def test_cut_does_the_work_and_loses_the_answer(connected: SandboxClient) -> None:
    await connected.control("faults", {"path": "/import", "kind": "cut"})

    with pytest.raises(httpx.RemoteProtocolError):
        await connected.import_events(event())

    assert await _exported_today(connected) == 1


async def test_a_cut_export_ends_in_the_middle(connected: SandboxClient) -> None:
    await connected.import_events(*(event(n=n) for n in range(500)))
    await connected.control("faults", {"path": "/api/2.0/export", "kind": "cut"})
    params = {"project_id": 1000001, "from_date": "2026-03-01", "to_date": "2026-03-10"}
    received: list[bytes] = []

    async with connected.stream("GET", "/api/2.0/export", params=params) as answer:
        assert answer.status_code == 200
        with pytest.raises(httpx.RemoteProtocolError):
            await _collect(answer, received)

    assert 0 < b"".join(received).count(b"\n") < 500


async def test_slow_answers_late_and_truly(connected: SandboxClient) -> None:
    await connected.control("faults", {"path": "/track", "kind": "slow", "seconds": 0.05})

    begun = time.monotonic()
    answer = await connected.track(event(), verbose="1")

    assert time.monotonic() - begun >= 0.05
    assert answer.json()["status"] == 1


async def _collect(answer: httpx.Response, into: list[bytes]) -> None:
    async for piece in answer.aiter_bytes():
        into += [piece]


async def _exported_today(client: SandboxClient) -> int:
    params = {"project_id": 1000001, "from_date": "2026-03-01", "to_date": "2026-03-10"}
    answer = await client.get("/api/2.0/export", params=params)
    return len(answer.text.splitlines())
