"""Five queries of a project run at once; callers who wait for a place are let in by turns."""

import asyncio
from collections.abc import Sequence

import mcp.types as t
import pytest
from hosted_server import (
    UNCLOSED_STREAMS,
    WAYS,
    HostedServer,
    Way,
    caller,
    running_server,
    settings_for,
)
from mcp import Client
from upstream import Held, Reply, Upstream

pytestmark = UNCLOSED_STREAMS

INSIGHTS = "/api/query/insights"
ADA, BOB = "ada-token-0123456789abcdef0123456789", "bob-token-0123456789abcdef0123456789"


async def _ask(client: Client, report: int) -> bool:
    answer = await client.call_tool("query_insights_saved_reports", {"bookmark_id": report})
    assert isinstance(answer, t.CallToolResult)
    return not answer.is_error


async def _running(server: HostedServer, calls: int) -> None:
    """Wait until so many calls are at the server, and each of them has gone as far as it can."""
    async with asyncio.timeout(10), server.browser() as browser:
        while f"mixpanel_mcp_calls_running {calls}.0" not in (await browser.get("/metrics")).text:
            pass
        for _ in range(3):
            await browser.get("/healthz")


def _reports(upstream: Upstream) -> Sequence[str]:
    return [dict(each.query)["bookmark_id"] for each in upstream.to(INSIGHTS)]


@pytest.mark.parametrize("way", WAYS)
async def test_fifty_queries_of_one_hold_up_no_other(upstream: Upstream, way: Way) -> None:
    releases = [asyncio.Event() for _ in range(51)]
    upstream.on(INSIGHTS, *(Held(each, Reply(json={"series": {}})) for each in releases))
    callers = caller("ada", ADA), caller("bob", BOB)
    settings = settings_for(upstream.url, *callers, calls_at_once=60)
    async with (
        running_server(settings) as server,
        server.client(way, ADA) as ada,
        server.client(way, BOB) as bob,
    ):
        asked = [asyncio.create_task(_ask(ada, number)) for number in range(50)]
        await upstream.opened(5)
        await _running(server, 50)
        asked.append(asyncio.create_task(_ask(bob, 999)))
        await _running(server, 51)
        assert "999" not in _reports(upstream)
        for release in releases[:2]:  # a turn of hers, and one of his
            release.set()
        async with asyncio.timeout(10), server.browser() as browser:
            while len(_reports(upstream)) < 7:
                await browser.get("/healthz")
        let_in = _reports(upstream)[5:7]
        for release in releases:
            release.set()
        answers = await asyncio.gather(*asked)

    assert "999" in let_in
    assert all(answers)
    assert upstream.most_open == 5
