"""Two connections of one server: `shop`, the default, and `blog`, each with its own Mixpanel."""

import base64
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from harness import Era, Tools, Waits
from mcp import Client
from mcp.client.session import ElicitationFnT
from pydantic import SecretStr
from upstream import Upstream, running_upstream

from mixpanel_mcp.api.retry import Pacing
from mixpanel_mcp.server import create_server
from mixpanel_mcp.settings import Connection, Policy, Settings


@dataclass(frozen=True)
class Project:
    """One connection, and the told Mixpanel that it alone may reach."""

    name: str
    upstream: Upstream
    project_id: int

    @property
    def username(self) -> str:
        return f"robot.{self.name}"

    @property
    def password(self) -> str:
        return f"canary-password-{self.name}-5f4dcc3b"

    @property
    def token(self) -> str:
        return f"canarytoken{self.name}0123456789abcdef"

    @property
    def canary(self) -> str:
        """What only this project's data holds."""
        return f"canary-data-{self.name}"

    @property
    def authorizations(self) -> tuple[str, str]:
        """What its Mixpanel may see as credentials: the service account, or the token."""
        pairs = (f"{self.username}:{self.password}", f"{self.token}:")
        account, token = (base64.b64encode(pair.encode()).decode() for pair in pairs)
        return f"Basic {account}", f"Basic {token}"

    @property
    def secrets(self) -> tuple[str, ...]:
        basics = (header.removeprefix("Basic ") for header in self.authorizations)
        return self.password, self.token, *basics

    def connection(self, changes: Mapping[str, Any] | None = None) -> Connection:
        values: dict[str, Any] = {
            "name": self.name,
            "username": self.username,
            "password": SecretStr(self.password),
            "project_token": SecretStr(self.token),
            "project_id": self.project_id,
            "base_url": self.upstream.url,
        }
        return Connection(**{**values, **(changes or {})})

    def table(self) -> str:
        """The connection as a part of a configuration file, its secrets left out."""
        return (
            f"[connections.{self.name}]\nusername = '{self.username}'\n"
            f"project_id = {self.project_id}\nbase_url = '{self.upstream.url}'\n"
        )


@dataclass(frozen=True)
class Pair:
    """Both of them."""

    shop: Project
    blog: Project

    def other(self, project: Project) -> Project:
        return self.blog if project is self.shop else self.shop

    @property
    def arrived(self) -> tuple[int, int]:
        """How many requests reached each Mixpanel."""
        return len(self.shop.upstream.requests), len(self.blog.upstream.requests)

    @asynccontextmanager
    async def opened(
        self,
        *,
        era: Era = "auto",
        person: ElicitationFnT | None = None,
        pacing: Pacing | None = None,
        shop: Mapping[str, Any] | None = None,
        blog: Mapping[str, Any] | None = None,
        **policy: Any,
    ) -> AsyncGenerator[Tools]:
        """A client before a server of both; `shop` and `blog` change values of theirs."""
        settings = Settings(
            self.shop.connection(shop), Policy(**policy), [self.blog.connection(blog)]
        )
        server = create_server(settings, pacing=pacing or Waits().pacing(), answer_seconds=5)
        async with Client(server, mode=era, elicitation_callback=person) as client:
            yield Tools(client)


@asynccontextmanager
async def running_pair() -> AsyncGenerator[Pair]:
    async with running_upstream() as first, running_upstream() as second:
        yield Pair(Project("shop", first, 4242), Project("blog", second, 77))
