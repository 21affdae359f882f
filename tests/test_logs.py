"""The log on stderr: one line for each record, and in no line data or a secret."""

import json
import logging
import re
import subprocess
import sys
from typing import Any

import pytest
from harness import Connect, Era
from mcp import MCPError
from processes import (
    CANARY_PASSWORD,
    CANARY_TOKEN,
    INITIALIZE,
    bare_environment,
    connection_to,
    raw_server,
)
from upstream import Drop, Hang, Reply, Upstream

from mixpanel_mcp.api.attempts import shown_path
from mixpanel_mcp.logs import OneLine, folded, one_line

LINE = re.compile(
    r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}\+00:00 (DEBUG|INFO|WARNING|ERROR|CRITICAL) [\w.]+ .+"
)
DATA = "canary-data-5f3759df"


def record(name: str, message: object, *values: object, error: BaseException | None = None) -> str:
    info = (type(error), error, error.__traceback__) if error is not None else None
    made = logging.LogRecord(name, logging.WARNING, "file.py", 1, message, values, info)
    return OneLine().format(made)


def raised(error: Exception, cause: Exception | None = None) -> Exception:
    try:
        raise error from cause
    except type(error) as caught:
        return caught


@pytest.mark.parametrize(
    "text",
    ["two\nlines", "\r\n", "\x1b[31mred", "\u2028", "\u202eback", "\x85", "tag \U000e0041", "\x7f"],
    ids=lambda text: text.encode("unicode_escape").decode(),
)
def test_what_breaks_or_hides_is_escaped_so_that_json_reads_it_again(text: str) -> None:
    shown = one_line(text)
    assert shown.isprintable()
    assert json.loads(f'"{shown}"') == text


def test_visible_text_of_any_script_stays() -> None:
    assert one_line("Größe 日本 ✓") == "Größe 日本 ✓"


def test_our_own_lines_are_whole_and_bounded() -> None:
    line = record("mixpanel_mcp.server", "tool %s\nended", "list_pipelines")
    assert LINE.fullmatch(line)
    assert line.endswith(r"mixpanel_mcp.server tool list_pipelines\nended")
    assert len(record("mixpanel_mcp", "x" * 100_000)) < 5_000


@pytest.mark.parametrize("name", ["mcp.server", "httpx", "asyncio", "mixpanel_mcp_other", "root"])
def test_of_other_libraries_only_the_words_of_their_authors_are_shown(name: str) -> None:
    line = record(name, "dropped %r of %s\nTask exception: ValueError('secret')", DATA, DATA)
    assert LINE.fullmatch(line)
    assert line.endswith("dropped %r of %s")
    assert len(record(name, "x" * 100_000)) < 400


def test_an_exception_is_folded_into_its_kind_and_place() -> None:
    error = raised(KeyError(DATA), raised(OSError(28, DATA)))
    line = record("mixpanel_mcp.server", "it crashed", error=error)
    assert LINE.fullmatch(line)
    assert re.search(
        r"it crashed \| KeyError at tests/test_logs.py:\d+ raised from OSError ENOSPC at", line
    )
    assert DATA not in line


def test_a_group_shows_the_first_of_what_it_holds() -> None:
    group = ExceptionGroup(DATA, [raised(ValueError(DATA))])
    assert re.fullmatch(
        r"ExceptionGroup from ValueError at tests/test_logs.py:\d+ raised", folded(group)
    )


def test_a_deep_traceback_is_bounded() -> None:
    def fall(depth: int) -> None:
        if depth == 0:
            raise ValueError(DATA)
        fall(depth - 1)

    with pytest.raises(ValueError, match=DATA) as caught:
        fall(200)
    assert len(folded(caught.value)) < 2_100
    assert folded(caught.value).count("fall") == 8


@pytest.mark.parametrize(
    ("path", "shown"),
    [
        ("/api/query/funnels/list", "/api/query/funnels/list"),
        ("/api/2.0/nessie/pipeline/create", "/api/2.0/nessie/pipeline/create"),
        ("/api/app/projects/4242/schemas/event/ada%40x.com", "/api/app/projects/*/schemas/*/*"),
        ("/lookup-tables/ada", "/lookup-tables/*"),
        ("/engage", "/engage"),
    ],
)
def test_a_path_shows_words_of_mixpanel_and_no_names(path: str, shown: str) -> None:
    assert shown_path(path) == shown


