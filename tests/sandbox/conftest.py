from __future__ import annotations

from typing import TYPE_CHECKING

import httpx
import pytest
from sandbox_client import TODAY, SandboxClient

from mixpanel_mcp.sandbox import create_app, running_sandbox

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from mixpanel_mcp.sandbox import RunningSandbox


@pytest.fixture
async def empty() -> AsyncIterator[SandboxClient]:
    """Call an empty project that lives on 10 March 2026."""
    app = create_app(demo=False, today=lambda: TODAY)
    app.state.project.open()
    transport = httpx.ASGITransport(app=app)
    async with SandboxClient(transport=transport, base_url="http://127.0.0.1") as client:
        yield client
    app.state.project.close()


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
