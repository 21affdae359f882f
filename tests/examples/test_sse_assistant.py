"""The team's assistant is run, by a team, at a real server over SSE."""

import asyncio
import hashlib
import importlib
import re
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

import anyio
import httpx2
import pytest
import uvicorn
from pydantic import SecretStr
from upstream import Reply, Upstream

from mixpanel_mcp.sandbox import PASSWORD, PROJECT_ID, USERNAME, RunningSandbox
from mixpanel_mcp.sandbox import TOKEN as PROJECT_TOKEN
from mixpanel_mcp.server import Shared
from mixpanel_mcp.settings import Caller, Connection, Hosting, Policy, Settings
from mixpanel_mcp.transports.hosting import application

FOLDER = Path(__file__).parents[2] / "examples" / "sse_assistant"
TOKEN = "mixmcp_canary-of-the-assistant"


@pytest.fixture
def example(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.setattr(sys, "path", [str(FOLDER), *sys.path])
    for name in ("planner", "assistant"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    return importlib.import_module("assistant")


@asynccontextmanager
async def served(connection: Connection, **policy: Any) -> AsyncGenerator[str]:
    """The address of a hosted server's SSE, which knows the assistant by its token."""
    known = Caller(name="assistant", token_sha256=(hashlib.sha256(TOKEN.encode()).hexdigest(),))
    settings = Settings(
        connection, Policy(**policy), callers=[known], hosting=Hosting(sse=True, port=0)
    )
    config = uvicorn.Config(
        application(settings, Shared(settings)),
        port=0,
        log_config=None,
        timeout_graceful_shutdown=1,
    )
    server = uvicorn.Server(config)
    serving = asyncio.create_task(server.serve())
    async with asyncio.timeout(20):
        while True:
            if server.started:
                break
            await asyncio.sleep(0.01)
    port = server.servers[0].sockets[0].getsockname()[1]
    try:
        yield f"http://127.0.0.1:{port}/sse"
    finally:
        server.should_exit = True
        await serving


def person_of(example: ModuleType, name: str, *, agrees: bool, asked: list[str]) -> Any:
    async def agree(question: str) -> bool:
        asked.append(f"{name}: {question}")
        return agrees

    return example.Person(name, agree)


def connection_to(url: str) -> Connection:
    return Connection(
        username=USERNAME,
        password=SecretStr(PASSWORD),
        project_token=SecretStr(PROJECT_TOKEN),
        project_id=PROJECT_ID,
        base_url=url,
    )


async def test_a_team_is_answered_from_the_project(
    example: ModuleType, sandbox: RunningSandbox
) -> None:
    assistant, asked, answers = example.Assistant(), list[str](), dict[str, str]()

    async def ask(name: str, question: str) -> None:
        person = person_of(example, name, agrees=False, asked=asked)
        answers[name] = await assistant.answer(person, question)

    async with (
        served(connection_to(sandbox.base_url)) as url,
        assistant.connected(url, TOKEN),
        anyio.create_task_group() as together,
    ):
        together.start_soon(ask, "ada", "Which funnels are there?")
        together.start_soon(ask, "ben", "funnel View to purchase")
        together.start_soon(ask, "cleo", "report 81001")
        together.start_soon(ask, "dan", "how many Purchase completed?")
        together.start_soon(ask, "eve", "sing me a song")

    assert answers["ada"] == "Saved funnels: View to purchase, Sign-up to purchase"
    assert re.fullmatch(
        r"View to purchase: of \d{3,} who began, \d{2,} went through, .*", answers["ben"]
    )
    assert answers["cleo"].startswith("Report 81001: ")
    assert re.fullmatch(r"Purchase completed: \d{2,} times .*", answers["dan"])
    assert answers["eve"].startswith("Ask me for")
    assert asked == []


async def test_whoever_wants_something_deleted_is_the_one_who_is_asked(
    example: ModuleType, upstream: Upstream
) -> None:
    upstream.default = Reply(json={"status": 1, "error": None})
    assistant, asked = example.Assistant(), list[str]()
    ada = person_of(example, "ada", agrees=False, asked=asked)
    ben = person_of(example, "ben", agrees=True, asked=asked)
    answers: list[str] = []

    async def ask(person: Any, user: str) -> None:
        answers.append(await assistant.answer(person, f"forget {user}"))

    async with (
        served(connection_to(upstream.url)) as url,
        assistant.connected(url, TOKEN),
        anyio.create_task_group() as together,
    ):
        together.start_soon(ask, ada, "user-of-ada")
        together.start_soon(ask, ben, "user-of-ben")

    assert len(asked) == 2
    for question in asked:
        name = question.partition(":")[0]
        assert f"user-of-{name}" in question
    assert "The profile of user-of-ben is deleted." in answers
    (request,) = upstream.to("/engage")
    assert b"user-of-ben" in request.content
    assert b"user-of-ada" not in request.content


async def test_the_last_queries_of_the_hour_are_left_to_others(
    example: ModuleType, upstream: Upstream
) -> None:
    upstream.default = Reply(json=[{"funnel_id": 1, "name": "Only"}])
    assistant = example.Assistant()
    ada = person_of(example, "ada", agrees=False, asked=[])

    async with (
        served(connection_to(upstream.url), cache_seconds=0) as url,
        assistant.connected(url, TOKEN),
    ):
        answers = [await assistant.answer(ada, "funnels") for _ in range(61)]

    assert answers[0] == "Saved funnels: Only"
    assert answers[-1].startswith(f"The project has {example.KEPT_BACK} queries left in this hour")
    assert len(upstream.requests) == 60 - example.KEPT_BACK


async def test_a_token_that_is_nobody_s_connects_to_nothing(
    example: ModuleType, upstream: Upstream
) -> None:
    async with served(connection_to(upstream.url)) as url:
        with pytest.raises(httpx2.HTTPStatusError, match="401"):
            async with example.Assistant().connected(url, "mixmcp_of-somebody-else"):
                pass
    assert upstream.requests == []
