# /// script
# requires-python = ">=3.11"
# dependencies = ["langchain-core>=1.3,<2", "langchain-mcp-adapters>=0.3,<0.4"]
# ///
"""A LangChain agent with Mixpanel's tools, over stdio or HTTP.

    uv run examples/langchain_agent.py stdio     # starts `mixpanel-mcp serve --sandbox` itself
    uv run examples/langchain_agent.py http      # at ASSISTANT_URL, with the token ASSISTANT_TOKEN

The adapters need an older release of the MCP SDK than the server, so this runs in an environment of
its own (the lines at the top are for `uv run`; otherwise install them with pip). Each call opens a
session; an agent that asks people before it deletes holds one open, as `run` does.

The model goes in where `main` makes one: `init_chat_model("anthropic:...")` of the `langchain`
package, or any other that knows tools.
"""

import asyncio
import os
import sys
from collections.abc import Awaitable, Callable
from typing import Any

from langchain_core.language_models import BaseChatModel
from langchain_core.language_models.fake_chat_models import FakeMessagesListChatModel
from langchain_core.messages import AIMessage, BaseMessage, HumanMessage
from langchain_core.tools import BaseTool
from langchain_mcp_adapters.callbacks import Callbacks
from langchain_mcp_adapters.client import MultiServerMCPClient
from langchain_mcp_adapters.tools import load_mcp_tools
from mcp.types import ElicitResult

MOST_ROUNDS = 8

Agree = Callable[[str], Awaitable[bool]]


def over_stdio(command: str = "mixpanel-mcp") -> dict[str, Any]:
    return {"transport": "stdio", "command": command, "args": ["serve", "--sandbox"]}


def over_http(url: str, token: str | None) -> dict[str, Any]:
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    return {"transport": "http", "url": url, "headers": headers}


async def run(
    connection: dict[str, Any], model: BaseChatModel, question: str, agree: Agree
) -> list[BaseMessage]:
    """Let the model call tools until it has an answer, the last message."""

    async def ask_person(_context: Any, params: Any, _callback: Any) -> ElicitResult:
        agreed = await agree(params.message)
        content = {"approve": True} if agreed else None
        return ElicitResult(action="accept" if agreed else "decline", content=content)

    client = MultiServerMCPClient(
        {"mixpanel": connection}, callbacks=Callbacks(on_elicitation=ask_person)
    )
    async with client.session("mixpanel") as session:
        callbacks = Callbacks(on_elicitation=ask_person)
        tools = await load_mcp_tools(session, callbacks=callbacks, server_name="mixpanel")
        by_name: dict[str, BaseTool] = {tool.name: tool for tool in tools}
        bound = model.bind_tools(tools)
        messages: list[BaseMessage] = [HumanMessage(question)]
        for _ in range(MOST_ROUNDS):
            reply = await bound.ainvoke(messages)
            messages.append(reply)
            if not reply.tool_calls:
                break
            # What failed comes back as a message too: its text says what to do instead.
            messages += [await by_name[call["name"]].ainvoke(call) for call in reply.tool_calls]
        return messages


class Scripted(FakeMessagesListChatModel):
    """Stands in for a model: says what it was told to say, and needs no key."""

    def bind_tools(self, tools: Any, **_: Any) -> "Scripted":
        del tools
        return self


def calling(tool: str, **arguments: Any) -> AIMessage:
    return AIMessage("", tool_calls=[{"name": tool, "args": arguments, "id": tool}])


async def agree_on_terminal(question: str) -> bool:
    answer = await asyncio.to_thread(input, f"{question}\nGo ahead? [y/N] ")
    return answer.strip().lower() == "y"


async def main(transport: str) -> None:
    url = os.environ.get("ASSISTANT_URL", "http://127.0.0.1:8000/mcp")
    connection = (
        over_stdio() if transport == "stdio" else over_http(url, os.getenv("ASSISTANT_TOKEN"))
    )
    model = Scripted(responses=[calling("list_saved_funnels"), AIMessage("These are the funnels.")])
    for message in await run(connection, model, "Which funnels are saved?", agree_on_terminal):
        message.pretty_print()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1] if len(sys.argv) > 1 else "stdio"))
