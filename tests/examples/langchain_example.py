"""Runs examples/langchain_agent.py over stdio and HTTP, on the sandbox.

It runs in the environment of that example (`make test-examples`), which has an older MCP SDK than
this project, and is told where this project's command is: so it is no module of pytest.
"""

import asyncio
import json
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path
from urllib.error import URLError

sys.path.insert(0, str(Path(__file__).parents[2] / "examples"))

import langchain_agent as example
from langchain_core.messages import AIMessage, ToolMessage

VISITOR = "langchain-visitor"


async def converse(connection: dict[str, object], *, agrees: bool) -> list[ToolMessage]:
    """A model that makes a profile, wants to delete it, and looks what became of it."""
    asked: list[str] = []

    async def agree(question: str) -> bool:
        asked.append(question)
        return agrees

    model = example.Scripted(
        responses=[
            example.calling("list_saved_funnels"),
            example.calling("create_profile", properties=[{"$distinct_id": VISITOR, "$name": "x"}]),
            example.calling("delete_profile", delete_profiles=[VISITOR], confirm=True),
            example.calling("query_profiles", distinct_ids=[VISITOR]),
            AIMessage("Done."),
        ]
    )
    messages = await example.run(connection, model, "Tidy up.", agree)
    assert messages[-1].content == "Done.", messages[-1]
    (question,) = asked
    assert VISITOR in question, question
    return [message for message in messages if isinstance(message, ToolMessage)]


def check(brought: list[ToolMessage], *, deleted: bool) -> None:
    contents = [message.artifact["structured_content"] for message in brought if message.artifact]
    funnels, profiles = contents[0], contents[-1]["data"]["profiles"]
    assert [each["name"] for each in funnels["data"]], funnels
    assert (profiles == []) is deleted, profiles


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wait_for(url: str) -> None:
    end = time.monotonic() + 20
    while True:
        try:
            with urllib.request.urlopen(url, timeout=2) as reply:  # noqa: S310 - our own address
                json.load(reply)
                return
        except (URLError, ConnectionError):
            assert time.monotonic() < end, "the server did not start"
            time.sleep(0.05)


def main(command: str) -> None:
    for agrees in (True, False):
        check(asyncio.run(converse(example.over_stdio(command), agrees=agrees)), deleted=agrees)
    port = free_port()
    flags = ["serve", "--sandbox", "--transport", "http", "--port", str(port)]
    server = subprocess.Popen([command, *flags])  # noqa: S603 - our own command
    try:
        wait_for(f"http://127.0.0.1:{port}/healthz")
        for agrees in (True, False):
            connection = example.over_http(f"http://127.0.0.1:{port}/mcp", None)
            check(asyncio.run(converse(connection, agrees=agrees)), deleted=agrees)
    finally:
        server.terminate()
        server.wait(timeout=20)
    print("langchain_agent.py: 4 conversations, over stdio and HTTP")  # noqa: T201 - a script


if __name__ == "__main__":
    main(sys.argv[1])
