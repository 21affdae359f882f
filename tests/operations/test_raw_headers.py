"""Headers of a passthrough request: the caller's are sent, the server's own cannot be replaced."""

from typing import Any

import pytest
from harness import CANARY_PASSWORD, Connect
from upstream import Upstream

READ: dict[str, Any] = {"url": "/api/query/cohorts/list", "method": "GET"}

OWN = [
    "Authorization",
    "AUTHORIZATION",
    "Host",
    "Cookie",
    "Cookie2",
    "Set-Cookie",
    "Content-Length",
    "Content-Encoding",
    "Transfer-Encoding",
    "Connection",
    "Keep-Alive",
    "TE",
    "Trailer",
    "Upgrade",
    "Expect",
    "Via",
    "Forwarded",
    "X-Forwarded-For",
    "x-forwarded-host",
    "X-Real-IP",
    "X-Original-URL",
    "X-Rewrite-URL",
    "X-HTTP-Method-Override",
    "X-HTTP-Method",
    "X-Method-Override",
    "Proxy-Authorization",
    "Proxy-Connection",
]


async def test_headers_that_are_the_servers_own_are_refused(
    connect: Connect, upstream: Upstream
) -> None:
    async with connect() as tools:
        for name in OWN:
            raw = await tools.call("raw_request", **READ, headers={"X-Fine": "1", name: "mine"})
            generic = await tools.call(
                "create_generic_pipeline",
                form_data={"type": "x"},
                headers={name: "1"},
                confirm=True,
            )
            for answer in (raw, generic):
                assert (answer.status, answer.is_error) == ("refused", True), name
                assert name in answer.text
                assert CANARY_PASSWORD not in answer.text

    assert upstream.requests == []


@pytest.mark.parametrize(
    "headers",
    [
        {"X-A": "b\r\nAuthorization: Basic x"},
        {"X-A": "b\nHost: evil"},
        {"X-A": "b\rc"},
        {"X-A": "b\x00c"},
        {"X-A": "b\x7f"},
        {"X-A": "b\u2028c"},
        {"X-A": "ü"},
        {"X-A": ["fine", "b\r\nX: y"]},
        {"X-A\r\nX-B": "c"},
        {"X-A: b\r\nX-C": "d"},
        {"X A": "b"},
        {"X-A:": "b"},
        {"": "b"},
        {" Authorization": "b"},
        {"Authorization ": "b"},
        {"Authorization\t": "b"},
        {"Authorizatio\u0274": "b"},
        {"X-\u212a": "b"},
    ],
)
async def test_a_header_cannot_write_another_one(
    connect: Connect, upstream: Upstream, headers: dict[str, Any]
) -> None:
    async with connect() as tools:
        answer = await tools.call("raw_request", **READ, headers=headers)

    assert (answer.status, answer.is_error) == ("refused", True)
    assert "headers." in answer.text
    assert "\r" not in answer.text
    assert upstream.requests == []


@pytest.mark.parametrize("headers", ["X-A: b", ["X-A"], 5])
async def test_headers_are_an_object(connect: Connect, upstream: Upstream, headers: Any) -> None:
    async with connect() as tools:
        answer = await tools.call("raw_request", **READ, headers=headers)

    assert answer.status == "refused"
    assert "headers" in answer.text
    assert upstream.requests == []


async def test_other_headers_are_sent_and_lists_repeat_them(
    connect: Connect, upstream: Upstream
) -> None:
    given = {"X-One": "a b\tc", "X-Many": ["1", "2"], "X-Number": 3, "X-None": None}

    async with connect() as tools:
        await tools.call("raw_request", **READ, headers=given)

    sent = upstream.last.raw_headers
    assert ("x-one", "a b\tc") in sent
    assert [value for name, value in sent if name == "x-many"] == ["1", "2"]
    assert ("x-number", "3") in sent
    assert "x-none" not in upstream.last.headers


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("Content-Type", "application/vnd.mixpanel+json"),
        ("content-type", "text/csv"),
        ("Accept", "application/json"),
        ("Accept-Encoding", "identity"),
        ("User-Agent", "somebody/1"),
    ],
)
async def test_a_header_with_a_default_is_replaced_and_not_doubled(
    connect: Connect, upstream: Upstream, name: str, value: str
) -> None:
    async with connect() as tools:
        await tools.call(
            "raw_request",
            url="/api/app/me",
            method="POST",
            data={"a": 1},
            headers={name: value},
            confirm=True,
        )

    sent = [each for key, each in upstream.last.raw_headers if key == name.lower()]
    assert sent == [value]


async def test_headers_may_come_as_json_text(connect: Connect, upstream: Upstream) -> None:
    async with connect() as tools:
        await tools.call("raw_request", **READ, headers='{"X-One": "1"}')

    assert upstream.last.headers["x-one"] == "1"
