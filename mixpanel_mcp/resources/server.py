"""The SDK's server, with resources whose list grows and whose names nobody chose for URIs."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import mcp.types as t
from mcp import MCPError
from mcp.server.caching import CacheableMethod, CacheHint
from mcp.server.context import CallNext, HandlerResult, ServerMiddleware, ServerRequestContext
from mcp.server.lowlevel.helper_types import ReadResourceContents
from mcp.server.mcpserver import Context, MCPServer
from mcp.server.mcpserver.exceptions import ResourceError, UnexpectedResourceError

from mixpanel_mcp.json_values import is_object
from mixpanel_mcp.resources.library import Library
from mixpanel_mcp.resources.reading import Reader

# Lists follow the policy, which may differ between callers: nothing but a guide is for all.
# Tools, prompts and templates stay as they are while the server runs.
_CACHE_HINTS: Mapping[CacheableMethod, CacheHint] = {
    "tools/list": CacheHint(ttl_ms=3_600_000, scope="private"),
    "prompts/list": CacheHint(ttl_ms=3_600_000, scope="private"),
    "resources/templates/list": CacheHint(ttl_ms=3_600_000, scope="private"),
    "resources/list": CacheHint(ttl_ms=60_000, scope="private"),
    "resources/read": CacheHint(ttl_ms=0, scope="private"),
}
# What is missing may come soon; asking more often brings it no sooner.
_INCOMPLETE_TTL_MS = 30_000


class ResourceServer(MCPServer):
    """Answers for resources from a library instead of the SDK's registry."""

    def __init__(
        self,
        *args: Any,
        library: Library,
        reader: Reader,
        middleware: Sequence[ServerMiddleware[Any]] = (),
        **options: Any,
    ) -> None:
        self._library = library
        self._reader = reader
        super().__init__(
            *args,
            subscriptions=library.announcements,
            middleware=[
                *middleware,
                library.announcements.serve,
                self._say_how_fresh,
            ],
            cache_hints=_CACHE_HINTS,
            **options,
        )

    async def list_resources(self) -> list[t.Resource]:
        return await self._library.resources()

    async def list_resource_templates(self) -> list[t.ResourceTemplate]:
        return self._library.templates()

    async def read_resource(
        self, uri: Any, context: Context[Any, Any] | None = None
    ) -> Iterable[ReadResourceContents]:
        del context
        try:
            page = await self._reader.read(str(uri))
        except (MCPError, ResourceError):
            raise
        except Exception as bug:
            # As the SDK does: what any other exception says would reach older clients.
            raise UnexpectedResourceError("This resource could not be read.") from bug
        return [ReadResourceContents(content=page.text, mime_type=page.mime_type)]

    async def _say_how_fresh(
        self, ctx: ServerRequestContext[Any, Any], call_next: CallNext
    ) -> HandlerResult:
        """Middleware: how long each page may be kept; the SDK's hints are one for all."""
        result = await call_next(ctx)
        if not is_object(result) or "ttlMs" not in result:
            return result
        if ctx.method == "resources/list" and not self._library.is_complete:
            return {**result, "ttlMs": _INCOMPLETE_TTL_MS}
        if ctx.method == "resources/read":
            uri = str((ctx.params or {}).get("uri"))
            seconds, shared = self._reader.fresh_seconds(uri)
            scope = "public" if shared else "private"
            return {**result, "ttlMs": seconds * 1000, "cacheScope": scope}
        return result
