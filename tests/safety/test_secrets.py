"""What is secret shows nowhere: not in answers, not in the audit, not in logs at any level."""

import base64
import json
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import quote, quote_plus

import pytest
from doors import DOORS, LAST_WINTER, TYPED_DOORS, YESTERDAY
from harness import CANARY_PASSWORD, CANARY_TOKEN, Connect, Person, Result
from pydantic import SecretStr
from seed_inputs import OUR_NAMES
from upstream import Drop, Received, Reply, Upstream

EVENT = {"event": "A", "properties": {"distinct_id": "ada"}}
DATED = {"event": "A", "properties": {"distinct_id": "ada", "time": LAST_WINTER}}
OWN = {"event": "A", "properties": {"distinct_id": "ada", "token": CANARY_TOKEN}}
OTHER_TOKEN = "other-allowed-token-5d41402a"

CALLS: list[tuple[str, dict[str, Any]]] = [
    ("track_events", {"events": [EVENT]}),
    ("import_events", {"events": [DATED], "use_project_token": True}),
    ("create_profile", {"properties": [{"$distinct_id": "ada", "a": 1}]}),
    ("create_alias", {"distinct_id": "a", "alias": "b", "project_token": CANARY_TOKEN}),
    ("list_saved_funnels", {}),
    ("query_insights_saved_reports", {"bookmark_id": 1}),
    ("custom_jql_query", {"script": "main"}),
    ("query_profiles", {}),
    ("download_data", {"from_date": YESTERDAY, "to_date": YESTERDAY}),
    ("list_pipelines", {}),
    ("get_pipeline", {"name": "p"}),
    ("delete_pipeline", {"name": "p"}),
    ("raw_request", {"url": "/api/app/me", "method": "GET"}),
    ("raw_request", {"url": "/api/app/me", "method": "GET", "response_type": "text"}),
    ("raw_request", {"url": "/track", "method": "GET", "query_parameters": {"data": OWN}}),
]  # fmt: skip
READING = {
    "list_saved_funnels",
    "query_insights_saved_reports",
    "custom_jql_query",
    "query_profiles",
    "download_data",
    "list_pipelines",
    "get_pipeline",
}
every_call = pytest.mark.parametrize(
    ("tool", "arguments"), CALLS, ids=[f"{tool}-{index}" for index, (tool, _) in enumerate(CALLS)]
)

BASIC = base64.b64encode(f"robot:{CANARY_PASSWORD}".encode()).decode()
TOKEN_BASIC = base64.b64encode(f"{CANARY_TOKEN}:".encode()).decode()
NEVER = (CANARY_PASSWORD, CANARY_TOKEN, BASIC, TOKEN_BASIC, OTHER_TOKEN)


def everything(received: Received) -> str:
    """All that the request said, as a debugging server would send it back."""
    said = [received.target, str(received.raw_headers), received.content.decode(errors="replace")]
    spelled = [
        spelling(secret)
        for secret in (CANARY_PASSWORD, CANARY_TOKEN, f"robot:{CANARY_PASSWORD}")
        for spelling in SPELLINGS
    ]
    return " ".join([*said, *spelled])


SPELLINGS: list[Callable[[str], str]] = [
    str,
    lambda text: quote(text, safe=""),
    quote_plus,
    lambda text: base64.b64encode(text.encode()).decode(),
    lambda text: base64.urlsafe_b64encode(text.encode()).decode().rstrip("="),
    lambda text: json.dumps(text)[1:-1],
]

ECHOES: dict[str, Callable[[Received], Reply]] = {
    "success": lambda request: Reply(json={"status": 1, "echo": everything(request)}),
    "list": lambda request: Reply(json=[{"name": everything(request), everything(request): 1}]),
    "zero": lambda request: Reply(json={"status": 0, "error": everything(request)}),
    "400": lambda request: Reply(400, json={"error": everything(request), "status": "error"}),
    "401": lambda request: Reply(401, body=everything(request)),
    "404": lambda request: Reply(404, body="<html>" + everything(request)),
    "failed records": lambda request: Reply(
        400,
        json={
            "code": 400,
            "num_records_imported": 0,
            "failed_records": [{"index": 0, "field": "a", "message": everything(request)}],
        },
    ),
    "500": lambda request: Reply(500, body=everything(request)),
    "no JSON": lambda request: Reply(200, body=everything(request)),
    "redirect": lambda request: Reply(302, headers={"location": f"/?{quote(everything(request))}"}),
    "header": lambda request: Reply(
        200,
        json={},
        headers={"content-type": f"text/{BASIC}", "x-echo": quote(everything(request))},
    ),
}


def shown(answer: Result) -> str:
    return answer.text + json.dumps(answer.structured, ensure_ascii=False) + str(answer.raw)


def leaks(text: str) -> list[str]:
    return [secret for secret in NEVER if secret in text]


