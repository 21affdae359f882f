"""The world the doctor looks at: no proxy and no setting of the developer's own."""

import os
from collections.abc import AsyncGenerator
from pathlib import Path

import pytest
from clinic import UNAUTHORIZED
from world import World, running_world, write_certificate


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    for name in ("SSL_CERT_FILE", "SSL_CERT_DIR", *os.environ):
        if name.startswith(("SSL_CERT", "MIXPANEL")):
            monkeypatch.delenv(name, raising=False)


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_certificate(tmp_path_factory.mktemp("world"))


@pytest.fixture
async def world(certificate: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncGenerator[World]:
    """All of Mixpanel's hosts, each of which refuses the credentials until it is told better."""
    async with running_world(certificate) as running:
        for name, value in running.variables.items():
            monkeypatch.setenv(name, value)
        for upstream in running.hosts.values():
            upstream.default = UNAUTHORIZED
        yield running
