"""No address, base URL or header of a raw request leads out of Mixpanel's origins."""

from typing import Any

import pytest
from harness import Connect
from upstream import Upstream, running_upstream

# Whatever a parser somewhere could take for another host, or for a step out of the path.
NO_PATHS = [
    "http://{canary}/x",
    "HTTP://{canary}/x",
    "https://{canary}",
    "//{canary}/x",
    "///{canary}/x",
    "////{canary}",
    "/\\{canary}/x",
    "\\\\{canary}/x",
    "/x\\..\\y",
    "http:{canary}/x",
    "http:/{canary}",
    "@{canary}/x",
    "/@{canary}",
    "user:pass@{canary}/x",
    "{canary}@/x",
    "/x@{canary}/y",
    ":80@{canary}",
    "//%31%32%37.0.0.1/",
    "/%2f{canary}/x",
    "%2f%2f{canary}",
    "/%5c{canary}",
    "/%255c{canary}",
    "http://169.254.169.254/latest/meta-data",
    "//169.254.169.254/",
    "//2852039166/",
    "//0xa9fea9fe/",
    "//[::ffff:169.254.169.254]/",
    "//[::1]/",
    "//0/",
    "//127.1/",
    "//0177.0.0.1/",
    "//metadata.internal",
    "file:///etc/passwd",
    "gopher://{canary}/_x",
    "ftp://{canary}",
    "data:text/plain,x",
    "javascript:x",
    "jar:http://{canary}!/",
    "dict://{canary}",
    "unix:/var/run/docker.sock",
    "ldap://{canary}",
    "/x\r\nHost: evil\r\n\r\n",
    "/x%0d%0aHost:%20evil",
    "/x%250d%250aHost:%20evil",
    "/x\nGET / HTTP/1.1",
    "/x\x00",
    "/x%00",
    "/x%2500",
    "/x\t/y",
    "/x\x7f",
    "/x\u2028y",
    "/x\u0085y",
    "/\ud800",
    "/../x",
    "/x/../../y",
    "/x/%2e%2e/y",
    "/x/%252e%252e/y",
    "/x/%25252e%25252e/y",
    "/x/..;/y",
    "/x/..;a=b/y",
    "/x/.%2e/y",
    "/x/..%2fy",
    "/x/..%5cy",
    "/./x",
    "/x/.",
    "..",
    ".",
    "",
    "?a=b",
    "#x",
    "/sandbox/reset",
    "/SANDBOX/reset",
    "/%73andbox/reset",
    "/%2573andbox/reset",
    "/sandbox;x/reset",
    "/sandbox%2Freset",
    "/sandbox",
    "sandbox/requests",
    "/Sandbox%252frequests",
]


async def test_what_is_no_plain_path_goes_nowhere(connect: Connect, upstream: Upstream) -> None:
    gone: list[str] = []

    async with running_upstream() as canary, connect() as tools:
        for url in NO_PATHS:
            told = url.replace("{canary}", canary.url.removeprefix("http://"))
            answers = [
                await tools.call("raw_request", url=told, method="GET", confirm=True),
                await tools.call("create_generic_pipeline", url=told, confirm=True),
            ]
            gone += [url for answer in answers if answer.status != "refused"]

    assert gone == []
    assert canary.requests == []
    assert upstream.requests == []


NO_ORIGINS = [
    "http://api.mixpanel.com",
    "https://api.mixpanel.com.evil.example",
    "https://api.mixpanel.com@evil",
    "https://evil@api.mixpanel.com",
    "https://api.mixpanel.com:8443",
    "https://api.mixpanel.com/x",
    "https://api.mixpanel.com?x",
    "https://api.mixpanel.com#x",
    "https://api.mixpanel.com\\@evil",
    "https://api\u3002mixpanel.com",
    "https://\u0430pi.mixpanel.com",
    "https://mixpanel.com.",
    "https://xn--api.mixpanel.com",
    "//api.mixpanel.com",
    "api.mixpanel.com",
    "https://evilmixpanel.com",
    "https://127.0.0.1",
    "http://[::1]",
    "https://169.254.169.254",
    "",
    "https://",
    "https://api.mixpanel.com\r\n",
    "https://platform-us.mixpanel.com",
    "http://{canary}",
    "http://{canary}/",
]


async def test_only_mixpanels_origins_are_base_urls(connect: Connect, upstream: Upstream) -> None:
    gone: list[str] = []

    async with running_upstream() as canary, connect() as tools:
        for base_url in NO_ORIGINS:
            told = base_url.replace("{canary}", canary.url.removeprefix("http://"))
            call = {"url": "/x", "method": "GET", "base_url": told, "confirm": True}
            answer = await tools.call("raw_request", **call)
            if answer.status != "refused":
                gone.append(base_url)

    assert gone == []
    assert canary.requests == []
    assert upstream.requests == []


@pytest.mark.parametrize(
    "base_url",
    ["https://api.mixpanel.com", "https://data-eu.mixpanel.com/", "https://in.mixpanel.com"],
)
async def test_mixpanels_origins_mean_the_configured_one(
    connect: Connect, upstream: Upstream, base_url: str
) -> None:
    async with connect() as tools:
        answer = await tools.call("raw_request", url="/x", method="GET", base_url=base_url)

    assert answer.status == "ok"
    assert upstream.last.headers["host"] == upstream.url.removeprefix("http://")


FORBIDDEN = [
    "Authorization",
    "authorization",
    "AUTHORIZATION",
    "Proxy-Authorization",
    "Host",
    "Cookie",
    "Cookie2",
    "Set-Cookie",
    "Content-Length",
    "Transfer-Encoding",
    "Content-Encoding",
    "Connection",
    "Upgrade",
    "TE",
    "Trailer",
    "Expect",
    "Via",
    "Forwarded",
    "X-Forwarded-For",
    "X-Forwarded-Host",
    "X-Real-IP",
    "X-HTTP-Method-Override",
    "X-HTTP-Method",
    "X-Method-Override",
    "X-Original-URL",
    "X-Rewrite-URL",
    "Keep-Alive",
    "Proxy-Connection",
    "X_HTTP_Method_Override",
    "X_Forwarded_For",
    "Content_Length",
    "Proxy_Authorization",
    "X_Original_URL",
]
MALFORMED = [
    "",
    "A B",
    "A:",
    "A\r\nHost",
    "A\n",
    "Host ",
    " Host",
    "\tHost",
    "Hóst",
    "A\x00",
    "a" * 9 + "(",
]
VALUES = ["a\r\nHost: evil", "a\nb", "a\rb", "a\x00", "\x7f", "ä", "a\u2028b"]


async def test_no_header_changes_who_asks_or_what_is_asked(
    connect: Connect, upstream: Upstream
) -> None:
    given: list[dict[str, Any]] = [{name: "x"} for name in FORBIDDEN + MALFORMED]
    given += [{"X-Note": value} for value in VALUES]
    given += [{"X-Note": ["fine", "a\r\nb"]}]
    gone: list[dict[str, Any]] = []

    async with connect() as tools:
        for headers in given:
            answer = await tools.call("raw_request", url="/x", method="GET", headers=headers)
            if answer.status != "refused" or "header" not in answer.text:
                gone.append(headers)

    assert gone == []
    assert upstream.requests == []


async def test_a_header_of_the_callers_own_is_sent(connect: Connect, upstream: Upstream) -> None:
    async with connect() as tools:
        await tools.call("raw_request", url="/x", method="GET", headers={"X-Note": ["a", "b"]})

    assert [value for name, value in upstream.last.raw_headers if name == "x-note"] == ["a", "b"]
