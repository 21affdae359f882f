"""Requests go to the configured origin and nowhere else, as nobody but ourselves."""

from typing import Any

import pytest
from doors import SUCCESS, YESTERDAY
from harness import Connect
from upstream import Reply, Upstream, running_upstream

EVENT = {"event": "A", "properties": {"distinct_id": "ada"}}
EXPORT = {"from_date": YESTERDAY, "to_date": YESTERDAY}
CALLS: list[tuple[str, dict[str, Any]]] = [
    ("track_events", {"events": [EVENT]}),
    ("create_profile", {"properties": [{"$distinct_id": "ada", "a": 1}]}),
    ("create_alias", {"distinct_id": "a", "alias": "b", "confirm": True}),
    ("list_saved_funnels", {}),
    ("query_profiles", {}),
    ("download_data", EXPORT),
    ("delete_pipeline", {"name": "p", "confirm": True}),
    ("raw_request", {"url": "/x", "method": "GET"}),
    ("raw_request", {"url": "/x", "method": "POST", "confirm": True}),
]
every_call = pytest.mark.parametrize(
    ("tool", "arguments"), CALLS, ids=[f"{tool}-{index}" for index, (tool, _) in enumerate(CALLS)]
)


@every_call
@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_no_redirect_is_followed(
    connect: Connect, upstream: Upstream, tool: str, arguments: dict[str, Any], status: int
) -> None:
    """It would carry credentials and data to whoever the answer names, and hide the outcome."""
    async with running_upstream() as canary:
        upstream.default = Reply(status, headers={"location": f"{canary.url}/import"})
        async with connect() as tools:
            answer = await tools.call(tool, **arguments)

        assert canary.requests == []
    assert len(upstream.requests) == 1
    assert (answer.status, answer.is_error) == ("failed", True)
    assert "redirect" in answer.text


@pytest.mark.parametrize("tool", ["track_events", "create_profile", "create_alias"])
async def test_the_redirect_argument_is_sent_and_not_followed(
    connect: Connect, upstream: Upstream, tool: str
) -> None:
    async with running_upstream() as canary:
        upstream.default = Reply(302, headers={"location": canary.url})
        arguments = next(arguments for name, arguments in CALLS if name == tool)
        async with connect() as tools:
            answer = await tools.call(tool, **arguments, redirect=canary.url)

        assert canary.requests == []
        assert ("redirect", canary.url) in upstream.last.query
    assert "unknown" in answer.text


async def test_a_pixel_is_no_success(connect: Connect, upstream: Upstream) -> None:
    upstream.default = Reply(200, body=b"GIF89a", headers={"content-type": "image/gif"})

    async with connect() as tools:
        answer = await tools.call("track_events", events=[EVENT], img=True)

    assert (answer.status, answer.is_error) == ("failed", True)
    assert ("img", "1") in upstream.last.query


@pytest.mark.parametrize("redirect", ["javascript:alert(1)", "file:///etc/passwd", "//evil", "x"])
async def test_a_redirect_that_is_no_web_address_is_refused(
    connect: Connect, upstream: Upstream, redirect: str
) -> None:
    async with connect() as tools:
        answer = await tools.call("track_events", events=[EVENT], redirect=redirect)

    assert answer.status == "refused"
    assert upstream.requests == []


async def test_cookies_of_the_upstream_are_not_sent_back(
    connect: Connect, upstream: Upstream
) -> None:
    cookie = "session=evil; Path=/; Domain=127.0.0.1"
    upstream.default = Reply(json=[], headers={"set-cookie": cookie})

    async with connect() as tools:
        for _ in range(3):
            await tools.call("list_saved_funnels")

    assert all("cookie" not in request.headers for request in upstream.requests)


@pytest.mark.parametrize("variable", ["HTTP_PROXY", "http_proxy", "ALL_PROXY", "HTTPS_PROXY"])
async def test_a_proxy_of_the_environment_is_not_used_for_loopback(
    connect: Connect, upstream: Upstream, monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    upstream.default = Reply(json=[])

    async with running_upstream() as proxy:
        monkeypatch.setenv(variable, proxy.url)
        async with connect() as tools:
            answer = await tools.call("list_saved_funnels")
        assert proxy.requests == []

    assert answer.status == "ok"
    assert len(upstream.requests) == 1


async def test_credentials_go_where_they_are_needed_and_only_there(
    connect: Connect, upstream: Upstream
) -> None:
    upstream.default = SUCCESS

    async with connect() as tools:
        for tool, arguments in CALLS:
            await tools.call(tool, **arguments)

    with_credentials = {
        request.path for request in upstream.requests if "authorization" in request.headers
    }
    assert with_credentials == {
        "/api/query/funnels/list",
        "/api/query/engage",
        "/api/2.0/export",
        "/api/2.0/nessie/pipeline/cancel",
        "/x",
    }
    for request in upstream.requests:
        names = [name.lower() for name, _ in request.raw_headers]
        assert names.count("host") == 1
        assert names.count("authorization") <= 1