SCRIPT = """
import logging, threading, warnings
from mixpanel_mcp.logs import log_to_stderr
log_to_stderr(logging.DEBUG)
log_to_stderr(logging.DEBUG)
logging.getLogger("httpx").setLevel(logging.DEBUG)
logging.getLogger("httpx").debug("https://example.com/?token=canary-data-5f3759df")
logging.getLogger("mixpanel_mcp.x").debug("one\\ntwo")
logging.getLogger("mixpanel_mcp.x").debug("%d", "no number")
warnings.warn("careful: canary-data-5f3759df\\ncanary-data-5f3759df", FutureWarning)
def fail():
    raise ValueError("canary-data-5f3759df\\n")
thread = threading.Thread(target=fail)
thread.start()
thread.join()
fail()
"""


def test_warnings_threads_and_what_nobody_caught_are_lines_too() -> None:
    ran = subprocess.run(  # noqa: S603 - our own interpreter and code
        [sys.executable, "-W", "always", "-c", SCRIPT],
        capture_output=True,
        text=True,
        check=False,
        timeout=20,
    )
    lines = ran.stderr.splitlines()
    assert (ran.returncode, ran.stdout) == (1, "")
    assert all(LINE.fullmatch(line) for line in lines), lines
    names = [line.split()[2] for line in lines]
    assert names == ["mixpanel_mcp.x", "py.warnings", "mixpanel_mcp", "mixpanel_mcp"]
    assert lines[1].endswith(": FutureWarning")
    assert DATA not in ran.stderr


def _call(name: str, **arguments: Any) -> dict[str, Any]:
    return {"name": name, "arguments": arguments}


# Each leads our code, the SDK or httpx to say something, with data in its hands.
TALK: list[tuple[str, dict[str, Any]]] = [
    ("tools/call", _call("list_saved_funnels")),
    ("tools/call", _call("query_profiles", distinct_ids=[DATA], where=f'"{DATA}" == "x"')),
    ("tools/call", _call("query_profiles", bogus=DATA)),
    ("tools/call", _call("create_profile", properties=[{"$distinct_id": DATA, "plan": DATA}])),
    ("tools/call", _call("create_alias", distinct_id=DATA, alias=f"{DATA}-2", confirm=True)),
    ("tools/call", _call("delete_profile", delete_profiles=[DATA], confirm=True)),
    (
        "tools/call",
        _call("raw_request", url=f"/api/app/projects/4242/schemas/{DATA}", method="GET"),
    ),
    ("tools/call", _call("download_data", from_date="2026-01-01", to_date="2026-01-02")),
    ("tools/call", _call(DATA, x=DATA)),
    ("tools/call", {"name": 7, "arguments": DATA}),
    ("prompts/get", {"name": DATA, "arguments": {DATA: DATA}}),
    ("resources/read", {"uri": f"mixpanel://{DATA}"}),
    (f"no/{DATA}", {"a": DATA}),
]


async def test_at_debug_every_line_is_one_and_holds_neither_data_nor_secrets(
    upstream: Upstream,
) -> None:
    upstream.default = Reply(400, json={"error": f"{DATA} is wrong"})
    upstream.on("/api/query/funnels/list", Reply(json=[{"funnel_id": 1, "name": f"{DATA}\n"}]))
    upstream.on("/track", Drop())
    upstream.on("/api/2.0/export", Reply(body=f'{{"event":"{DATA}","properties":{{}}}}\n'))
    flags = ("--log-level", "DEBUG")
    noise = {"PYTHONDEVMODE": "1", "HTTPX_LOG_LEVEL": "trace", "MCP_LOG_LEVEL": "DEBUG"}
    async with raw_server(*flags, environment={**connection_to(upstream), **noise}) as server:
        await server.ask("initialize", **INITIALIZE)
        server.tell({"jsonrpc": "2.0", "method": "notifications/initialized"})
        server.tell(f"this is no message: {DATA}")
        server.tell({"jsonrpc": "2.0", "method": "notifications/progress", "params": {DATA: DATA}})
        for method, params in TALK:
            await server.ask(method, **params)
        await server.end()

    lines = server.errors.splitlines()
    assert [line for line in lines if not LINE.fullmatch(line)] == []
    for secret in (DATA, CANARY_PASSWORD, CANARY_TOKEN, "4242", "robot"):
        assert secret not in without_audit(server.errors)
    attempts = [line for line in lines if "mixpanel_mcp.api.attempts" in line]
    calls = [line for line in lines if "mixpanel_mcp.server.tool_call " in line]
    assert len([line for line in attempts if "streamed" not in line]) == len(upstream.requests)
    assert len(calls) == 8
    for said in (
        r"GET /api/query/funnels/list: 200, \d+ bytes, \d+ ms, attempt 1",
        r"POST /track: dropped, \d+ ms, attempt 1",
        r"GET /api/app/projects/\*/schemas/\*: 400, \d+ bytes, \d+ ms, attempt 1",
        r"GET /api/2.0/export: \d+ bytes streamed, \d+ ms",
        r"list_saved_funnels: ok, \d+ ms",
        r"query_profiles: failed: \w+, \d+ ms",
    ):
        assert any(re.search(f"{said}$", line) for line in lines), said


