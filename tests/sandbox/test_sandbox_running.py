"""Starting and stopping: at once, quietly, and with the data kept where that is asked for."""

from __future__ import annotations

import importlib.util
import socket
import subprocess
import sys
import threading
import time
from typing import TYPE_CHECKING

import httpx
import pytest
from sandbox_client import event

from mixpanel_mcp.sandbox import (
    PASSWORD,
    PROJECT_ID,
    USERNAME,
    SandboxUnavailableError,
    running_sandbox,
)
from mixpanel_mcp.sandbox.demo import truth

if TYPE_CHECKING:
    from pathlib import Path

PROJECT = {"project_id": str(PROJECT_ID)}
AUTH = (USERNAME, PASSWORD)


def test_the_address_is_known_before_the_data_is_there() -> None:
    begun = time.monotonic()
    with running_sandbox() as sandbox, httpx.Client(base_url=sandbox.base_url) as client:
        known = time.monotonic() - begun
        answer = client.post("/api/query/engage", params=PROJECT, auth=AUTH)
        answered = time.monotonic() - begun

    assert known < answered / 2
    assert sandbox.base_url == f"http://127.0.0.1:{sandbox.port}"
    assert answer.json()["total"] == truth.USERS


def test_it_stops_although_clients_hold_on() -> None:
    with httpx.Client(timeout=30) as client:
        with running_sandbox(demo=False) as sandbox:
            base = sandbox.base_url
            fault = {"path": "/track", "kind": "slow", "seconds": 600}
            client.post(f"{base}/sandbox/faults", json=fault, auth=AUTH)
            delayed = threading.Thread(target=client.post, args=(f"{base}/track",))
            delayed.start()
            while not client.get(f"{base}/sandbox/requests", auth=AUTH).json():
                pass
            begun = time.monotonic()
        assert time.monotonic() - begun < 2
        delayed.join()
        sandbox.wait()


def test_a_taken_port_is_said_in_a_sentence() -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]

        with pytest.raises(OSError, match=f"Port {port} on 127.0.0.1 is taken"):  # noqa: SIM117
            with running_sandbox(port=port):
                pytest.fail("two servers on one port")


def test_a_file_keeps_the_project(tmp_path: Path) -> None:
    data = tmp_path / "sandbox.duckdb"
    with running_sandbox(demo=False, data=data) as sandbox:
        base = sandbox.base_url
        params = {**PROJECT, "strict": "1"}
        httpx.post(f"{base}/import", params=params, json=[event()], auth=AUTH)
        cohort = {"name": "C", "distinct_ids": ["ada"]}
        httpx.post(f"{base}/sandbox/cohorts", json=cohort, auth=AUTH)

    with running_sandbox(data=data) as sandbox:
        base = sandbox.base_url
        window = {**PROJECT, "from_date": "2026-01-01", "to_date": "2026-03-09"}
        exported = httpx.get(f"{base}/api/2.0/export", params=window, auth=AUTH)
        cohorts = httpx.post(f"{base}/api/query/cohorts/list", params=PROJECT, auth=AUTH)

    assert exported.text.count("\n") == 1
    assert [cohort["name"] for cohort in cohorts.json()] == ["C"]


def test_a_file_that_is_none_is_said_at_once(tmp_path: Path) -> None:
    data = tmp_path / "notes.txt"
    data.write_text("not a database, and long enough to be read as one" * 100)

    with pytest.raises(SandboxUnavailableError, match=r"notes\.txt"):  # noqa: SIM117
        with running_sandbox(data=data):
            pytest.fail("served from a text file")


def test_without_duckdb_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "duckdb", None)

    with pytest.raises(SandboxUnavailableError, match=r"pip install 'mixpanel-mcp\[sandbox\]'"):  # noqa: SIM117
        with running_sandbox():
            pytest.fail("served without a database")


def test_importing_it_is_light() -> None:
    heavy = ("duckdb", "starlette", "uvicorn", "pydantic", "httpx", "mcp")
    code = f"import sys, mixpanel_mcp.sandbox; print([m for m in {heavy} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)  # noqa: S603

    assert done.stdout.strip() == "[]"
    assert importlib.util.find_spec("duckdb") is not None
