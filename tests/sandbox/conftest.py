from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import httpx
import pytest
from sandbox_client import TODAY, SandboxClient

from mixpanel_mcp.sandbox import create_app, running_sandbox

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Iterator

    from mixpanel_mcp.sandbox import RunningSandbox


@pytest.fixture
async def empty() -> AsyncIterator[SandboxClient]:
    """Call an empty project that lives on 10 March 2026."""
    async with _client(demo=False) as client:
        yield client


@pytest.fixture
async def demo() -> AsyncIterator[SandboxClient]:
    """Call the demo project as it is on 10 March 2026."""
    async with _client(demo=True) as client:
        yield client


@asynccontextmanager
async def _client(*, demo: bool) -> AsyncGenerator[SandboxClient]:
    app = create_app(demo=demo, today=lambda: TODAY)
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
