"""`mixpanel-mcp token`, as a person meets it."""

import json
import subprocess
import sys
import tomllib

from processes import bare_environment

from mixpanel_mcp.settings import token_hash


def run(*arguments: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.run(  # noqa: S603 - our own command
        [sys.executable, "-m", "mixpanel_mcp", "token", *arguments],
        input=stdin,
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
        env=bare_environment(),
    )


def test_a_token_is_shown_once_with_the_lines_that_know_it() -> None:
    ran = run("new", "analytics-team")
    assert (ran.returncode, ran.stderr) == (0, "")
    (token,) = [line for line in ran.stdout.splitlines() if line.startswith("mixmcp_")]
    lines = ran.stdout.split(token)[1]
    assert tomllib.loads(lines) == {
        "callers": {"analytics-team": {"token_sha256": token_hash(token)}}
    }
    assert token not in run("new", "analytics-team").stdout


def test_programs_get_the_same_as_json() -> None:
    made = json.loads(run("new", "ci", "--json").stdout)
    assert made["name"] == "ci"
    assert made["token_sha256"] == token_hash(made["token"])
    assert tomllib.loads(made["toml"])["callers"]["ci"]["token_sha256"] == made["token_sha256"]


def test_a_token_that_is_there_already_gets_its_hash() -> None:
    token = json.loads(run("new", "ci", "--json").stdout)["token"]
    assert run("hash", stdin=f"{token}\n").stdout == token_hash(token) + "\n"


def test_a_password_is_no_token() -> None:
    ran = run("hash", stdin="hunter2-canary\n")
    assert (ran.returncode, ran.stdout) == (2, "")
    assert "canary" not in ran.stderr


def test_a_name_that_is_none_is_refused_and_not_repeated() -> None:
    ran = run("new", "canary name")
    assert (ran.returncode, ran.stdout) == (2, "")
    assert "up to 40 letters, digits, - and _" in ran.stderr
    assert "canary" not in ran.stderr


def test_a_misspelt_flag_stops_it() -> None:
    ran = run("new", "ci", "--jsno")
    assert (ran.returncode, ran.stdout) == (2, "")
    assert "did you mean --json?" in ran.stderr
