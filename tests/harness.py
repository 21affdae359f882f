"""What tests share beside fixtures: a real MCP client before our server, and whoever it asks.

A module of its own, as every folder's conftest.py goes by the same module name.
"""

import time
from collections.abc import AsyncGenerator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from typing import Any, Literal, Protocol

import mcp.types as t
from mcp import Client
from mcp.client.session import ElicitationFnT

from mixpanel_mcp.api.retry import Pacing
from mixpanel_mcp.progress import Rhythm
from mixpanel_mcp.server import create_server
from mixpanel_mcp.settings import Connection, Policy, Settings

Era = Literal["auto", "legacy"]

# Secrets that no answer may hold.
CANARY_PASSWORD = "canary-password-b1946ac9"
CANARY_TOKEN = "canarytoken0123456789abcdef01234"


@dataclass(frozen=True)
class Result:
    """An answer of a tool: its text, and the keys every answer has."""

    raw: t.CallToolResult

    @property
    def text(self) -> str:
        return "\n".join(block.text for block in self.raw.content if block.type == "text")

    @property
    def is_error(self) -> bool:
        return bool(self.raw.is_error)

    @property
    def structured(self) -> dict[str, Any]:
        assert self.raw.structured_content is not None
        return self.raw.structured_content

    @property
    def status(self) -> str:
        return self.structured["status"]

    @property
    def data(self) -> Any:
        return self.structured["data"]

    @property
    def notes(self) -> str:
        return "\n".join(self.structured["notes"])


class Tools:
    """Calls tools the way a host does."""

    def __init__(self, client: Client) -> None:
        self.client = client

    async def call(self, tool: str, /, **arguments: Any) -> Result:
        answer = await self.client.call_tool(tool, arguments)
        assert isinstance(answer, t.CallToolResult)
        return Result(answer)


class Person:
    """Somebody who is asked: answers as told, and remembers the questions."""

    def __init__(
        self, action: Literal["accept", "decline", "cancel"] = "accept", content: Any = None
    ) -> None:
        self.action: Literal["accept", "decline", "cancel"] = action
        self.content: Any = {"approve": True} if content is None and action == "accept" else content
        self.questions: list[str] = []

    async def __call__(self, context: Any, params: Any) -> t.ElicitResult:
        del context
        self.questions.append(params.message)
        return t.ElicitResult(action=self.action, content=self.content)


class Connect(Protocol):
    """Opens a client before a new server; keyword arguments are policy settings."""

    def __call__(
        self,
        *,
        era: Era = "auto",
        person: ElicitationFnT | None = None,
        connection: Mapping[str, Any] | None = None,
        pacing: Pacing | None = None,
        answer_seconds: float = 5,
        rhythm: Rhythm | None = None,
        **policy: Any,
    ) -> AbstractAsyncContextManager[Tools]: ...


class Waits:
    """A clock that only pauses move: retries take no time, and their pauses can be read."""

    def __init__(self) -> None:
        self.pauses: list[float] = []
        self._offset = 0.0

    def clock(self) -> float:
        return time.monotonic() + self._offset

    def pass_time(self, seconds: float) -> None:
        self._offset += seconds

    def pacing(self) -> Pacing:
        async def sleep(seconds: float) -> None:
            self.pauses.append(seconds)
            self._offset += seconds

        return Pacing(
            clock=self.clock,
            now=lambda: time.time() + self._offset,
            sleep=sleep,
            jitter=lambda low, _high: low,
        )


def connect_with(values: Mapping[str, Any]) -> Connect:
    @asynccontextmanager
    async def opened(
        *,
        era: Era = "auto",
        person: ElicitationFnT | None = None,
        connection: Mapping[str, Any] | None = None,
        pacing: Pacing | None = None,
        answer_seconds: float = 5,
        rhythm: Rhythm | None = None,
        **policy: Any,
    ) -> AsyncGenerator[Tools]:
        made = Connection(**{**values, **(connection or {})})
        server = create_server(
            Settings(made, Policy(**policy)),
            pacing=pacing or Waits().pacing(),
            answer_seconds=answer_seconds,
            rhythm=rhythm,
        )
        async with Client(server, mode=era, elicitation_callback=person) as client:
            yield Tools(client)

    return opened
