"""A client that browses: it keeps what it is told of changes, in either era of the protocol.

`Notices` waits for what comes; nothing here sleeps.
"""

import asyncio
from collections.abc import AsyncGenerator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import mcp.types as t
from harness import CANARY_PASSWORD, CANARY_TOKEN, Era, Tools, Waits
from mcp import Client, MCPError
from mcp.client.subscriptions import Subscription
from pydantic import SecretStr

from mixpanel_mcp.server import create_server
from mixpanel_mcp.settings import Connection, Policy, Settings

JOBS = "/api/2.0/nessie/pipeline/jobs"
STATUS = "/api/2.0/nessie/pipeline/status"
CANCEL = "/api/2.0/nessie/pipeline/cancel"
EDIT = "/api/2.0/nessie/pipeline/edit"
CREATE = "/api/2.0/nessie/pipeline/create"
FUNNELS = "/api/query/funnels/list"
FUNNEL = "/api/query/funnels"

LIST_CHANGED = "list changed"


class Notices:
    """What a client was told, in order: `LIST_CHANGED`, or the URI of what was updated."""

    def __init__(self) -> None:
        self.told: list[str] = []
        self._more = asyncio.Event()

    async def hear(self, message: Any) -> None:
        """A notification of the older era."""
        if isinstance(message, t.ResourceListChangedNotification):
            self.take(LIST_CHANGED)
        if isinstance(message, t.ResourceUpdatedNotification):
            self.take(message.params.uri)

    def take(self, told: str) -> None:
        self.told.append(told)
        self._more.set()

    async def until(self, *expected: str) -> None:
        """Wait until all of these have been told."""
        async with asyncio.timeout(5):
            while not set(expected) <= set(self.told):
                self._more.clear()
                await self._more.wait()


class Browser(Tools):
    """Lists and reads resources the way a host does."""

    def __init__(self, client: Client, notices: Notices) -> None:
        super().__init__(client)
        self.notices = notices

    async def listed(self) -> dict[str, t.Resource]:
        """All resources by URI, asked for anew whatever the client has kept."""
        answer = await self.client.list_resources(cache_mode="bypass")
        return {resource.uri: resource for resource in answer.resources}

    async def read(self, uri: str) -> str:
        answer = await self.client.read_resource(uri, cache_mode="bypass")
        (content,) = answer.contents
        assert isinstance(content, t.TextResourceContents)
        assert content.uri == uri
        return content.text

    async def refused(self, uri: str) -> tuple[int, str]:
        try:
            await self.client.read_resource(uri, cache_mode="bypass")
        except MCPError as error:
            return error.error.code, error.error.message
        raise AssertionError(f"{uri} was read")

    async def completed(self, template: str, variable: str, typed: str) -> list[str]:
        ref = t.ResourceTemplateReference(uri=template)
        answer = await self.client.complete(ref, {"name": variable, "value": typed})
        return answer.completion.values


@asynccontextmanager
async def browsing(
    base_url: str,
    era: Era = "auto",
    *,
    follow: tuple[str, ...] = (),
    connection: Mapping[str, Any] | None = None,
    **policy: Any,
) -> AsyncGenerator[Browser]:
    """Open a client that is told of changes of the list, and of the URIs in `follow`."""
    values: dict[str, Any] = {
        "username": "robot",
        "password": SecretStr(CANARY_PASSWORD),
        "project_token": SecretStr(CANARY_TOKEN),
        "project_id": 4242,
        "base_url": base_url,
        **(connection or {}),
    }
    made = Connection(**values)
    server = create_server(Settings(made, Policy(**policy)), pacing=Waits().pacing())
    notices = Notices()
    async with AsyncExitStack() as stack:
        # A newer client's handler would hear again what its stream says.
        handler = notices.hear if era == "legacy" else None
        client = await stack.enter_async_context(Client(server, mode=era, message_handler=handler))
        if era == "legacy":
            for uri in follow:
                await _subscribe(client, uri)
        else:
            changes = await stack.enter_async_context(
                client.listen(resources_list_changed=True, resource_subscriptions=follow)
            )
            listening = asyncio.create_task(_listen(changes, notices))
            stack.callback(listening.cancel)
        yield Browser(client, notices)


async def _listen(changes: Subscription, notices: Notices) -> None:
    async for event in changes:
        notices.take(getattr(event, "uri", LIST_CHANGED))


async def _subscribe(client: Client, uri: str) -> None:
    params = t.SubscribeRequestParams(uri=uri)
    await client.session.send_request(t.SubscribeRequest(params=params), t.EmptyResult)
