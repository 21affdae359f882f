"""An assistant for a team, at one SSE connection: several people ask, Mixpanel answers.

    mixpanel-mcp serve --transport http --sse --sandbox      # in one terminal
    python examples/sse_assistant/assistant.py               # in another

Each line is somebody and their question, such as `ada: funnel View to purchase`. Behind a login,
name the server and the token: `ASSISTANT_URL=https://.../sse ASSISTANT_TOKEN=mixmcp_...`.

What a hosted assistant has to do well, and where it is done here:

- one connection for everybody, held open and bound to the assistant's own token: `connected`;
- who is asked before something that cannot be undone is the person whose question led there, and
  nobody else: `_ask_person`;
- the project's calls of an hour are everybody's: the last ones are kept: `_few_are_left`;
- which tool comes next is somebody else's decision: planner.py, where a model goes.
"""

import os
import sys
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import anyio
import mcp.types as t
from mcp import Client, MCPError
from mcp.client.sse import sse_client
from planner import Answer, Call, Outcome, Planner, plan_by_words

MOST_CALLS = 8
# So many of the hour's queries are left to people who look at Mixpanel themselves.
KEPT_BACK = 5

Agree = Callable[[str], Awaitable[bool]]


@dataclass(frozen=True)
class Person:
    """Somebody of the team, and how they are asked whether something may be done."""

    name: str
    agree: Agree


class Assistant:
    """Answers people, several at once; only what changes something goes one by one."""

    def __init__(self, plan: Planner = plan_by_words) -> None:
        self._plan = plan
        self._client: Client | None = None
        self._tools: dict[str, t.Tool] = {}
        self._left: int | None = None
        self._changing = anyio.Lock()
        self._responsible: Person | None = None

    @asynccontextmanager
    async def connected(self, url: str, token: str | None) -> AsyncGenerator["Assistant"]:
        """Hold the connection; what the token allows is what there is to plan with."""
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        transport = sse_client(url, headers=headers)
        async with Client(
            transport, mode="legacy", elicitation_callback=self._ask_person
        ) as self._client:
            listed = await self._client.list_tools()
            self._tools = {tool.name: tool for tool in listed.tools}
            yield self

    async def answer(self, person: Person, question: str) -> str:
        """Call what the planner wants until it has an answer."""
        outcomes: list[Outcome] = []
        while len(outcomes) < MOST_CALLS:
            step = self._plan(question, self._tools, outcomes)
            if isinstance(step, Answer):
                return step.text
            if self._few_are_left(step):
                return (
                    f"The project has {self._left} queries left in this hour, which I leave to "
                    "those who need them at once. Ask me again later."
                )
            outcomes.append(await self._call(person, step))
        return "I have called enough, and know no answer."

    async def _call(self, person: Person, call: Call) -> Outcome:
        hints = self._tools[call.tool].annotations
        if hints is not None and hints.read_only_hint:
            return await self._send(call)
        async with self._changing:
            self._responsible = person
            try:
                return await self._send(call)
            finally:
                self._responsible = None

    async def _send(self, call: Call) -> Outcome:
        assert self._client is not None  # noqa: S101 - `connected` comes first
        result = await self._client.call_tool(call.tool, dict(call.arguments))
        content: dict[str, Any] = result.structured_content or {"status": "failed", "data": None}
        queries = content.get("scope", {}).get("budget", {}).get("queries")
        self._left = queries["left"] if queries else self._left
        return Outcome(call, _text(result.content), content)

    def _few_are_left(self, call: Call) -> bool:
        hints = self._tools[call.tool].annotations
        costs = hints is not None and bool(hints.read_only_hint)
        return costs and self._left is not None and self._left <= KEPT_BACK

    async def _ask_person(self, context: Any, params: t.ElicitRequestParams) -> t.ElicitResult:
        """The server asks before it does what cannot be undone; silence is a no."""
        del context
        person = self._responsible
        if person is None or not await person.agree(params.message):
            return t.ElicitResult(action="decline")
        return t.ElicitResult(action="accept", content={"approve": True})


def _text(content: Sequence[t.ContentBlock]) -> str:
    return "\n".join(block.text for block in content if isinstance(block, t.TextContent))


async def agree_on_terminal(question: str) -> bool:
    print(question)
    answer = await anyio.to_thread.run_sync(input, "Go ahead? [y/N] ")
    return answer.strip().lower() == "y"


async def main() -> None:
    url = os.environ.get("ASSISTANT_URL", "http://127.0.0.1:8000/sse")
    async with Assistant().connected(url, os.environ.get("ASSISTANT_TOKEN")) as assistant:
        while line := await anyio.to_thread.run_sync(sys.stdin.readline):
            name, _, question = line.strip().partition(": ")
            try:
                print(await assistant.answer(Person(name, agree_on_terminal), question))
            except MCPError as error:  # the server stopped, or does not know us any more
                print(f"The server did not answer: {error}")


if __name__ == "__main__":
    anyio.run(main)
