"""What tests share: a told upstream, the demo sandbox, and a real MCP client before our server.

MCP clients are opened inside a test (`async with connect(...) as tools`), never in a fixture: the
SDK's client must be left by the task that entered it.
"""

import socket
from collections.abc import AsyncGenerator, Callable, Iterator

import pytest
from harness import CANARY_PASSWORD, CANARY_TOKEN, Connect, Era, Waits, connect_with
from pydantic import SecretStr
from two_projects import Pair, running_pair
from upstream import Upstream, running_upstream

from mixpanel_mcp.sandbox import (
    PASSWORD,
    PROJECT_ID,
    TOKEN,
    USERNAME,
    RunningSandbox,
    running_sandbox,
)


@pytest.fixture(params=["auto", "legacy"])
def era(request: pytest.FixtureRequest) -> Era:
    return request.param


@pytest.fixture
def waits() -> Waits:
    return Waits()


@pytest.fixture
def unused_port() -> Callable[[], int]:
    """Find a port where nobody listens."""

    def find() -> int:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            return probe.getsockname()[1]

    return find


@pytest.fixture
async def upstream() -> AsyncGenerator[Upstream]:
    async with running_upstream() as running:
        yield running


@pytest.fixture
async def pair() -> AsyncGenerator[Pair]:
    """Two connections of one server, and a told upstream for each."""
    async with running_pair() as running:
        yield running


@pytest.fixture
def connect(upstream: Upstream) -> Connect:
    """Open a client whose server talks to the told upstream."""
    return connect_with(
        {
            "username": "robot",
            "password": SecretStr(CANARY_PASSWORD),
            "project_token": SecretStr(CANARY_TOKEN),
            "project_id": 4242,
            "base_url": upstream.url,
        }
    )


@pytest.fixture(scope="session")
def sandbox() -> Iterator[RunningSandbox]:
    """One demo sandbox for all tests that only add to it, or look."""
    with running_sandbox() as running:
        yield running


@pytest.fixture
def connect_sandbox(sandbox: RunningSandbox) -> Connect:
    """Open a client whose server works on the sandbox."""
    return connect_with(
        {
            "username": USERNAME,
            "password": SecretStr(PASSWORD),
            "project_token": SecretStr(TOKEN),
            "project_id": PROJECT_ID,
            "base_url": sandbox.base_url,
            "sandbox": True,
        }
    )
