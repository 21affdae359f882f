"""Telling clients what changed, in both eras of the protocol.

Newer clients open a stream (`subscriptions/listen`), which the SDK serves from the bus. Older ones
are told on their session, which the SDK does not do: they are advertised `listChanged` and
`subscribe` in the handshake, and remembered from then until their session ends.
"""

import asyncio
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any

import mcp.types as t
from mcp import MCPError
from mcp.server.context import CallNext, HandlerResult, ServerRequestContext
from mcp.server.session import ServerSession
from mcp.server.subscriptions import (
    InMemorySubscriptionBus,
    ResourcesListChanged,
    ResourceUpdated,
    ServerEvent,
)
from mcp.types.version import MODERN_PROTOCOL_VERSIONS

from mixpanel_mcp.json_values import is_list, is_object
from mixpanel_mcp.resources.addresses import AddressError
from mixpanel_mcp.resources.background import Background

_MOST_SUBSCRIPTIONS = 1000
# A client that stopped reading may not keep notices, and what they hold, for ever.
_NOTICE_SECONDS = 10.0


@dataclass
class _OlderClient:
    """A session of the older era, and the URIs it wants to hear of, as it spelled them."""

    session: ServerSession
    spellings: dict[str, str] = field(default_factory=dict[str, str])


class Announcements(InMemorySubscriptionBus):
    """The bus of newer clients, which tells older ones too."""

    def __init__(self, background: Background, spelled: Callable[[str], str]) -> None:
        """`spelled` gives the spelling of a URI that changes are announced in.

        It raises `AddressError` where there is no such resource, so that `%2f` hears of `%2F` and
        nobody waits for what never comes.
        """
        super().__init__()
        self._background = background
        self._spelled = spelled
        self._older: dict[object, _OlderClient] = {}

    async def publish(self, event: ServerEvent) -> None:
        for client in list(self._older.values()):
            if notice := _notice(event, client):
                # Nobody waits for it: a call may not hang on a client that stopped reading.
                self._background.start(_tell(client.session, notice))
        await super().publish(event)

    async def serve(
        self, ctx: ServerRequestContext[Any, Any], call_next: CallNext
    ) -> HandlerResult:
        """Middleware: what the SDK leaves out, which for older clients is nearly all."""
        if ctx.protocol_version not in MODERN_PROTOCOL_VERSIONS:
            return await self._serve_older(ctx, call_next)
        if ctx.method == "subscriptions/listen":
            return await call_next(replace(ctx, params=self._canonical_filter(ctx.params)))
        return await call_next(ctx)

    async def _serve_older(
        self, ctx: ServerRequestContext[Any, Any], call_next: CallNext
    ) -> HandlerResult:
        match ctx.method:
            case "initialize":
                return _advertised(await call_next(ctx))
            case "notifications/initialized":
                self._remember(ctx.session)
                return await call_next(ctx)
            case "resources/subscribe":
                self._subscribe(ctx)
                return {}
            case "resources/unsubscribe":
                self._client(ctx).spellings.pop(self._canonical(_uri_in(ctx.params)), None)
                return {}
            case _:
                return await call_next(ctx)

    def _remember(self, session: ServerSession) -> None:
        # The SDK has no public way from a request to its connection, whose end has to be known.
        connection = session._connection  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]
        if connection not in self._older:
            self._older[connection] = _OlderClient(session)
            connection.exit_stack.callback(self._older.pop, connection, None)

    def _client(self, ctx: ServerRequestContext[Any, Any]) -> _OlderClient:
        self._remember(ctx.session)
        return self._older[ctx.session._connection]  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]

    def _subscribe(self, ctx: ServerRequestContext[Any, Any]) -> None:
        uri = _uri_in(ctx.params)
        spellings = self._client(ctx).spellings
        if len(spellings) >= _MOST_SUBSCRIPTIONS:
            raise MCPError(t.INVALID_PARAMS, "There are too many subscriptions; end some first.")
        spellings[self._canonical(uri)] = uri

    def _canonical_filter(self, params: Mapping[str, Any] | None) -> Mapping[str, Any] | None:
        """The filter with URIs as changes are announced; the SDK judges all else about it."""
        wanted = (params or {}).get("notifications")
        if not is_object(wanted) or not is_list(uris := wanted.get("resourceSubscriptions")):
            return params
        spelled = [self._canonical(uri) if isinstance(uri, str) else uri for uri in uris]
        return {**(params or {}), "notifications": {**wanted, "resourceSubscriptions": spelled}}

    def _canonical(self, uri: str) -> str:
        try:
            return self._spelled(uri)
        except AddressError as error:
            raise MCPError(t.INVALID_PARAMS, str(error)) from error


def _uri_in(params: Mapping[str, Any] | None) -> str:
    uri = (params or {}).get("uri")
    if not isinstance(uri, str):
        raise MCPError(t.INVALID_PARAMS, "uri: which resource is meant?")
    return uri


def _advertised(result: HandlerResult) -> HandlerResult:
    """The handshake's answer with what this server does beyond the SDK."""
    if not is_object(result) or not is_object(result.get("capabilities")):
        return result
    capabilities = result["capabilities"]
    resources = {**capabilities.get("resources", {}), "subscribe": True, "listChanged": True}
    return {**result, "capabilities": {**capabilities, "resources": resources}}


def _notice(event: ServerEvent, client: _OlderClient) -> t.ServerNotification | None:
    if isinstance(event, ResourcesListChanged):
        return t.ResourceListChangedNotification()
    if isinstance(event, ResourceUpdated) and event.uri in client.spellings:
        uri = client.spellings[event.uri]
        return t.ResourceUpdatedNotification(params=t.ResourceUpdatedNotificationParams(uri=uri))
    return None


async def _tell(session: ServerSession, notice: t.ServerNotification) -> None:
    with suppress(TimeoutError):
        async with asyncio.timeout(_NOTICE_SECONDS):
            await session.send_notification(notice)
