"""Over HTTP too a call that waits says so, to those who asked for it."""

import asyncio

import pytest
from hosted_server import WAYS, Way, running_server, settings_for
from upstream import Held, Reply, Upstream

JOBS = "/api/2.0/nessie/pipeline/jobs"


@pytest.mark.parametrize("way", WAYS)
async def test_whoever_asked_hears_what_is_waited_for(upstream: Upstream, way: Way) -> None:
    heard = asyncio.Event()
    messages: list[str | None] = []

    async def listen(progress: float, total: float | None, message: str | None) -> None:
        del progress, total
        messages.append(message)
        heard.set()

    # Mixpanel answers once it was said that it is waited for.
    upstream.on(JOBS, Held(heard, Reply(json={})))
    async with (
        running_server(settings_for(upstream.url)) as server,
        server.client(way) as client,
    ):
        async with asyncio.timeout(10):
            result = await client.call_tool("list_pipelines", {}, progress_callback=listen)

    assert not result.is_error
    assert messages[0] == "waiting for Mixpanel since 2 s"
