"""Rate limits, where they are switched on: who is refused, with what words, and until when."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from sandbox_client import PROJECT_ID, called_in_process, event, update

from mixpanel_mcp.sandbox import rate_limits
from mixpanel_mcp.sandbox.bodies import Submission
from mixpanel_mcp.sandbox.rate_limits import MovingWindow, RateLimits
from mixpanel_mcp.sandbox.replies import RefusedError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from sandbox_client import SandboxClient

TOO_FAST = "Project exceeded rate limits. Please retry the request with exponential backoff."


class Watch:
    """A clock that a test moves."""

    def __init__(self) -> None:
        self.seconds = 1_000.0

    def __call__(self) -> float:
        return self.seconds


@pytest.fixture
def watch() -> Watch:
    return Watch()


@pytest.fixture
async def limited(watch: Watch) -> AsyncIterator[SandboxClient]:
    async with called_in_process(demo=False, limits=True) as client:
        counters = client.project.rate_limits
        assert counters is not None
        counters.clock = watch
        yield client


def counters_of(client: SandboxClient) -> RateLimits:
    counters = client.project.rate_limits
    assert counters is not None
    return counters


async def test_the_61st_query_of_an_hour_is_refused(limited: SandboxClient, watch: Watch) -> None:
    for _ in range(rate_limits.QUERIES_PER_HOUR):
        assert (await limited.query("/funnels/list")).status_code == 200
        watch.seconds += 10

    refused = await limited.query("/funnels/list")
    assert refused.status_code == 429
    assert refused.json() == {
        "request": f"/api/query/funnels/list?project_id={PROJECT_ID}",
        "error": f"Query rate limit exceeded for project_id: {PROJECT_ID}. 1/5 queries running"
        " concurrently and 61/60 queries running in the last hour.",
    }
    watch.seconds += 3_600 - 60 * 10
    assert (await limited.query("/funnels/list")).status_code == 200
    assert (await limited.query("/funnels/list")).status_code == 429


async def test_all_queries_share_the_hour(limited: SandboxClient) -> None:
    for _ in range(30):
        await limited.query_profiles()
        await limited.get("/api/2.0/engage", params={"project_id": PROJECT_ID})

    assert (await limited.post("/api/query/jql")).status_code == 429
    assert (await limited.export()).status_code == 200
    assert (await limited.pipeline_read("jobs")).status_code == 200
    assert (await limited.track(event())).status_code == 200


async def test_five_queries_run_at_once(limited: SandboxClient) -> None:
    running = counters_of(limited).queries
    for _ in range(5):
        assert running.begin(0)

    answer = await limited.query("/funnels/list")

    assert answer.status_code == 429
    assert "6/5 queries running concurrently and 6/60" in answer.json()["error"]


async def test_what_ran_is_over(limited: SandboxClient) -> None:
    answers = await asyncio.gather(*(limited.query("/funnels/list") for _ in range(5)))

    assert {answer.status_code for answer in answers} == {200}
    assert counters_of(limited).queries.running == 0


async def test_wrong_credentials_spend_nothing(limited: SandboxClient) -> None:
    for _ in range(rate_limits.QUERIES_PER_HOUR + 1):
        answer = await limited.get("/api/query/funnels/list", auth=("nobody", "nothing"))
        assert answer.status_code == 401

    assert (await limited.query("/funnels/list")).status_code == 200


async def test_exports_have_a_pace_and_an_hour(limited: SandboxClient, watch: Watch) -> None:
    answers = [await limited.export() for _ in range(4)]
    assert [answer.status_code for answer in answers] == [200, 200, 200, 429]
    assert answers[-1].json() == {"error": "too many export requests in progress for this project"}

    statuses: list[int] = []
    for _ in range(rate_limits.EXPORTS_PER_HOUR - 2):
        watch.seconds += 1
        statuses.append((await limited.export()).status_code)
    assert statuses == [200] * (rate_limits.EXPORTS_PER_HOUR - 3) + [429]


async def test_a_hundred_exports_run_at_once(watch: Watch) -> None:
    counters = RateLimits(watch)
    exports = counters.exports
    for number in range(50):
        watch.seconds += 1
        assert exports.begin(watch.seconds), number
    assert exports.running == 50
    exports.running = rate_limits.EXPORTS_AT_ONCE

    watch.seconds += 3_600
    assert not exports.begin(watch.seconds)
    exports.end(watch.seconds, counts=True)
    assert exports.begin(watch.seconds)


@pytest.mark.parametrize(
    ("path", "body", "reply"),
    [
        (
            f"/import?strict=1&project_id={PROJECT_ID}",
            event(),
            {"code": 429, "error": TOO_FAST, "status": "Too Many Requests"},
        ),
        (
            f"/import?strict=0&project_id={PROJECT_ID}",
            event(),
            {"error": TOO_FAST, "status": 0},
        ),
        ("/track", event(), {"error": TOO_FAST, "status": 0}),
        ("/engage", update(set={"a": 1}), {"error": TOO_FAST, "status": 0}),
    ],
    ids=["strict import", "lenient import", "track", "engage"],
)
async def test_ingestion_has_a_minute(
    limited: SandboxClient, watch: Watch, path: str, body: Any, reply: dict[str, Any]
) -> None:
    batch = Submission([body] * 2_000, {}, size=1_000_000)
    for _ in range(rate_limits.EVENTS_PER_MINUTE // 2_000):
        counters_of(limited).admit("/import", batch)

    refused = await limited.post(path, json=[body])
    assert (refused.status_code, refused.json()) == (429, reply)
    assert await limited.exported() == []

    watch.seconds += 60
    assert (await limited.post(path, json=[body])).status_code == 200


def test_bytes_are_limited_too(watch: Watch) -> None:
    counters = RateLimits(watch)
    half = Submission([{}], {}, size=rate_limits.BYTES_PER_MINUTE // 2)
    counters.admit("/track", half)
    counters.admit("/track", half)

    with pytest.raises(RefusedError):
        counters.admit("/track", Submission([{}], {}, size=1))


async def test_the_size_is_that_of_the_unpacked_body(limited: SandboxClient) -> None:
    seen: list[int] = []
    counters = counters_of(limited)
    admit = counters.admit

    def noting(path: str, submission: Submission) -> None:
        seen.append(submission.size)
        admit(path, submission)

    counters.admit = noting
    request = httpx.Request("POST", "http://127.0.0.1/track", json=[event()])
    await limited.track(event())
    await limited.get("/track", params={"data": "e30="})

    assert seen[0] == len(request.content)


async def test_without_the_switch_nobody_counts() -> None:
    async with called_in_process(demo=False) as client:
        answers = [
            await client.query("/funnels/list") for _ in range(rate_limits.QUERIES_PER_HOUR + 1)
        ]

    assert {answer.status_code for answer in answers} == {200}


async def test_a_reset_gives_everything_back(limited: SandboxClient) -> None:
    for _ in range(rate_limits.QUERIES_PER_HOUR):
        await limited.query("/funnels/list")
    await limited.control("reset", {"demo": False})

    assert (await limited.query("/funnels/list")).status_code == 200


def test_a_window_moves_with_the_time() -> None:
    window = MovingWindow(3, 10)
    for now in (0, 4, 8):
        assert window.has_room(now)
        window.take(now)

    assert not window.has_room(9.9)
    assert window.has_room(10)
    assert window.used(14) == 1
    window.give_back(8)
    window.give_back(0)
    assert window.used(14) == 0
