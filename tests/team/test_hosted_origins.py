"""Host and Origin, forged in every way, on every path: nothing is done, and nothing sent."""

import asyncio
from collections.abc import AsyncGenerator

import pytest
from hosted_server import (
    ACCEPT,
    INITIALIZE,
    UNCLOSED_STREAMS,
    HostedServer,
    modern_headers,
    modern_message,
    running_server,
    settings_for,
)
from upstream import Upstream

from mixpanel_mcp.settings.web_origins import parse_host, parse_origin

pytestmark = UNCLOSED_STREAMS

PATHS = (
    "/mcp",
    "/sse",
    "/messages/?session_id=00000000000000000000000000000000",
    "/healthz",
    "/readyz",
    "/metrics",
    "/.well-known/oauth-protected-resource/mcp",
    "/nothing",
)
FORGED_HOSTS = (
    "evil.example",
    "evil.example:8000",
    "127.0.0.1.evil.example",
    "localhost.evil.example",
    "localhost:80@evil.example",
    "127.0.0.1:",
    "127.0.0.1:port",
    "[::1",
    "::1",
    "[::2]",
    "mcp.example.com.",
    "mcp.example.com:8444",
    "127.1",
    "",
)
FORGED_ORIGINS = (
    "null",
    "",
    "http://evil.example",
    "https://chat.example.com.evil.example",
    "https://chat.example.com:8443",
    "http://chat.example.com",
    "https://chat.example.com/",
    "https://user@chat.example.com",
    "http://127.0.0.1.evil.example",
    "http://localhost@evil.example",
    "file://",
    "chrome-extension://abc",
)


@pytest.fixture
async def server(upstream: Upstream) -> AsyncGenerator[HostedServer]:
    settings = settings_for(
        upstream.url,
        allowed_host=("mcp.example.com:8443", "team.example.com", "fe80::1"),
        allowed_origin=("https://chat.example.com",),
    )
    async with running_server(settings) as server:
        yield server


async def sent(server: HostedServer, *lines: str, method: str = "GET", path: str = "/mcp") -> int:
    """The status of a request with exactly these headers."""
    reader, writer = await asyncio.open_connection(*server.address)
    head = "\r\n".join([f"{method} {path} HTTP/1.1", *lines, "Connection: close", "", ""])
    writer.write(head.encode("latin-1"))
    async with asyncio.timeout(10):
        status = int((await reader.readline()).split()[1])
    writer.close()
    return status


@pytest.mark.parametrize("path", PATHS)
async def test_a_forged_host_is_misdirected(
    server: HostedServer, upstream: Upstream, path: str
) -> None:
    for host in FORGED_HOSTS:
        for method in ("GET", "POST", "OPTIONS", "DELETE"):
            assert await sent(server, f"Host: {host}", method=method, path=path) == 421, host
    assert await sent(server, "Host: localhost", "Host: localhost", path=path) in {400, 421}
    assert await sent(server, "X-Forwarded-Host: localhost", path=path) in {400, 421}
    assert upstream.requests == []


@pytest.mark.parametrize("path", PATHS)
async def test_a_forged_origin_is_forbidden(
    server: HostedServer, upstream: Upstream, path: str
) -> None:
    for origin in FORGED_ORIGINS:
        for method in ("GET", "POST", "OPTIONS"):
            lines = ("Host: localhost", f"Origin: {origin}")
            assert await sent(server, *lines, method=method, path=path) == 403, origin
    twice = ["Origin: https://chat.example.com"] * 2
    assert await sent(server, "Host: localhost", *twice, path=path) == 403
    assert upstream.requests == []


@pytest.mark.parametrize(
    "host",
    [
        "localhost",
        "LocalHost:1",
        "127.0.0.1:65535",
        "[::1]:8000",
        "MCP.Example.com:8443",
        "team.example.com",
        "TEAM.example.com:443",
        "[FE80::1]:9",
    ],
)
async def test_allowed_hosts_are_answered_in_any_letter_case(
    server: HostedServer, host: str
) -> None:
    for _ in range(2):
        assert await sent(server, f"Host: {host}", path="/healthz") == 200


@pytest.mark.parametrize(
    "origin",
    [
        "https://chat.example.com",
        "HTTPS://Chat.Example.com",
        "https://chat.example.com:443",
        "http://localhost:6274",
        "http://127.0.0.1",
        "http://[::1]:3000",
    ],
)
async def test_allowed_pages_are_answered(server: HostedServer, origin: str) -> None:
    lines = ("Host: localhost", f"Origin: {origin}")
    assert await sent(server, *lines, path="/healthz") == 200


async def test_both_eras_refuse_a_forged_host_before_anything_is_read(
    server: HostedServer, upstream: Upstream
) -> None:
    call = modern_message("tools/call", name="list_saved_funnels", arguments={})
    modern = modern_headers("tools/call", "list_saved_funnels")
    async with server.browser(headers={"Host": "evil.example"}) as browser:
        answers = [
            await browser.post("/mcp", json=call, headers=modern),
            await browser.post("/mcp", json=INITIALIZE, headers=ACCEPT),
            await browser.get("/sse"),
        ]

    assert [answer.status_code for answer in answers] == [421, 421, 421]
    assert all("mcp-session-id" not in answer.headers for answer in answers)
    assert upstream.requests == []


async def test_a_page_of_an_allowed_origin_can_use_it(server: HostedServer) -> None:
    page = {"Origin": "https://chat.example.com"}
    asks = {
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "authorization,content-type,mcp-protocol-version,"
        "mcp-method,mcp-name,mcp-session-id,x-mixpanel-read-only",
    }
    async with server.browser(headers=page) as browser:
        preflight = await browser.options("/mcp", headers=asks)
        opened = await browser.post("/mcp", json=INITIALIZE, headers=ACCEPT)

    assert preflight.status_code == 200
    assert preflight.headers["access-control-allow-origin"] == "https://chat.example.com"
    assert "mcp-name" in preflight.headers["access-control-allow-headers"]
    assert opened.headers["access-control-allow-origin"] == "https://chat.example.com"
    assert "mcp-session-id" in opened.headers["access-control-expose-headers"]
    assert "origin" in opened.headers["vary"].lower()


async def test_who_is_no_page_gets_no_headers_for_pages(server: HostedServer) -> None:
    async with server.browser() as browser:
        answer = await browser.get("/healthz")

    assert not any(name.startswith("access-control") for name in answer.headers)


@pytest.mark.parametrize("host", ["https://mcp.example.com", "a b", "*", "host:port", "host/path"])
def test_a_host_that_is_none_is_a_fault(host: str) -> None:
    with pytest.raises(ValueError, match="is no host"):
        parse_host(host)


@pytest.mark.parametrize(
    "origin", ["*", "null", "chat.example.com", "https://a.example/x", "ftp://a"]
)
def test_an_origin_that_is_none_is_a_fault(origin: str) -> None:
    with pytest.raises(ValueError, match="is no origin"):
        parse_origin(origin)
