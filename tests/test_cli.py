"""The command line as a person meets it: real processes, their output and their exit codes."""

import json
import os
import re
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import pytest
from seed_inputs import ALL_NAMES, NAMES

from mixpanel_mcp import __version__, cli

SECRET = "canary-password-b1946ac9"
EVERY_TOOL = [name for names in ALL_NAMES.values() for name in names]


def clean_environment(**more: str) -> dict[str, str]:
    """Our own variables, without what a developer may have set for Mixpanel."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("MIXPANEL")}
    return {**kept, **more}


def run(
    *arguments: str, environment: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(  # noqa: S603 - our own command
        [sys.executable, "-m", "mixpanel_mcp", *arguments],
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
        stdin=subprocess.DEVNULL,
        env=clean_environment(**(environment or {})),
    )


def test_the_tools_come_as_a_table() -> None:
    ran = run("tools")
    lines = ran.stdout.splitlines()
    assert (ran.returncode, ran.stderr) == (0, "")
    assert lines[0].split() == ["tool", "toolset", "effect", "what", "it", "does"]
    of_connector = {name for names in NAMES.values() for name in names}
    assert {line.split()[0] for line in lines[1:]} == of_connector
    assert re.search(r"^delete_profile +profiles +irreversible +Delete", ran.stdout, re.MULTILINE)


def test_the_tools_come_as_json_for_programs() -> None:
    ran = run("tools", "--json", "--toolsets", "events,raw")
    rows = json.loads(ran.stdout)
    assert [row["name"] for row in rows] == [*ALL_NAMES["events"], "raw_request"]
    assert rows[0]["inputSchema"]["required"] == ["events"]
    assert rows[0]["annotations"]["readOnlyHint"] is False
    assert all(row["docs"] for row in rows)


@pytest.mark.parametrize(
    ("region", "host"), [("us", "api.mixpanel"), ("eu.mixpanel", "api-eu."), ("DATA-IN", "api-in.")]
)
def test_the_origins_in_use_come_as_json(region: str, host: str) -> None:
    ran = run("tools", "--origins", environment={"MIXPANEL_REGION": region})
    origins = json.loads(ran.stdout)
    assert list(origins) == ["ingestion", "data", "query", "app"]
    assert origins["ingestion"].startswith(f"https://{host}")
    assert origins["query"] == origins["app"]


@pytest.mark.parametrize(
    ("spelling", "query"),
    [
        *((spelling, "https://mixpanel.com") for spelling in ("us", "api", "data", "mixpanel")),
        *(
            (spelling, "https://eu.mixpanel.com")
            for spelling in ("eu", "api-eu", "data-eu", "eu.mixpanel")
        ),
        *(
            (spelling, "https://in.mixpanel.com")
            for spelling in ("in", "api-in", "data-in", "in.mixpanel")
        ),
    ],
)
def test_every_spelling_of_the_region_shows_in_the_origins(
    spelling: str,
    query: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    for written in (spelling, spelling.upper()):
        monkeypatch.setenv("MIXPANEL_REGION", written)
        cli.main(["tools", "--origins"])
        assert json.loads(capsys.readouterr().out)["query"] == query


def test_a_base_url_shows_as_all_four_origins() -> None:
    ran = run("tools", "--origins", environment={"MIXPANEL_BASE_URL": "http://127.0.0.1:9/"})
    assert set(json.loads(ran.stdout).values()) == {"http://127.0.0.1:9"}


def test_the_version_is_printed() -> None:
    ran = run("--version")
    assert (ran.returncode, ran.stdout) == (0, f"{__version__}\n")


@pytest.mark.parametrize("arguments", [["--help"], ["serve", "--help"], ["tools", "--help"]])
def test_help_is_given(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        cli.main(arguments)
    assert ended.value.code == 0
    assert "usage: mixpanel-mcp" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "meant"),
    [
        (["--readonly"], "--read-only"),
        (["--read_only"], "--read-only"),
        (["--read-onl"], "--read-only"),
        (["serve", "--tool-set", "events"], "--toolsets"),
        (["serve", "--toolset=events"], "--toolsets"),
        (["serve", "--confirm"], "--confirmation"),
        (["serve", "--sandbx"], "--sandbox"),
        (["tools", "--origin"], "--origins"),
        (["tools", "--jsn"], "--json"),
        (["sandbox", "--prot", "0"], "--port"),
        (["serv"], "serve"),
        (["sandbocks"], "sandbox"),
        (["tool"], "tools"),
        (["--toolsets", "event"], "events"),
        (["--confirmation", "humans"], "human"),
    ],
)
def test_a_misspelt_word_stops_the_start_and_names_the_right_one(
    arguments: list[str],
    meant: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    for name in clean_environment().keys() ^ os.environ.keys():
        monkeypatch.delenv(name)
    with pytest.raises(SystemExit) as ended:
        cli.main(arguments)
    said = capsys.readouterr()
    assert ended.value.code == 2
    assert meant in said.err
    assert said.out == ""


def test_all_faults_of_a_start_are_listed_and_no_secret_with_them() -> None:
    ran = run(
        "serve",
        "--readonly",
        "--confirmation",
        "never",
        environment={
            "MIXPANEL_USER": "robot",
            "MIXPANEL_PASSWORD": SECRET,
            "MIXPANEL_PASSWROD": SECRET,
            "MIXPANEL_REGION": "mars",
            "MIXPANEL_MCP_READONLY": "1",
        },
    )
    assert (ran.returncode, ran.stdout) == (2, "")
    assert SECRET not in ran.stderr
    for meant in (
        "--read-only",
        "--confirmation",
        "MIXPANEL_USERNAME",
        "MIXPANEL_PASSWORD",
        "MIXPANEL_REGION",
        "MIXPANEL_MCP_READ_ONLY",
    ):
        assert meant in ran.stderr
    assert "Traceback" not in ran.stderr


def test_settings_that_leave_no_tool_are_a_fault() -> None:
    ran = run("serve", "--tools", "raw_request", "--exclude-tools", "raw_request")
    assert ran.returncode == 2
    assert "leave no tool" in ran.stderr


@pytest.mark.parametrize("flag", ["--password", "--project-token", "--username", "--token"])
def test_secrets_are_never_flags_where_every_process_could_read_them(
    flag: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        cli.main(["serve", flag, SECRET])
    assert ended.value.code == 2
    assert flag in (said := capsys.readouterr()).err
    assert SECRET not in said.err + said.out


def test_an_audit_log_that_cannot_be_written_stops_the_start(tmp_path: Path) -> None:
    ran = run("serve", "--audit-log", str(tmp_path / "missing" / "audit.jsonl"))
    assert ran.returncode == 2
    assert "--audit-log" in ran.stderr
    assert "Traceback" not in ran.stderr


@contextmanager
def sandbox_process(*flags: str) -> Generator[tuple[dict[str, str], subprocess.Popen[str]]]:
    """Run the sandbox on its own; gives the variables it printed."""
    process = subprocess.Popen(  # noqa: S603 - our own command
        [sys.executable, "-m", "mixpanel_mcp", "sandbox", "--port", "0", *flags],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=clean_environment(),
    )
    try:
        assert process.stdout is not None
        yield dict(_variables(process.stdout)), process
    finally:
        process.terminate()
        process.communicate(timeout=10)


def _variables(output: IO[str]) -> Generator[tuple[str, str]]:
    for line in output:
        name, _, value = line.removeprefix("export ").strip().partition("=")
        yield name, value
        if name == "MIXPANEL_BASE_URL":
            return


def test_the_sandbox_prints_what_to_set_and_serves() -> None:
    with sandbox_process("--empty") as (variables, process):
        assert variables == {
            "MIXPANEL_USERNAME": "sandbox",
            "MIXPANEL_PASSWORD": "sandbox-secret",
            "MIXPANEL_PROJECT_TOKEN": "sandbox-token-0123456789abcdef0123",
            "MIXPANEL_PROJECT_ID": "1000001",
            "MIXPANEL_BASE_URL": variables["MIXPANEL_BASE_URL"],
        }
        url = variables["MIXPANEL_BASE_URL"]
        assert re.fullmatch(r"http://127\.0\.0\.1:\d+", url)
        request = urllib.request.Request(f"{url}/track", data=b"data=%5B%5D")  # noqa: S310
        with urllib.request.urlopen(request, timeout=10) as reply:  # noqa: S310
            assert reply.status == 200
        assert process.poll() is None
        # Its variables are what `serve` takes: nothing is unknown, nothing is missing.
        origins = run("tools", "--origins", environment=variables)
        assert set(json.loads(origins.stdout).values()) == {url}


def test_the_sandbox_has_limits_and_simplified_ids_on_request() -> None:
    flags = ("--empty", "--limits", "--id-merge", "simplified")
    with sandbox_process(*flags) as (variables, _):
        secret = f"{variables['MIXPANEL_USERNAME']}:{variables['MIXPANEL_PASSWORD']}"
        headers = {"Authorization": f"Basic {secret}", "Content-Type": "application/json"}
        project = f"project_id={variables['MIXPANEL_PROJECT_ID']}"
        url = variables["MIXPANEL_BASE_URL"]

        def ask(path: str, body: bytes | None = None) -> str:
            request = urllib.request.Request(f"{url}{path}{project}", body, headers)  # noqa: S310
            with urllib.request.urlopen(request, timeout=10) as reply:  # noqa: S310
                return reply.read().decode()

        properties = {"$device_id": "d1", "$user_id": "ada", "time": time.time_ns() // 10**9}
        event = {"event": "Came", "properties": {**properties, "$insert_id": "came-1"}}
        ask("/import?strict=1&", json.dumps([event]).encode())
        today = time.strftime("%Y-%m-%d", time.gmtime())
        exported = ask(f"/api/2.0/export?from_date=2026-01-01&to_date={today}&")
        assert '"distinct_id":"ada"' in exported
        for _ in range(60):
            ask("/api/query/funnels/list?")
        with pytest.raises(urllib.error.HTTPError, match="429"):
            ask("/api/query/funnels/list?")


@pytest.mark.parametrize("told", [signal.SIGINT, signal.SIGTERM], ids=["ctrl_c", "terminated"])
def test_a_signal_ends_the_sandbox_without_a_traceback(told: signal.Signals) -> None:
    with sandbox_process("--empty") as (_, process):
        time.sleep(0.1)
        process.send_signal(told)
        _, said = process.communicate(timeout=10)
        assert "Traceback" not in said
        assert process.returncode == 0


def test_a_port_that_is_taken_is_said_to_be_taken() -> None:
    import socket  # noqa: PLC0415

    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        ran = run("sandbox", "--port", str(port))
    assert ran.returncode == 2
    assert f"Port {port}" in ran.stderr
    assert "Traceback" not in ran.stderr


@pytest.mark.parametrize("port", ["-1", "65536", "http"])
def test_a_port_that_is_none_is_refused(port: str) -> None:
    ran = run("sandbox", f"--port={port}")
    assert ran.returncode == 2
    assert "Traceback" not in ran.stderr
