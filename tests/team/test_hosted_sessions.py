"""A session with a hosted server, in every way there is to have one."""

from typing import Any

import mcp.types as t
import pytest
from hosted_server import (
    ACCEPT,
    INITIALIZE,
    LEGACY,
    UNCLOSED_STREAMS,
    WAYS,
    Way,
    call_message,
    caller,
    running_server,
    settings_for,
)
from upstream import Reply, Upstream

pytestmark = [UNCLOSED_STREAMS, pytest.mark.parametrize("way", WAYS)]


async def _agree(context: Any, params: Any) -> t.ElicitResult:
    del context, params
    return t.ElicitResult(action="accept", content={"approve": True})


async def test_tools_are_listed_read_from_and_asked_about(upstream: Upstream, way: Way) -> None:
    upstream.default = Reply(json={"status": 1, "error": None})
    upstream.on("/api/query/funnels/list", Reply(json=[{"funnel_id": 7, "name": "Signup"}]))
    async with (
        running_server(settings_for(upstream.url)) as server,
        server.client(way, elicitation_callback=_agree) as client,
    ):
        tools = await client.list_tools()
        read = await client.call_tool("list_saved_funnels", {})
        deletion = {"delete_profiles": ["ada"], "confirm": True}
        deleted = await client.call_tool("delete_profile", deletion)
        prompts = await client.list_prompts()
        resources = await client.list_resource_templates()

    assert len(tools.tools) > 20
    assert read.structured_content is not None
    assert read.structured_content["data"][0]["name"] == "Signup"
    assert deleted.structured_content is not None
    assert deleted.structured_content["status"] == "ok"
    assert prompts.prompts
    assert resources.resource_templates


async def test_each_caller_sees_what_is_theirs(upstream: Upstream, way: Way) -> None:
    upstream.default = Reply(json=[])
    callers = (caller("ada", "token-of-ada"), caller("bob", "token-of-bob", read_only=True))
    async with running_server(settings_for(upstream.url, *callers)) as server:
        async with server.client(way, "token-of-ada") as client:
            of_ada = {tool.name for tool in (await client.list_tools()).tools}
        async with server.client(way, "token-of-bob") as client:
            of_bob = {tool.name for tool in (await client.list_tools()).tools}

    assert of_bob < of_ada
    assert "delete_profile" in of_ada - of_bob


async def test_a_session_is_nobody_elses(upstream: Upstream, way: Way) -> None:
    """Its id, held by another caller, is as good as one that was made up."""
    if way == "modern":  # which has no sessions; what seals its questions is tested elsewhere
        way = "legacy"
    callers = (caller("ada", "token-of-ada"), caller("bob", "token-of-bob"))
    as_ada, as_bob = ({"Authorization": f"Bearer token-of-{name}"} for name in ("ada", "bob"))
    async with (
        running_server(settings_for(upstream.url, *callers)) as server,
        server.browser(headers=ACCEPT) as browser,
    ):
        if way == "legacy":
            opened = await browser.post("/mcp", json=INITIALIZE, headers=as_ada)
            session = {
                "Mcp-Session-Id": opened.headers["mcp-session-id"],
                "MCP-Protocol-Version": LEGACY,
            }
            call = call_message("list_saved_funnels")
            stolen = await browser.post("/mcp", json=call, headers={**as_bob, **session})
            ended = await browser.delete("/mcp", headers={**as_bob, **session})
            own = await browser.post("/mcp", json=call, headers={**as_ada, **session})
            assert ended.status_code == 404
            assert own.status_code == 200
        else:
            async with browser.stream("GET", "/sse", headers=as_ada) as events:
                lines = events.aiter_lines()
                path = next(
                    line
                    for line in [await anext(lines) for _ in range(2)]
                    if line.startswith("data: ")
                ).removeprefix("data: ")
                stolen = await browser.post(path, json=INITIALIZE, headers=as_bob)

    assert stolen.status_code == 404
    assert "began with another token" in stolen.json()["error"]["message"]
    assert len(upstream.requests) == (1 if way == "legacy" else 0)
