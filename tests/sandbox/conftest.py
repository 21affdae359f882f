from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from sandbox_client import SandboxClient, called_in_process

from mixpanel_mcp.sandbox import running_sandbox

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from mixpanel_mcp.sandbox import RunningSandbox


@pytest.fixture
async def empty() -> AsyncIterator[SandboxClient]:
    """Call an empty project that lives on 10 March 2026."""
    async with called_in_process(demo=False) as client:
        yield client


@pytest.fixture
async def demo() -> AsyncIterator[SandboxClient]:
    """Call the demo project as it is on 10 March 2026."""
    async with called_in_process(demo=True) as client:
        yield client


@pytest.fixture(scope="module")
def running() -> Iterator[RunningSandbox]:
    """Serve for real, with an empty project."""
    with running_sandbox(demo=False) as sandbox:
        yield sandbox


@pytest.fixture
async def connected(running: RunningSandbox) -> AsyncIterator[SandboxClient]:
    """Connect for real to a server that has forgotten the last test."""
    async with SandboxClient(base_url=running.base_url, timeout=5) as client:
        await client.control("reset", {"demo": False})
        yield client
