"""Secrets that are spelled, cut or wrapped in ways that a plain search would miss."""

import base64
import json
from collections.abc import Callable
from typing import Any
from urllib.parse import quote, urlencode

import pytest
from doors import S3_PIPELINE
from harness import CANARY_PASSWORD, Connect, Result
from pydantic import SecretStr
from upstream import Received, Reply, Upstream

WAREHOUSE_SECRET = "warehouse-secret-9f2c"
SNOWFLAKE: dict[str, Any] = {
    **S3_PIPELINE,
    "type": "snowflake",
    "snowflake_account_name": "a",
    "snowflake_database": "d",
    "snowflake_schema": "s",
    "snowflake_password": WAREHOUSE_SECRET,
}
AZURE: dict[str, Any] = {
    "type": "azure-blob",
    "storage_account": "a",
    "container_name": "c",
    "client_secret": WAREHOUSE_SECRET,
}

WAYS: list[tuple[str, dict[str, Any]]] = [
    ("form", {"form_data": SNOWFLAKE}),
    ("client secret", {"form_data": AZURE}),
    ("form as text", {"form_data": json.dumps(SNOWFLAKE)}),
    ("JSON", {"data": SNOWFLAKE}),
    ("JSON as text", {"data": json.dumps(SNOWFLAKE)}),
    ("JSON in a list", {"data": [SNOWFLAKE]}),
    ("urlencoded text", {"data": urlencode(SNOWFLAKE)}),
    ("query", {"query_parameters": SNOWFLAKE}),
    ("in the address", {"url": "/nessie/pipeline/create?" + urlencode(SNOWFLAKE)}),
    ("several values", {"form_data": {**AZURE, "client_secret": [WAREHOUSE_SECRET]}}),
    ("nested", {"data": {"type": "snowflake", "auth": {"password": WAREHOUSE_SECRET}}}),
]


def shown(answer: Result) -> str:
    return answer.text + str(answer.raw)


def echo(request: Received) -> Reply:
    return Reply(400, json={"error": f"{request.target} {request.content.decode()}"})


@pytest.mark.parametrize("arguments", [each for _, each in WAYS], ids=[name for name, _ in WAYS])
@pytest.mark.parametrize("tool", ["create_generic_pipeline", "raw_request"])
async def test_a_warehouses_password_does_not_come_back(
    connect: Connect, upstream: Upstream, tool: str, arguments: dict[str, Any]
) -> None:
    """Neither in the description of what would happen, nor from an upstream that echoes."""
    upstream.default = echo
    raw = {"url": "/nessie/pipeline/create", "method": "POST"} if tool == "raw_request" else {}

    async with connect() as tools:
        unconfirmed = await tools.call(tool, **{**raw, **arguments})
        answer = await tools.call(tool, **{**raw, **arguments}, confirm=True)

    assert unconfirmed.status == "confirmation_required"
    assert WAREHOUSE_SECRET not in shown(unconfirmed)
    assert answer.is_error
    assert WAREHOUSE_SECRET not in shown(answer)


ODD_PASSWORD = 'odd "päss" w/ %+&=?\\ 5ec~ret'
ODD_SPELLINGS: dict[str, Callable[[str], str]] = {
    "plain": str,
    "percent": lambda text: quote(text, safe=""),
    "lower-case percent": lambda text: quote(text, safe="").replace("%2F", "%2f").replace(
        "%C3", "%c3").replace("%3F", "%3f").replace("%2B", "%2b").replace("%3D", "%3d").replace(
        "%5C", "%5c").replace("%A4", "%a4"),
    "percent but for slashes": quote,
    "JSON": lambda text: json.dumps(text)[1:-1],
    "JSON with its letters": lambda text: json.dumps(text, ensure_ascii=False)[1:-1],
    "Base64": lambda text: base64.b64encode(text.encode()).decode(),
    "Base64 without padding": lambda text: base64.b64encode(text.encode()).decode().rstrip("="),
    "URL-safe Base64": lambda text: base64.urlsafe_b64encode(text.encode()).decode(),
    "credentials": lambda text: base64.b64encode(f"robot:{text}".encode()).decode().rstrip("="),
    "credentials, percent": lambda text: quote(
        base64.b64encode(f"robot:{text}".encode()).decode(), safe=""),
}  # fmt: skip


@pytest.mark.parametrize("spelling", list(ODD_SPELLINGS.values()), ids=list(ODD_SPELLINGS))
async def test_a_password_with_odd_letters_is_found_in_every_spelling(
    connect: Connect, upstream: Upstream, spelling: Callable[[str], str]
) -> None:
    said = spelling(ODD_PASSWORD)
    upstream.on("/api/query/jql", Reply(json=[{"a": said}]))
    upstream.default = Reply(400, body=said)
    connection = {"password": SecretStr(ODD_PASSWORD)}

    async with connect(connection=connection) as tools:
        table = await tools.call("custom_jql_query", script="main")
        error = await tools.call("list_saved_funnels")
        text = await tools.call(
            "raw_request", url="/api/app/me", method="GET", response_type="text"
        )

    for answer in (table, error, text):
        assert said not in answer.text
        assert said not in json.dumps(answer.structured, ensure_ascii=False)
        assert "5ec~ret" not in shown(answer)


@pytest.mark.parametrize("before", [280, 285, 290, 295, 480, 490, 495, 499])
async def test_a_cut_through_a_secret_leaves_no_half_of_it(
    connect: Connect, upstream: Upstream, before: int
) -> None:
    """Texts are shortened; a secret has to be found before that."""
    said = "x" * before + CANARY_PASSWORD
    upstream.on("/api/query/jql", Reply(json=[{"a": said}]))
    upstream.default = Reply(400, json={"error": said})

    async with connect() as tools:
        table = await tools.call("custom_jql_query", script="main")
        error = await tools.call("list_saved_funnels")

    assert CANARY_PASSWORD[:8] not in shown(table)
    assert CANARY_PASSWORD[:8] not in shown(error)


async def test_a_secret_with_hidden_letters_between_does_not_come_back_whole(
    connect: Connect, upstream: Upstream
) -> None:
    said = "\u200b".join(CANARY_PASSWORD)
    upstream.default = Reply(400, json={"error": said, said: said})

    async with connect() as tools:
        answers = [
            await tools.call("list_saved_funnels"),
            await tools.call("raw_request", url="/x", method="GET"),
        ]

    assert [CANARY_PASSWORD in shown(answer) for answer in answers] == [False, False]


async def test_the_content_of_a_file_is_not_told_in_a_description(
    connect: Connect, upstream: Upstream, tmp_path: Any
) -> None:
    """A model may send a file below the root, with a yes; it may not read it this way."""
    (tmp_path / "notes.txt").write_text("private: 5ec-ret", encoding="utf-8")
    arguments = {"url": "/unknown", "method": "POST", "file_data": {"f": "notes.txt"}}

    async with connect(files_root=tmp_path) as tools:
        answer = await tools.call("raw_request", **arguments)

    assert answer.status == "confirmation_required"
    assert "notes.txt" in answer.text
    assert "5ec-ret" not in shown(answer)
    assert upstream.requests == []
