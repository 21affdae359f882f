"""The command as a person meets it: output and exit codes."""

import asyncio
import json
import os
import re
import sys
from collections.abc import Mapping

import pytest
from clinic import CREDENTIALS, NO_PLAN, PAGE, UNAUTHORIZED, at, heal_eu, healthy
from harness import CANARY_PASSWORD, CANARY_TOKEN
from upstream import Answer, Reply, Upstream
from world import World

from mixpanel_mcp import cli, doctor
from mixpanel_mcp.doctor import Ailment

# The command


async def run(*arguments: str, variables: Mapping[str, str] | None = None) -> tuple[int, str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("MIXPANEL")}
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "mixpanel_mcp", *arguments),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        stdin=asyncio.subprocess.DEVNULL,
        env={**kept, **(variables or {})},
    )
    out, err = await asyncio.wait_for(process.communicate(), 30)
    assert process.returncode is not None
    return process.returncode, out.decode(), err.decode()


async def test_the_command_says_that_all_is_well(upstream: Upstream) -> None:
    healthy(upstream)

    code, out, err = await run("doctor", variables=at(upstream))

    assert (code, err) == (0, "")
    assert re.search(
        r"^ok +service account on query \(http://127[^)]+\): accepted$", out, re.MULTILINE
    )
    assert re.search(r"^warn +project token's project", out, re.MULTILINE)
    assert "What to do:" in out
    assert out.endswith("All is well (exit code 0).\n")


async def test_the_command_finds_the_region_over_real_host_names(world: World) -> None:
    heal_eu(world)

    code, out, err = await run("doctor", "--json", variables=CREDENTIALS)

    report = json.loads(out)
    assert (code, err) == (11, "")
    assert list(report) == ["ok", "class", "exit_code", "checks"]
    assert (report["ok"], report["class"], report["exit_code"]) == (False, "wrong-region", 11)
    for row in report["checks"]:
        assert list(row) == ["name", "family", "origin", "outcome", "detail", "advice"]
    assert CANARY_PASSWORD not in out
    assert CANARY_TOKEN not in out


@pytest.mark.parametrize(
    ("answer", "code"), [(UNAUTHORIZED, 12), (NO_PLAN, 30), (Reply(429), 26), (PAGE, 24)]
)
async def test_the_command_exits_with_what_it_found(
    upstream: Upstream, answer: Answer, code: int
) -> None:
    upstream.default = answer

    found, out, err = await run("doctor", variables=at(upstream))

    assert (found, err) == (code, "")
    assert f"(exit code {code})" in out


async def test_the_command_without_any_setting() -> None:
    code, out, _ = await run("doctor", "--json")

    assert code == 10
    assert json.loads(out)["class"] == "not-configured"


async def test_settings_that_are_wrong_stop_it_as_they_stop_serve() -> None:
    code, out, err = await run(
        "doctor", "--jsn", variables={"MIXPANEL_USER": "robot", "MIXPANEL_REGION": "mars"}
    )

    assert (code, out) == (2, "")
    for meant in ("--json", "MIXPANEL_USERNAME", "MIXPANEL_REGION"):
        assert meant in err


def test_a_misspelt_doctor_is_called_by_its_name(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        cli.main(["docter"])
    assert ended.value.code == 2
    assert "did you mean doctor?" in capsys.readouterr().err


def test_help_has_every_class_with_its_exit_code(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        cli.main(["doctor", "--help"])
    said = capsys.readouterr().out
    assert doctor.__doc__ is not None
    for text in (said, doctor.__doc__):
        rows = dict(re.findall(r"^ +(\d+)  ([a-z-]+) ", text, re.MULTILINE))
        assert rows.pop("0") == "well"
        assert rows == {str(ailment.exit_code): ailment.value for ailment in Ailment}


def test_the_doctor_needs_no_mcp() -> None:
    import subprocess  # noqa: PLC0415

    code = (
        "import sys, mixpanel_mcp.doctor.examination; "
        "print({'mcp', 'httpx', 'duckdb'} & set(sys.modules))"
    )
    ran = subprocess.run(  # noqa: S603 - our own interpreter and code
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=30
    )
    assert ran.stdout == "set()\n"
