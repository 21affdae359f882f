"""Reports that Mixpanel does not give: what is asked again, and what each refusal turns into."""

from typing import Any

import pytest
from harness import CANARY_PASSWORD, Connect
from upstream import Drop, Hang, Reply, Upstream

READS: list[tuple[str, str, dict[str, Any]]] = [
    ("list_saved_funnels", "/api/query/funnels/list", {}),
    (
        "query_funnel_saved_reports",
        "/api/query/funnels",
        {"funnel_id": 7509, "from_date": "2026-01-01", "to_date": "2026-01-31"},
    ),
    ("query_insights_saved_reports", "/api/query/insights", {"bookmark_id": 11}),
    ("custom_jql_query", "/api/query/jql", {"script": "function main() {}"}),
]
every_read = pytest.mark.parametrize(("tool", "path", "arguments"), READS)


@every_read
@pytest.mark.parametrize(
    ("status", "words"),
    [
        (400, "change the arguments"),
        (401, "MIXPANEL_USERNAME"),
        (402, "plan"),
        (403, "role"),
        (404, "does not exist"),
        (501, "not offered"),
    ],
)
async def test_a_refusal_is_asked_once_and_says_what_now(
    connect: Connect,
    upstream: Upstream,
    tool: str,
    path: str,
    arguments: dict[str, Any],
    status: int,
    words: str,
) -> None:
    error = {"error": "said by <b>Mixpanel</b>", "status": "error", "request": "/api/2.0/x?y=1"}
    upstream.default = Reply(status, json=error)

    async with connect() as tools:
        answer = await tools.call(tool, **arguments)

    assert (answer.status, answer.is_error) == ("failed", True)
    assert words in answer.text
    assert answer.data["http_status"] == status
    assert answer.data["mixpanel_says"] == "said by <b>Mixpanel</b>"
    assert len(upstream.to(path)) == 1


@every_read
@pytest.mark.parametrize("fault", [429, 500, 502, "drop"])
async def test_a_passing_fault_is_asked_again(
    connect: Connect,
    upstream: Upstream,
    tool: str,
    path: str,
    arguments: dict[str, Any],
    fault: int | str,
) -> None:
    ill = Reply(fault, body="<html>busy</html>") if isinstance(fault, int) else Drop()
    upstream.on(path, ill, ill)
    upstream.default = Reply(json=[] if tool == "list_saved_funnels" else {})

    async with connect() as tools:
        answer = await tools.call(tool, **arguments)

    assert answer.status == "ok"
    assert len(upstream.to(path)) == 3


@every_read
async def test_a_rate_limit_that_lasts_teaches_the_rule(
    connect: Connect, upstream: Upstream, tool: str, path: str, arguments: dict[str, Any]
) -> None:
    upstream.default = Reply(429, json={"error": "Query rate limit exceeded", "status": "error"})

    async with connect() as tools:
        answer = await tools.call(tool, **arguments)

    assert answer.status == "failed"
    assert "60 queries an hour" in answer.text
    assert "Try again in" in answer.text
    assert answer.data["http_status"] == 429
    assert len(upstream.to(path)) > 1


@every_read
async def test_a_silent_mixpanel_is_left_at_the_deadline(
    connect: Connect, upstream: Upstream, tool: str, path: str, arguments: dict[str, Any]
) -> None:
    """A read is tried once more after a time-out, and not beyond the call's time."""
    upstream.default = Hang()

    async with connect(read_seconds=0.8) as tools:
        answer = await tools.call(tool, **arguments)

    assert (answer.status, answer.is_error) == ("failed", True)
    assert "no answer in time" in answer.text
    assert len(upstream.to(path)) == 2


@every_read
@pytest.mark.parametrize(
    "reply",
    [
        Reply(body="<html>maintenance</html>", headers={"content-type": "text/html"}),
        Reply(body=""),
        Reply(body="terminated early"),
        Reply(body='{"data": {'),
        Reply(json={"error": "Funnel does not exist", "status": "error"}),
        Reply(json={"error": "Timeout Error.", "request": "/api/2.0/funnels?x=1"}),
        Reply(body="[]", headers={"content-encoding": "br"}),
    ],
    ids=["html", "empty", "text", "cut", "error-and-status", "error", "brotli"],
)
async def test_a_200_is_no_success_by_itself(
    connect: Connect,
    upstream: Upstream,
    tool: str,
    path: str,
    arguments: dict[str, Any],
    reply: Reply,
) -> None:
    upstream.default = reply

    async with connect() as tools:
        answer = await tools.call(tool, **arguments)

    assert (answer.status, answer.is_error) == ("failed", True)
    assert CANARY_PASSWORD not in answer.text
    assert upstream.to(path)


@pytest.mark.parametrize(
    ("tool", "arguments", "reply"),
    [
        ("list_saved_funnels", {}, {"funnels": []}),
        (*READS[1][::2], [1, 2]),
        (*READS[2][::2], 5),
    ],
)
async def test_json_of_another_kind_than_promised_is_no_answer(
    connect: Connect, upstream: Upstream, tool: str, arguments: dict[str, Any], reply: Any
) -> None:
    upstream.default = Reply(json=reply)

    async with connect() as tools:
        answer = await tools.call(tool, **arguments)

    assert answer.status == "failed"
    assert "specification promises" in answer.text


@every_read
@pytest.mark.parametrize("missing", ["username", "password", "project_id"])
async def test_without_credentials_the_answer_says_what_to_set(
    connect: Connect,
    upstream: Upstream,
    tool: str,
    path: str,
    arguments: dict[str, Any],
    missing: str,
) -> None:
    async with connect(connection={missing: None}) as tools:
        answer = await tools.call(tool, **arguments)

    assert answer.status == "refused"
    assert f"MIXPANEL_{missing.upper()}" in answer.text
    assert upstream.to(path) == []
