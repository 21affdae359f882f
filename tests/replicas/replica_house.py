"""Replicas as processes, with a Redis between them and a proxy before them."""

import asyncio
import hashlib
import json
import sys
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import httpx2
import mcp.types as t
from harness import Tools
from mcp import Client
from mcp.client.session import ElicitationFnT, MessageHandlerFnT
from mcp.client.sse import sse_client
from mcp.client.streamable_http import streamable_http_client
from plain_proxy import Proxy, running_proxy
from processes import bare_environment
from redis_house import RedisServer, running_redis, until
from upstream import Upstream, running_upstream

Way = Literal["modern", "legacy", "sse"]
WAYS: tuple[Way, ...] = ("modern", "legacy", "sse")


def token_of(name: str) -> str:
    return f"token-of-{name}"


class Replica:
    """One process."""

    def __init__(self, process: asyncio.subprocess.Process, port: int) -> None:
        self.process = process
        self.port = port
        self.log = ""
        self.reading = asyncio.create_task(self._read())

    async def _read(self) -> None:
        assert self.process.stderr
        async for line in self.process.stderr:
            self.log += line.decode()

    async def kill(self) -> None:
        if self.process.returncode is None:
            self.process.kill()
        await self.process.wait()
        await self.reading

    async def is_shared(self) -> bool:
        """Whether it counts with the others."""
        async with httpx2.AsyncClient() as http:
            with suppress(httpx2.TransportError):
                return (await http.get(f"http://127.0.0.1:{self.port}/shared")).text == "True"
        return False


@dataclass
class House:
    """What a test may speak to, count and break."""

    redis: RedisServer
    upstream: Upstream
    replicas: list[Replica]
    proxy: Proxy

    async def shared(self) -> None:
        """Wait until all replicas that live count together."""
        for replica in self.replicas:
            if replica.process.returncode is None:
                await until(replica.is_shared, 20)

    @asynccontextmanager
    async def opened(
        self,
        way: Way,
        caller: str,
        *,
        person: ElicitationFnT | None = None,
        hear: MessageHandlerFnT | None = None,
        at: Replica | None = None,
        token: str | None = None,
    ) -> AsyncGenerator[Tools]:
        """A client behind the proxy, or at one replica; by another token than the caller's own."""
        told: dict[str, Any] = {"elicitation_callback": person, "message_handler": hear}
        origin = self.proxy.url if at is None else f"http://127.0.0.1:{at.port}"
        headers = {"Authorization": f"Bearer {token or token_of(caller)}"}
        if way == "sse":
            transport = sse_client(f"{origin}/sse", headers=headers, timeout=60)
            async with Client(transport, mode="legacy", **told) as client:
                yield Tools(client)
            return
        async with httpx2.AsyncClient(headers=headers, timeout=60) as http:
            transport = streamable_http_client(f"{origin}/mcp", http_client=http)
            mode = "auto" if way == "modern" else "legacy"
            async with Client(transport, mode=mode, **told) as client:
                yield Tools(client)


DELETE: dict[str, Any] = {"delete_profiles": ["ada"], "confirm": True}
YES = t.ElicitResult(action="accept", content={"approve": True})


async def asked(tools: Tools) -> str:
    """Begin an irreversible call, and keep the state that its question came with."""
    answer = await tools.client.session.call_tool(
        "delete_profile", DELETE, allow_input_required=True
    )
    assert isinstance(answer, t.InputRequiredResult)
    assert answer.request_state
    return answer.request_state


async def answered(tools: Tools, state: str) -> str:
    """Say yes to a question; the status of what came of it."""
    try:
        answer = await tools.client.session.call_tool(
            "delete_profile",
            DELETE,
            input_responses={"approval": YES},
            request_state=state,
            allow_input_required=True,
        )
    except Exception as refused:  # noqa: BLE001 - how a foreign state is refused is the SDK's matter
        return type(refused).__name__
    assert isinstance(answer, t.CallToolResult)
    assert answer.structured_content
    return answer.structured_content["status"]


@asynccontextmanager
async def running_house(
    count: int,
    callers: Sequence[str] = ("ada", "bob"),
    issuer: Mapping[str, str] | None = None,
    **policy: Any,
) -> AsyncGenerator[House]:
    """So many replicas.

    Args:
        count: of the replicas.
        callers: who has a static token.
        issuer: settings for JWTs; their holders are the caller `people`.
        policy: the operator's.
    """
    async with (
        running_redis() as redis,
        running_upstream() as upstream,
        AsyncExitStack() as stack,
    ):
        told = {
            "upstream": upstream.url,
            "redis": redis.url,
            "policy": policy,
            "issuer": dict(issuer or {}),
            "callers": [
                *([{"name": "people", "scopes": ["mixpanel"]}] if issuer else []),
                *(
                    {
                        "name": name,
                        "token_sha256": [hashlib.sha256(token_of(name).encode()).hexdigest()],
                    }
                    for name in callers
                ),
            ],
        }
        replicas = await asyncio.gather(*(_started(told) for _ in range(count)))
        for each in replicas:
            stack.push_async_callback(each.kill)
        proxy = await stack.enter_async_context(running_proxy([each.port for each in replicas]))
        house = House(redis, upstream, list(replicas), proxy)
        await house.shared()
        yield house


async def _started(told: dict[str, Any]) -> Replica:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        str(Path(__file__).with_name("replica_process.py")),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env=bare_environment(),
    )
    assert process.stdin
    assert process.stdout
    process.stdin.write(json.dumps(told).encode() + b"\n")
    await process.stdin.drain()
    port = await asyncio.wait_for(process.stdout.readline(), 30)
    return Replica(process, int(port))
