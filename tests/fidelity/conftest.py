from __future__ import annotations

from typing import TYPE_CHECKING

import httpx
import pytest
from mixpanel_hosts import Hosts, hosts_of

from mixpanel_mcp.sandbox import PASSWORD, PROJECT_ID, USERNAME, running_sandbox

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from mixpanel_mcp.sandbox import RunningSandbox

PROJECT = {"project_id": str(PROJECT_ID)}


@pytest.fixture(scope="module")
def running() -> Iterator[RunningSandbox]:
    with running_sandbox(demo=False) as sandbox:
        yield sandbox


@pytest.fixture(scope="module")
def hosts(running: RunningSandbox, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hosts]:
    with hosts_of(running.port, tmp_path_factory.mktemp("hosts")) as hosts:
        yield hosts


@pytest.fixture
def mixpanel_world(
    running: RunningSandbox, hosts: Hosts, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Iterator[httpx.Client]:
    """Lead every official client here, to an empty project; gives a plain caller of it."""
    for name, value in hosts.variables.items():
        monkeypatch.setenv(name, value)
    # Some write what went wrong into the folder they run in.
    monkeypatch.chdir(tmp_path)
    hosts.asked.clear()
    # urllib keeps the proxies of its first call; with None it looks for them anew.
    monkeypatch.setattr("urllib.request._opener", None)
    with httpx.Client(base_url=running.base_url, auth=(USERNAME, PASSWORD), trust_env=False) as own:
        own.post("/sandbox/reset", json={"demo": False}).raise_for_status()
        yield own
