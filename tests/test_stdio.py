"""The server as a host starts it: a process, lines of JSON on stdout, and nothing else there."""

import asyncio
import json
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Literal

import mcp.types as t
import pytest
from mcp import Client
from processes import (
    CANARY_PASSWORD,
    CANARY_TOKEN,
    INITIALIZE,
    connection_to,
    raw_server,
    server_process,
)
from upstream import Hang, Reply, Upstream

Era = Literal["auto", "legacy"]


class Result:
    """An answer of a tool, as it came over the wire."""

    def __init__(self, answer: t.CallToolResult) -> None:
        assert answer.structured_content is not None
        self.structured: dict[str, Any] = answer.structured_content
        self.status: str = self.structured["status"]
        self.data: Any = self.structured["data"]
        self.is_error = bool(answer.is_error)
        self.text = "".join(block.text for block in answer.content if block.type == "text")


class Host:
    """A host of its own: these tests share no helper with those that stay in one process."""

    def __init__(self, client: Client) -> None:
        self.client = client

    async def call(self, tool: str, /, **arguments: Any) -> Result:
        answer = await self.client.call_tool(tool, arguments)
        assert isinstance(answer, t.CallToolResult)
        return Result(answer)


class Person:
    """Somebody who is asked."""

    def __init__(self, action: Literal["accept", "decline"]) -> None:
        self.action: Literal["accept", "decline"] = action
        self.questions: list[str] = []

    async def __call__(self, context: Any, params: Any) -> t.ElicitResult:
        self.questions.append(params.message)
        del context
        content: Any = {"approve": True} if self.action == "accept" else None
        return t.ElicitResult(action=self.action, content=content)


@asynccontextmanager
async def served(
    *flags: str,
    era: Era = "auto",
    environment: Mapping[str, str] | None = None,
    person: Person | None = None,
) -> AsyncGenerator[Host]:
    """Start `mixpanel-mcp serve` the way hosts do, and connect to it."""
    parameters = server_process(*flags, environment=environment)
    async with Client(
        parameters, mode=era, elicitation_callback=person, read_timeout_seconds=20
    ) as client:
        yield Host(client)


async def test_a_session_on_the_sandbox_reads_writes_and_deletes_what_a_person_agrees_to(
    era: Era,
) -> None:
    person = Person("accept")
    async with served("--sandbox", era=era, person=person) as tools:
        listed = await tools.client.list_tools()
        made = await tools.call(
            "create_profile", properties=[{"$distinct_id": "ada", "plan": "pro"}]
        )
        found = await tools.call("query_profiles", distinct_ids=["ada"])
        warned = await tools.call("delete_profile", delete_profiles=["ada"])
        deleted = await tools.call("delete_profile", delete_profiles=["ada"], confirm=True)
        gone = await tools.call("query_profiles", distinct_ids=["ada"])

    assert len(listed.tools) == 21
    assert (made.status, warned.status) == ("ok", "confirmation_required")
    assert found.data["profiles"][0]["$properties"]["plan"] == "pro"
    assert (deleted.status, len(person.questions)) == ("ok", 1)
    assert "ada" in person.questions[0]
    assert gone.data["profiles"] == []
    assert found.structured["scope"]["sandbox"] is True


async def test_a_person_who_declines_keeps_the_profile(era: Era) -> None:
    async with served("--sandbox", era=era, person=Person("decline")) as tools:
        await tools.call("create_profile", properties=[{"$distinct_id": "ada", "plan": "pro"}])
        refused = await tools.call("delete_profile", delete_profiles=["ada"], confirm=True)
        found = await tools.call("query_profiles", distinct_ids=["ada"])

    assert (refused.status, refused.is_error) == ("refused", True)
    assert len(found.data["profiles"]) == 1


async def test_without_credentials_the_server_starts_and_a_call_says_what_to_set(era: Era) -> None:
    async with served(era=era) as tools:
        listed = await tools.client.list_tools()
        read = await tools.call("list_saved_funnels", project_id=1)
        event = {"event": "Signed up", "properties": {"distinct_id": "ada"}}
        write = await tools.call("track_events", events=[event])

    assert len(listed.tools) == 21
    assert (read.status, write.status) == ("refused", "refused")
    assert "MIXPANEL_USERNAME" in read.text
    assert "MIXPANEL_PASSWORD" in read.text
    assert "MIXPANEL_PROJECT_TOKEN" in write.text


async def test_flags_and_variables_arrive(upstream: Upstream, era: Era) -> None:
    upstream.default = Reply(json=[])
    environment = {**connection_to(upstream), "MIXPANEL_MCP_TOOL_PREFIX": "mp_"}
    async with served("--read-only", era=era, environment=environment) as tools:
        names = [tool.name for tool in (await tools.client.list_tools()).tools]
        answer = await tools.call("mp_list_saved_funnels")

    assert len(names) == 9
    assert (answer.status, answer.structured["scope"]["project"]) == ("ok", 4242)
    assert len(upstream.requests) == 1