def without_audit(text: str) -> str:
    """What an operator asked to be recorded names the project it was done to."""
    return "\n".join(line for line in text.splitlines() if "mixpanel_mcp.audit" not in line)


LEVELS = {
    "debug": {"DEBUG", "INFO"},
    "info": {"INFO"},
    "warning": set[str](),
    "error": set[str](),
}


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("how", ["flag", "variable"])
async def test_a_level_is_a_flag_or_a_variable(upstream: Upstream, level: str, how: str) -> None:
    upstream.default = Reply(json=[])
    flags = ["--log-level", level] if how == "flag" else []
    variable = {} if how == "flag" else {"MIXPANEL_MCP_LOG_LEVEL": level}
    async with raw_server(*flags, environment={**connection_to(upstream), **variable}) as server:
        await server.ask("initialize", **INITIALIZE)
        server.tell({"jsonrpc": "2.0", "method": "notifications/initialized"})
        await server.ask("tools/call", name="list_saved_funnels", arguments={})
        await server.end()

    assert {line.split()[1] for line in server.errors.splitlines()} == LEVELS[level]


def test_the_doctor_takes_a_level_too_and_keeps_its_report_clean() -> None:
    ran = subprocess.run(
        [sys.executable, "-m", "mixpanel_mcp", "doctor", "--json", "--log-level", "debug"],
        capture_output=True,
        text=True,
        check=False,
        timeout=20,
        env=bare_environment(),
    )
    assert json.loads(ran.stdout)
    assert all(LINE.fullmatch(line) for line in ran.stderr.splitlines())


def test_a_level_that_is_none_stops_the_start() -> None:
    ran = subprocess.run(
        [sys.executable, "-m", "mixpanel_mcp", "--log-level", "loud"],
        capture_output=True,
        text=True,
        check=False,
        timeout=20,
        stdin=subprocess.DEVNULL,
        env=bare_environment(),
    )
    assert ran.returncode == 2
    assert "--log-level" in ran.stderr
    assert "'debug', 'info', 'warning' or 'error'" in ran.stderr


async def test_attempts_are_counted_and_a_cancelled_one_is_told(
    connect: Connect, upstream: Upstream, era: Era, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, logger="mixpanel_mcp")
    upstream.on("/api/query/funnels/list", Reply(429), Reply(503), Reply(json=[]), Hang())

    async with connect(era=era) as tools:
        await tools.call("list_saved_funnels")
        with pytest.raises(MCPError):
            await tools.client.call_tool(
                "list_saved_funnels", {"fresh": True}, read_timeout_seconds=0.2
            )

    told = [line.getMessage() for line in caplog.records if line.name.startswith("mixpanel_mcp")]
    told = [re.sub(r"\d+ ms", "n ms", line) for line in told]
    path = "GET /api/query/funnels/list"
    assert told == [
        f"{path}: 429, 0 bytes, n ms, attempt 1",
        f"{path}: 503, 0 bytes, n ms, attempt 2",
        f"{path}: 200, 2 bytes, n ms, attempt 3",
        "list_saved_funnels: ok, n ms",
        f"{path}: cancelled, n ms, attempt 1",
        "list_saved_funnels: crashed or cancelled, n ms",
    ]