@every_call
async def test_no_secret_shows_though_mixpanel_sends_all_of_them_back(
    connect: Connect,
    upstream: Upstream,
    tmp_path: Path,
    tool: str,
    arguments: dict[str, Any],
) -> None:
    audit = tmp_path / "audit.jsonl"
    confirm = {} if tool in READING else {"confirm": True}
    leaking: dict[str, list[str]] = {}

    others = (SecretStr(OTHER_TOKEN),)
    async with connect(audit_log=audit, allowed_tokens=others, cache_seconds=0) as tools:
        for name, echo in ECHOES.items():
            upstream.default = echo
            answer = await tools.call(tool, **arguments, **confirm)
            leaking[name] = leaks(shown(answer))

    assert len(upstream.requests) >= len(ECHOES)
    assert {name: found for name, found in leaking.items() if found} == {}
    assert leaks(audit.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize("echo", ["success", "500", "header", "redirect"])
@pytest.mark.parametrize(("tool", "arguments"), [CALLS[1], CALLS[3], CALLS[4], CALLS[14]])
async def test_no_secret_shows_in_a_log_at_debug_level(
    connect: Connect,
    upstream: Upstream,
    caplog: pytest.LogCaptureFixture,
    *,
    tool: str,
    arguments: dict[str, Any],
    echo: str,
) -> None:
    """The libraries below log too: addresses with their query, headers of replies."""
    upstream.default = ECHOES[echo]
    caplog.set_level(logging.DEBUG)
    confirm = {} if tool in READING else {"confirm": True}

    async with connect() as tools:
        await tools.call(tool, **arguments, **confirm)

    assert upstream.requests
    assert leaks(caplog.text) == []


@every_call
async def test_no_secret_shows_where_the_connection_breaks(
    connect: Connect,
    upstream: Upstream,
    caplog: pytest.LogCaptureFixture,
    tool: str,
    arguments: dict[str, Any],
) -> None:
    upstream.default = Drop()
    caplog.set_level(logging.DEBUG)
    confirm = {} if tool in READING else {"confirm": True}

    async with connect(read_seconds=1, write_seconds=1, export_seconds=1) as tools:
        answer = await tools.call(tool, **arguments, **confirm)

    assert answer.is_error
    assert leaks(shown(answer)) == []
    assert leaks(caplog.text) == []


@pytest.mark.parametrize("door", DOORS, ids=str)
async def test_no_secret_shows_in_a_question(
    connect: Connect, upstream: Upstream, door: Any
) -> None:
    """Even where the arguments hold the connection's own token, which is allowed."""
    arguments = dict(door.arguments)
    if door.tool == "raw_request":
        arguments["query_parameters"] = {
            **(door.arguments.get("query_parameters") or {}), "token": CANARY_TOKEN
        }  # fmt: skip
    person = Person("decline")

    async with connect(person=person) as tools:
        unconfirmed = await tools.call(door.tool, **arguments)
        answer = await tools.call(door.tool, **arguments, confirm=True)

    assert leaks(shown(unconfirmed)) == []
    assert leaks(shown(answer)) == []
    assert leaks(" ".join(person.questions)) == []
    assert upstream.requests == []


async def test_no_secret_shows_in_a_question_about_an_unknown_body(connect: Connect) -> None:
    body = {"token": CANARY_TOKEN, "note": CANARY_PASSWORD}
    person = Person("decline")

    async with connect(person=person) as tools:
        call: dict[str, Any] = {"url": "/unknown", "method": "POST", "data": body}
        unconfirmed = await tools.call("raw_request", **call)
        await tools.call("raw_request", **call, confirm=True)

    assert leaks(shown(unconfirmed)) == []
    assert leaks(" ".join(person.questions)) == []


FAULTS: list[tuple[str, dict[str, Any]]] = [
    ("track_events", {"events": [{"event": "A", "token": CANARY_TOKEN}]}),
    ("track_events", {"events": CANARY_TOKEN}),
    ("create_alias", {"distinct_id": [CANARY_TOKEN], "alias": "b"}),
    ("create_alias", {"distinct_id": "a", "alias": "b", "project_token": [CANARY_TOKEN]}),
    ("create_alias", {"distinct_id": "a", "alias": "b", "region": CANARY_TOKEN}),
    ("query_profiles", {"project_id": CANARY_PASSWORD}),
    ("raw_request", {"url": "https://x@evil/" + CANARY_TOKEN, "method": "GET"}),
    ("raw_request", {"url": "/x", "method": CANARY_TOKEN}),
    ("raw_request", {"url": "/x", "method": "GET", CANARY_TOKEN: 1}),
    ("raw_request", {"url": "/x", "method": "GET", "headers": {CANARY_TOKEN + ":": "a"}}),
    ("raw_request", {"url": "/x", "method": "GET", "file_data": {"f": CANARY_TOKEN}}),
]


@pytest.mark.parametrize(("tool", "arguments"), FAULTS)
async def test_a_faulty_argument_does_not_come_back_with_a_secret(
    connect: Connect,
    upstream: Upstream,
    caplog: pytest.LogCaptureFixture,
    tool: str,
    arguments: dict[str, Any],
) -> None:
    caplog.set_level(logging.DEBUG, logger="mixpanel_mcp")

    async with connect() as tools:
        answer = await tools.call(tool, **arguments)

    assert answer.status == "refused"
    assert leaks(shown(answer)) == []
    assert leaks(caplog.text) == []
    assert upstream.requests == []


def test_settings_and_connections_print_no_secret(connect: Connect) -> None:
    del connect
    from mixpanel_mcp.settings import Connection, Policy  # noqa: PLC0415

    connection = Connection(
        password=SecretStr(CANARY_PASSWORD), project_token=SecretStr(CANARY_TOKEN)
    )
    policy = Policy(allowed_tokens=(SecretStr(OTHER_TOKEN),))

    assert leaks(f"{connection!r} {connection} {policy!r} {policy}") == []


def test_the_doors_of_this_file_are_all_there() -> None:
    """A new tool that sends must be among the calls or the doors above."""
    from mixpanel_mcp.operation import OPERATIONS  # noqa: PLC0415

    covered = {tool for tool, _ in CALLS} | {door.tool for door in TYPED_DOORS}

    # Ours work on files alone.
    sends_nothing = {name for names in OUR_NAMES.values() for name in names}
    assert set(OPERATIONS) - covered - sends_nothing <= {"query_funnel_saved_reports"}
