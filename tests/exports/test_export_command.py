"""`mixpanel-mcp export`: the same on the command line, for a person's own paths."""

import asyncio
import json
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import pytest
from days import DAYS, Faulty, expected, plain, read, whole
from harness import CANARY_PASSWORD
from upstream import Reply, Upstream

SPAN = ["--from-date", DAYS[0], "--to-date", DAYS[-1]]


@dataclass(frozen=True)
class Ran:
    code: int
    out: str
    err: str


def environment(url: str) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("MIXPANEL")}
    return {
        **kept,
        "MIXPANEL_USERNAME": "robot",
        "MIXPANEL_PASSWORD": CANARY_PASSWORD,
        "MIXPANEL_PROJECT_ID": "4242",
        "MIXPANEL_BASE_URL": url,
    }


def asked(sql: str) -> list[tuple[Any, ...]]:
    with duckdb.connect() as connection:
        return connection.execute(sql).fetchall()


def names_in(folder: Path) -> list[str]:
    return [each.name for each in folder.iterdir()]


async def started(upstream: Upstream, *arguments: str) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "mixpanel_mcp",
        "export",
        *arguments,
        env=environment(upstream.url),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )


async def run(upstream: Upstream, *arguments: str) -> Ran:
    process = await started(upstream, *arguments)
    out, err = await process.communicate()
    return Ran(process.returncode or 0, out.decode(), err.decode())


@pytest.mark.parametrize("name", ["all.ndjson", "all.ndjson.gz"])
async def test_a_path_that_is_no_folder_is_one_file(
    upstream: Upstream, tmp_path: Path, name: str
) -> None:
    upstream.default = whole
    target = tmp_path / "new" / name

    ran = await run(upstream, *SPAN, "--out", str(target), "--json")

    assert ran.code == 0, ran.err
    assert read(target) == expected()
    assert names_in(target.parent) == [name]
    told = json.loads(ran.out)
    assert (told["records"], told["bytes"]) == (len(expected()), target.stat().st_size)
    assert told["path"] == str(target)
    assert "3 of 3 days" in ran.err
    assert CANARY_PASSWORD not in ran.err + ran.out


async def test_parquet_is_one_file_too(upstream: Upstream, tmp_path: Path) -> None:
    upstream.default = plain
    target = tmp_path / "all.parquet"

    ran = await run(upstream, *SPAN, "--out", str(target), "--column", "price:number")

    assert ran.code == 0, ran.err
    rows = asked(f"SELECT insert_id, price FROM '{target}' ORDER BY time")  # noqa: S608 - our own path
    assert rows == [
        (each["properties"]["$insert_id"], each["properties"]["price"]) for each in expected()
    ]
    assert names_in(tmp_path) == ["all.parquet"]


async def test_a_folder_has_a_file_a_day_and_a_manifest(upstream: Upstream, tmp_path: Path) -> None:
    upstream.default = whole

    ran = await run(upstream, *SPAN, "--out", f"{tmp_path}/out/", "--format", "ndjson.gz")
    again = await run(upstream, *SPAN, "--out", f"{tmp_path}/out", "--format", "ndjson.gz")
    other = await run(upstream, *SPAN, "--out", f"{tmp_path}/out", "--where", "true")

    assert (ran.code, again.code, other.code) == (0, 0, 2)
    assert "other arguments" in other.err
    assert len(upstream.requests) == len(DAYS)
    files = [tmp_path / "out" / f"day={day}" / "events.ndjson.gz" for day in DAYS]
    assert [record for file in files for record in read(file)] == expected()
    assert json.loads((tmp_path / "out" / "manifest.json").read_text())["complete"] is True


async def test_what_is_asked_reaches_mixpanel(upstream: Upstream, tmp_path: Path) -> None:
    upstream.default = whole
    out = str(tmp_path / "a.ndjson")

    ran = await run(
        upstream, *SPAN, "--out", out, "--event", "A", "--event", "B", "--where", "true",
        "--project-id", "7",
    )  # fmt: skip

    assert ran.code == 0
    query = dict(upstream.requests[0].query)
    assert (query["event"], query["where"]) == ('["A","B"]', "true")
    assert (query["project_id"], query["time_in_ms"]) == ("7", "true")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--out", "x"], "--from-date: is needed"),
        (SPAN, "--out: is needed"),
        (["--from-date", "yesterday", "--to-date", DAYS[0], "--out", "x"], "--from-date: must be"),
        (["--from-date", DAYS[1], "--to-date", DAYS[0], "--out", "x"], "lies before"),
        ([*SPAN, "--out", "x", "--fromat", "ndjson"], "did you mean --format"),
        ([*SPAN, "--out", "x", "--column", "plan:text"], "only parquet"),
        ([*SPAN, "--out", "x.parquet", "--column", "plan"], "NAME:TYPE"),
        ([*SPAN, "--out", "x", "--connection", "shop"], "--connection"),
    ],
)
async def test_wrong_arguments_send_nothing(
    upstream: Upstream, arguments: list[str], words: str
) -> None:
    ran = await run(upstream, *arguments)
    assert (ran.code, ran.out) == (2, "")
    assert words in ran.err
    assert upstream.requests == []


async def test_what_is_missing_is_an_exit_code_and_the_next_run_goes_on(
    upstream: Upstream, tmp_path: Path
) -> None:
    refused = Reply(status=400, body="no such day")
    upstream.default = answers = Faulty({DAYS[2]: [refused]})
    target = tmp_path / "all.ndjson"

    failed = await run(upstream, *SPAN, "--out", str(target))
    there = target.exists()
    mended = await run(upstream, *SPAN, "--out", str(target))

    assert (failed.code, there) == (1, False)
    assert "no such day" in failed.err
    assert mended.code == 0
    assert read(target) == expected()
    assert answers.asked[DAYS[0]] == 1


def test_it_does_not_load_mcp() -> None:
    import subprocess  # noqa: PLC0415 - for this test alone

    code = (
        "import sys, mixpanel_mcp.commands.exporting as _\n"
        "print('mcp' in sys.modules, 'duckdb' in sys.modules)"
    )
    ran = subprocess.run(  # noqa: S603 - our own interpreter
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert ran.stdout.split() == ["False", "False"]