async def test_two_calls_at_once_do_not_wait_for_each_other(upstream: Upstream) -> None:
    upstream.on("/api/query/funnels/list", Hang())
    upstream.always("/api/2.0/nessie/pipeline/jobs", Reply(json={}))
    async with served(environment=connection_to(upstream)) as tools:
        slow = asyncio.create_task(tools.call("list_saved_funnels"))
        quick: Result = await asyncio.wait_for(tools.call("list_pipelines"), 5)
        slow.cancel()

    assert quick.status == "ok"


# Whatever its environment asks for, a server may not talk on the protocol's line.
TALKATIVE: dict[str, dict[str, str]] = {
    "plain": {},
    "asyncio debug": {"PYTHONASYNCIODEBUG": "1", "PYTHONDEVMODE": "1"},
    "httpx debug": {"HTTPX_LOG_LEVEL": "trace", "PYTHONWARNINGS": "always"},
    "unbuffered": {"PYTHONUNBUFFERED": "1", "FASTMCP_LOG_LEVEL": "DEBUG", "MCP_LOG_LEVEL": "DEBUG"},
}


@pytest.mark.parametrize("talkative", TALKATIVE)
async def test_every_line_on_stdout_is_a_message(upstream: Upstream, talkative: str) -> None:
    upstream.on("/api/query/funnels/list", Reply(json=[]), Reply(400, "<html>"))
    upstream.always("/engage", Reply(json={"status": 1, "error": None}))
    environment = {**connection_to(upstream), **TALKATIVE[talkative]}
    async with raw_server(environment=environment) as server:
        await server.ask("initialize", **INITIALIZE)
        server.tell({"jsonrpc": "2.0", "method": "notifications/initialized"})
        server.tell("this is no message")
        await server.ask("tools/list")
        for name, arguments in (
            ("list_saved_funnels", {}),
            ("list_saved_funnels", {}),
            ("create_profile", {"properties": [{"$distinct_id": "ada", "plan": "pro"}]}),
            ("delete_profile", {"delete_profiles": ["ada"], "confirm": True}),
            ("list_saved_funnels", {"bogus": 1}),
            ("no_such_tool", {}),
        ):
            await server.ask("tools/call", name=name, arguments=arguments)
        await server.end()

    messages = [json.loads(line) for line in server.lines]
    assert all(message["jsonrpc"] == "2.0" for message in messages)
    assert server.process.returncode == 0
    for secret in (CANARY_PASSWORD, CANARY_TOKEN):
        assert secret not in server.errors
        assert secret not in "".join(server.lines)
    assert "╭" not in server.errors  # rich would box each line, where it is installed


async def test_the_audit_goes_to_stderr_as_lines_of_json(upstream: Upstream) -> None:
    upstream.default = Reply(json={"status": 1, "error": None})
    async with raw_server(environment=connection_to(upstream)) as server:
        await server.ask("initialize", **INITIALIZE)
        server.tell({"jsonrpc": "2.0", "method": "notifications/initialized"})
        arguments = {"properties": [{"$distinct_id": "ada", "plan": "pro"}]}
        await server.ask("tools/call", name="create_profile", arguments=arguments)
        await server.end()

    (line,) = [line for line in server.errors.splitlines() if "mixpanel_mcp.audit" in line]
    entry = json.loads(line[line.index("{") :])
    assert (entry["tool"], entry["effect"], entry["outcome"]) == (
        "create_profile",
        "OVERWRITES",
        "ok",
    )


async def test_the_server_ends_when_its_host_does(upstream: Upstream) -> None:
    """A call that hangs does not keep it alive."""
    upstream.default = Hang()
    async with raw_server(environment=connection_to(upstream)) as server:
        await server.ask("initialize", **INITIALIZE)
        server.tell({"jsonrpc": "2.0", "method": "notifications/initialized"})
        call: dict[str, Any] = {"name": "list_saved_funnels", "arguments": {}}
        server.tell({"jsonrpc": "2.0", "id": 7, "method": "tools/call", "params": call})
        async with asyncio.timeout(5):
            while not upstream.requests:  # noqa: ASYNC110 - another process makes it true
                await asyncio.sleep(0.02)
        async with asyncio.timeout(3):
            await server.end()

    assert server.process.returncode == 0


def _command_line(number: int) -> str:
    """What every user of the machine can read of a process, where there is /proc."""
    told = Path(f"/proc/{number}/cmdline")
    return told.read_text(encoding="utf-8") if told.exists() else ""


async def test_secrets_are_not_in_the_command_line(upstream: Upstream) -> None:
    async with raw_server("--sandbox", environment=connection_to(upstream)) as server:
        await server.ask("initialize", **INITIALIZE)
        shown = _command_line(server.process.pid)
        await server.end()

    assert CANARY_PASSWORD not in shown
    assert "sandbox-secret" not in shown
    assert "sandbox-secret" in server.errors  # printed on purpose, where a person looks
    assert CANARY_PASSWORD not in server.errors
