"""What an operator's machines ask: whether it lives, whether it can work, what it did."""

import pytest
from hosted_server import UNCLOSED_STREAMS, WAYS, Way, running_server, settings_for
from starlette.datastructures import QueryParams
from upstream import Reply, Upstream

from mixpanel_mcp.server import Shared
from mixpanel_mcp.settings import Policy
from mixpanel_mcp.transports.hosting import hosted

pytestmark = UNCLOSED_STREAMS

CANARY = "canary-2f6e"


async def test_a_process_that_lives_says_so_without_a_token(upstream: Upstream) -> None:
    async with running_server(settings_for(upstream.url)) as server, server.browser() as browser:
        healthy = await browser.get("/healthz")
        wrong = await browser.post("/healthz")

    assert (healthy.status_code, healthy.json()) == (200, {"status": "ok"})
    assert wrong.status_code == 405
    assert upstream.requests == []


async def test_ready_means_that_mixpanel_takes_connections_and_costs_no_query(
    upstream: Upstream,
) -> None:
    async with running_server(settings_for(upstream.url)) as server, server.browser() as browser:
        ready = await browser.get("/readyz")

    assert ready.status_code == 200
    assert ready.json() == {"status": "ready", "checks": {"connection default": "ok"}}
    assert upstream.requests == []


async def test_not_ready_says_what_is_wrong_and_no_secret() -> None:
    settings = settings_for("http://127.0.0.1:9")
    async with running_server(settings) as server, server.browser() as browser:
        answer = await browser.get("/readyz")

    assert answer.status_code == 503
    assert "http://127.0.0.1:9 cannot be reached" in answer.json()["checks"]["connection default"]
    assert "canary" not in answer.text


async def test_a_proxy_can_leave_out_what_all_replicas_share(upstream: Upstream) -> None:
    async def away() -> str | None:
        return "does not answer"

    settings = settings_for(upstream.url)
    shared = Shared(settings)
    shared.checks["redis"] = away
    probes = hosted(settings, shared).probes

    whole = await probes.answer("/readyz", "GET", QueryParams(""))
    without = await probes.answer("/readyz", "GET", QueryParams("exclude=redis"))

    assert (whole.status_code, without.status_code) == (503, 200)
    assert b"does not answer" in whole.body
    assert b"redis" not in without.body


@pytest.mark.parametrize("way", WAYS)
async def test_calls_are_counted_by_tool_and_outcome_and_by_nothing_of_a_caller(
    upstream: Upstream, way: Way
) -> None:
    upstream.on("/api/query/funnels/list", Reply(json=[]), Reply(400, CANARY))
    settings = settings_for(upstream.url, policy=Policy(cache_seconds=0, tool_prefix="mp_"))
    async with running_server(settings) as server, server.browser() as browser:
        async with server.client(way) as client:
            await client.call_tool("mp_list_saved_funnels", {})
            await client.call_tool("mp_list_saved_funnels", {})
            await client.call_tool(f"no_such_{CANARY}", {})
            during = (await browser.get("/metrics")).text
        await browser.get("/healthz", headers={"Host": f"{CANARY}.example"})
        text = (await browser.get("/metrics")).text

    counted = 'mixpanel_mcp_calls_total{outcome="%s",tool="%s"} 1.0'
    assert counted % ("ok", "list_saved_funnels") in text
    assert counted % ("failed", "list_saved_funnels") in text
    assert counted % ("protocol_error", "unknown") in text
    assert 'upstream_requests_total{family="query",status="200"} 1.0' in text
    assert 'upstream_requests_total{family="query",status="400"} 1.0' in text
    assert 'refused_total{reason="host"} 1.0' in text
    assert 'budget_left{allowance="queries",connection="default"} 58.0' in text
    assert 'mixpanel_mcp_call_seconds_count{tool="list_saved_funnels"} 2.0' in text
    assert ("mixpanel_mcp_sessions 1.0" in during) == (way != "modern")
    assert CANARY not in text
    assert "canary" not in text


async def test_a_retry_is_counted_as_one(upstream: Upstream) -> None:
    upstream.on("/api/2.0/nessie/pipeline/jobs", Reply(429, headers={"Retry-After": "0"}))
    upstream.default = Reply(json={})
    async with running_server(settings_for(upstream.url)) as server, server.browser() as browser:
        async with server.client() as client:
            await client.call_tool("list_pipelines", {})
        text = (await browser.get("/metrics")).text

    assert 'upstream_retries_total{family="data"} 1.0' in text
