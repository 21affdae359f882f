"""Puts a server together: tools, prompts, resources and completions of one workshop."""

from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

import mcp.types as t
from mcp.server.context import ServerMiddleware
from mcp.server.mcpserver import MCPServer, RequestStateSecurity

from mixpanel_mcp import __version__
from mixpanel_mcp.api.retry import Pacing
from mixpanel_mcp.instructions import instructions
from mixpanel_mcp.progress import Rhythm, SignsOfLife
from mixpanel_mcp.prompts import (
    Completions,
    PromptServer,
    add_prompts,
    offered_prompts,
    prompt_sources,
)
from mixpanel_mcp.resources import Reader, ResourceServer, TemplateCompletions, listing_sources
from mixpanel_mcp.safety.approval import ANSWER_SECONDS
from mixpanel_mcp.server.shared import Shared
from mixpanel_mcp.server.tool_call import tool_of
from mixpanel_mcp.server.workshop import Workshop
from mixpanel_mcp.settings import Settings

Lifespan = Callable[[MCPServer], AbstractAsyncContextManager[None]]


class _Server(PromptServer, ResourceServer):
    """Both of what the SDK's server leaves to be said about prompts and resources."""


def create_server(
    settings: Settings,
    *,
    pacing: Pacing | None = None,
    answer_seconds: float = ANSWER_SECONDS,
    rhythm: Rhythm | None = None,
) -> MCPServer:
    """Build the server of one process and one caller; nothing is sent before the first call.

    Args:
        settings: the connections and the policy.
        pacing: another clock than the real one, for tests.
        answer_seconds: how long a person is waited for where the protocol keeps the call open.
        rhythm: when a request that takes long says so.

    Raises:
        OSError: the audit log or a connection's folder cannot be made.
    """
    shared = Shared(settings, pacing)
    workshop = Workshop(
        settings, shared.connect(settings), shared.audit, answer_seconds=answer_seconds
    )

    @asynccontextmanager
    async def lifespan(_: MCPServer) -> AsyncGenerator[None]:
        yield
        await workshop.close()
        await shared.close()

    return server_of(workshop, rhythm=rhythm, lifespan=lifespan)


def server_of(
    workshop: Workshop,
    *,
    rhythm: Rhythm | None = None,
    lifespan: Lifespan | None = None,
    state_security: RequestStateSecurity | None = None,
    middleware: Sequence[ServerMiddleware[Any]] = (),
) -> MCPServer:
    """Build the server of one workshop, which whoever built it closes.

    Args:
        workshop: tools, resources and prompts follow its settings.
        rhythm: when a request that takes long says so.
        lifespan: what is held as long as the server runs; over SSE, as long as each connection.
        state_security: the keys under which questions travel; made for this process without it.
        middleware: what every request passes first.
    """
    settings, rows, library = workshop.settings, workshop.offered, workshop.library
    server = _Server(
        "mixpanel",
        title="Mixpanel",
        version=__version__,
        instructions=instructions(rows, settings.policy, settings.choice),
        tools=[tool_of(row, workshop) for row in rows],
        lifespan=lifespan,
        middleware=[*middleware, SignsOfLife(rhythm or Rhythm())],
        log_level="WARNING",
        request_state_security=state_security,
        library=library,
        reader=Reader(library, settings.policy, [row.name for row in rows], budget=workshop.budget),
    )
    prompts = offered_prompts({row.name for row in rows})
    add_prompts(server, prompts, tool_prefix=settings.policy.tool_prefix)
    _complete_names(
        server,
        Completions(prompts, {**prompt_sources(), **listing_sources(library)}),
        TemplateCompletions(library),
    )
    return server


def _complete_names(
    server: MCPServer, in_prompts: Completions, in_templates: TemplateCompletions
) -> None:
    """Let the server complete what a person types; the SDK takes one function for both kinds."""

    async def complete(
        ref: t.PromptReference | t.ResourceTemplateReference,
        argument: t.CompletionArgument,
        context: t.CompletionContext | None,
    ) -> t.Completion | None:
        if isinstance(ref, t.ResourceTemplateReference):
            return await in_templates.complete(ref, argument, context)
        return await in_prompts.complete(ref, argument, context)

    server.completion()(complete)
