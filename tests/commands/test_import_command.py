"""`mixpanel-mcp import`: files of a person's own, an answer on stdout, a code for scripts."""

import asyncio
import json
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from upstream import Received, Reply, Upstream

NOON = 1_767_268_800_000


def event(number: int, name: str = "Played", **more: Any) -> dict[str, Any]:
    given = {"distinct_id": f"user-{number}", "time": NOON, "$insert_id": f"e-{number}"}
    return {"event": name, "properties": {**given, **more}}


def write(path: Path, rows: Sequence[Any]) -> str:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return str(path)


def sent(request: Received) -> list[dict[str, Any]]:
    return [json.loads(line) for line in request.content.splitlines()]


def imported(request: Received) -> Reply:
    count = len(sent(request))
    return Reply(json={"code": 200, "num_records_imported": count, "status": "OK"})


def ids(upstream: Upstream) -> list[str]:
    return [
        each["properties"]["$insert_id"] for request in upstream.requests for each in sent(request)
    ]


class Ran:
    """A command that ended."""

    def __init__(self, code: int, out: bytes, said: bytes) -> None:
        self.code = code
        self.out = out.decode()
        self.said = said.decode()

    @property
    def data(self) -> dict[str, Any]:
        return json.loads(self.out)


def settings_for(upstream: Upstream) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("MIXPANEL")}
    return {
        **kept,
        "MIXPANEL_USERNAME": "robot",
        "MIXPANEL_PASSWORD": "canary-secret",
        "MIXPANEL_PROJECT_ID": "4242",
        "MIXPANEL_PROJECT_TOKEN": "canary-token",
        "MIXPANEL_BASE_URL": upstream.url,
    }


async def start(
    upstream: Upstream, *arguments: str, settings: Mapping[str, str] | None = None
) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "mixpanel_mcp", "import", *arguments),
        env={**settings_for(upstream), **(settings or {})},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )


async def run(
    upstream: Upstream, *arguments: str, settings: Mapping[str, str] | None = None
) -> Ran:
    process = await start(upstream, *arguments, settings=settings)
    out, said = await asyncio.wait_for(process.communicate(), 60)
    assert process.returncode is not None
    assert b"canary" not in out + said
    return Ran(process.returncode, out, said)


async def test_files_and_patterns_go_in(upstream: Upstream, tmp_path: Path) -> None:
    upstream.always("/import", imported)
    write(tmp_path / "a.ndjson", [event(1)])
    write(tmp_path / "b.ndjson", [event(2)])
    table = tmp_path / "c.csv"
    table.write_text("who,when\nada,2026-01-01 12:00\n")
    mapping = ("--mapping", "distinct_id=who", "--mapping", "time=when")

    ran = await run(
        upstream, f"{tmp_path}/*.ndjson", str(table), *mapping, "--default-event", "Seen", "--json"
    )

    assert ran.code == 0, ran.said
    assert ran.data["accepted"] == 3
    assert ids(upstream)[:2] == ["e-1", "e-2"]
    assert sent(upstream.last)[0]["event"] == "Seen"
    assert ("project_id", "4242") in upstream.last.query


async def test_a_dry_run_sends_nothing(upstream: Upstream, tmp_path: Path) -> None:
    path = write(tmp_path / "a.ndjson", [event(1), {"event": "x"}])

    ran = await run(upstream, path, "--dry-run")

    assert ran.code == 1
    assert "would send 1 event" in ran.out
    assert upstream.requests == []


async def test_rejected_rows_have_a_code_of_their_own(upstream: Upstream, tmp_path: Path) -> None:
    upstream.always("/import", imported)
    path = write(tmp_path / "a.ndjson", [event(1), event(2, time=1)])

    ran = await run(upstream, path)

    assert ran.code == 1
    assert "a.ndjson.rejected.ndjson" in ran.out


async def test_what_is_final_needs_confirm(upstream: Upstream, tmp_path: Path) -> None:
    upstream.always("/import", imported)
    merge = event(1, "$merge", **{"$distinct_ids": ["a", "b"]})
    path = write(tmp_path / "a.ndjson", [event(2), merge])

    asked = await run(upstream, path, "--json")
    assert asked.code == 3
    assert asked.data["status"] == "confirmation_required"
    assert upstream.requests == []
    human = {"MIXPANEL_MCP_CONFIRMATION": "human"}
    assert (await run(upstream, path, "--confirm", settings=human)).code == 3
    assert upstream.requests == []
    assert (await run(upstream, path, "--confirm")).code == 0


REFUSED: dict[str, tuple[list[str], int, str]] = {
    "no file": ([], 2, "FILE"),
    "a missing file": (["missing.ndjson"], 3, "missing.ndjson"),
    "a folder": (["."], 3, "plain file"),
    "a device": (["/dev/zero"], 3, "plain file"),
    "a misspelt flag": (["a.ndjson", "--mappin", "event=x"], 2, "--mapping"),
    "a wrong key": (["a.ndjson", "--mapping", "user=x"], 2, "KEY"),
    "an unknown connection": (["a.ndjson", "--connection", "shop"], 2, "default"),
    "a rate": (["a.ndjson", "--rate", "fast"], 2, "number"),
}


@pytest.mark.parametrize(("arguments", "code", "said"), REFUSED.values(), ids=REFUSED)
async def test_what_is_wrong_is_said(
    upstream: Upstream, arguments: list[str], code: int, said: str
) -> None:
    ran = await run(upstream, *arguments)

    assert ran.code == code, ran.said
    assert said in ran.said + ran.out
    assert upstream.requests == []


async def test_read_only_holds_on_the_command_line(upstream: Upstream, tmp_path: Path) -> None:
    path = write(tmp_path / "a.ndjson", [event(1)])

    ran = await run(upstream, path, settings={"MIXPANEL_MCP_READ_ONLY": "true"})

    assert ran.code == 3
    assert "read-only" in ran.out
    assert upstream.requests == []
