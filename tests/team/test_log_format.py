"""The log as JSON: the same lines for programs, with fields, and with no more of anybody's data."""

import json
import logging
import subprocess
import sys
from collections.abc import Mapping
from typing import Any

import pytest
from processes import (
    CANARY_PASSWORD,
    CANARY_TOKEN,
    INITIALIZE,
    bare_environment,
    connection_to,
    raw_server,
)
from upstream import Reply, Upstream

from mixpanel_mcp.logs import OneObject, told

DATA = "canary-data-5f3759df"


def formatted(
    name: str, message: object, *values: object, extra: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    made = logging.LogRecord(name, logging.WARNING, "file.py", 1, message, values, None)
    made.__dict__.update(extra or {})
    line = OneObject().format(made)
    assert line.isprintable()
    return json.loads(line)


def test_a_line_of_ours_has_its_fields_beside_the_message() -> None:
    line = formatted(
        "mixpanel_mcp.server", "%s: ok", "list_pipelines", extra=told(tool="list_pipelines", n=None)
    )
    assert line.pop("time")
    assert line == {
        "level": "WARNING",
        "logger": "mixpanel_mcp.server",
        "message": "list_pipelines: ok",
        "tool": "list_pipelines",
    }


@pytest.mark.parametrize("text", ["two\nlines", "\u202eback", "tag \U000e0041", '"}\n{"a": "'])
def test_what_breaks_or_hides_is_read_again_from_one_line(text: str) -> None:
    assert formatted("mixpanel_mcp", text, extra=told(about=text))["about"] == text


def test_of_other_libraries_neither_values_nor_fields_are_shown() -> None:
    line = formatted("httpx", "dropped %r of %s", DATA, DATA, extra=told(url=DATA))
    assert (line["message"], line["level"]) == ("dropped %r of %s", "WARNING")
    assert DATA not in json.dumps(line)


def test_an_exception_is_its_kind_and_place() -> None:
    with pytest.raises(KeyError) as caught:
        {"": ""}[DATA]
    info = (KeyError, caught.value, caught.value.__traceback__)
    made = logging.LogRecord("mixpanel_mcp", logging.ERROR, "file.py", 1, "it failed", (), info)
    line = json.loads(OneObject().format(made))
    assert line["message"] == "it failed"
    assert line["error"].startswith("KeyError at team/test_log_format.py:")


TALK: list[tuple[str, dict[str, Any]]] = [
    ("list_saved_funnels", {}),
    ("query_profiles", {"distinct_ids": [DATA]}),
    ("create_profile", {"properties": [{"$distinct_id": DATA, "plan": DATA}]}),
    ("delete_profile", {"delete_profiles": [DATA]}),
    ("query_profiles", {"bogus": DATA}),
]


@pytest.mark.parametrize("how", ["flag", "variable"])
async def test_calls_and_audit_lines_are_objects(upstream: Upstream, how: str) -> None:
    upstream.default = Reply(400, json={"error": f"{DATA} is wrong"})
    upstream.on("/api/query/funnels/list", Reply(json=[]))
    flags = ["--log-level", "debug", *(["--log-format", "json"] if how == "flag" else [])]
    variables = {"MIXPANEL_MCP_LOG_FORMAT": "JSON"} if how == "variable" else {}
    environment = {**connection_to(upstream), **variables}
    async with raw_server(*flags, environment=environment) as server:
        await server.ask("initialize", **INITIALIZE)
        server.tell({"jsonrpc": "2.0", "method": "notifications/initialized"})
        server.tell(f"this is no message: {DATA}")
        for name, arguments in TALK:
            await server.ask("tools/call", name=name, arguments=arguments)
        await server.end()

    lines = [json.loads(line) for line in server.errors.splitlines()]
    calls = [line for line in lines if line["logger"] == "mixpanel_mcp.server.tool_call"]
    assert [line["tool"] for line in calls] == [name for name, _ in TALK]
    first = calls[0]
    assert first.pop("milliseconds") >= 0
    assert (first["connection"], first["project"], first["outcome"]) == ("default", 4242, "ok")
    assert "caller" not in first
    audits = {line["tool"]: line for line in lines if line["logger"] == "mixpanel_mcp.audit"}
    assert set(audits) == {"create_profile", "delete_profile"}
    assert audits["delete_profile"]["message"] == "delete_profile: confirmation_required"
    assert audits["delete_profile"]["effect"] == "IRREVERSIBLE"
    assert audits["delete_profile"]["count"] == 1
    for secret in (DATA, CANARY_PASSWORD, CANARY_TOKEN, "robot"):
        assert secret not in server.errors


async def test_a_line_names_its_trace(upstream: Upstream) -> None:
    upstream.default = Reply(json=[])
    environment = {**connection_to(upstream), "OTEL_TRACES_EXPORTER": "console"}
    flags = ("--log-format", "json", "--log-level", "debug")
    async with raw_server(*flags, environment=environment) as server:
        await server.ask("initialize", **INITIALIZE)
        await server.ask("tools/call", name="list_saved_funnels", arguments={})
        await server.end()

    objects = [json.loads(line) for line in server.errors.splitlines()]
    (span,) = [each for each in objects if each.get("name") == "tools/call list_saved_funnels"]
    lines = [each for each in objects if each.get("trace_id")]
    assert {line["logger"] for line in lines} == {
        "mixpanel_mcp.api.attempts",
        "mixpanel_mcp.server.tool_call",
    }
    assert {f"0x{line['trace_id']}" for line in lines} == {span["context"]["trace_id"]}


async def test_an_audit_line_that_found_no_file_is_an_object_too(
    upstream: Upstream, tmp_path: Any
) -> None:
    audit_log = tmp_path / "audit" / "log"
    audit_log.parent.mkdir()
    flags = ("--log-format", "json", "--audit-log", str(audit_log))
    async with raw_server(*flags, environment=connection_to(upstream)) as server:
        await server.ask("initialize", **INITIALIZE)
        audit_log.unlink()
        audit_log.mkdir()
        await server.ask("tools/call", name="delete_profile", arguments={"delete_profiles": [DATA]})
        await server.end()

    (line,) = [json.loads(line) for line in server.errors.splitlines()]
    assert line["message"] == "the audit log cannot be written (Is a directory)"
    assert (line["level"], line["tool"]) == ("ERROR", "delete_profile")


def test_a_format_that_is_none_stops_the_start() -> None:
    ran = subprocess.run(
        [sys.executable, "-m", "mixpanel_mcp", "--log-format", "xml"],
        capture_output=True,
        text=True,
        check=False,
        timeout=20,
        stdin=subprocess.DEVNULL,
        env=bare_environment(),
    )
    assert ran.returncode == 2
    assert "--log-format: Input should be 'text' or 'json'" in ran.stderr
