"""Settings in, MCP server out: operations become tools, our results and errors become the SDK's."""

import difflib
import logging
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import mcp.types as t
from mcp.server.mcpserver import Context, MCPServer
from mcp.server.mcpserver.tools import Tool
from mcp.server.mcpserver.utilities.func_metadata import ArgModelBase, FuncMetadata
from pydantic import ConfigDict, ValidationError

from mixpanel_mcp import __version__
from mixpanel_mcp.api.client import MixpanelClient
from mixpanel_mcp.api.errors import InvalidArgumentsError, MixpanelError, OutcomeUnknownError
from mixpanel_mcp.api.retry import Pacing
from mixpanel_mcp.files.root import own_folder
from mixpanel_mcp.instructions import instructions
from mixpanel_mcp.json_values import unsendable
from mixpanel_mcp.operation import Answer, Arguments, Call, Effect, Operation, Status
from mixpanel_mcp.operations import OPERATIONS
from mixpanel_mcp.progress import Rhythm, SignsOfLife, report_progress
from mixpanel_mcp.prompts import (
    Completions,
    PromptServer,
    add_prompts,
    offered_prompts,
    prompt_sources,
)
from mixpanel_mcp.resources import (
    Follower,
    Library,
    Reader,
    ResourceServer,
    TemplateCompletions,
    listing_sources,
)
from mixpanel_mcp.results import render, render_error, status_of
from mixpanel_mcp.safety.approval import ANSWER_SECONDS, Asker, AskFirst, PendingQuestions
from mixpanel_mcp.safety.audit import AuditEntry, AuditTrail, arguments_digest
from mixpanel_mcp.safety.gate import Gate
from mixpanel_mcp.safety.hints import hints_of
from mixpanel_mcp.safety.redaction import redactor
from mixpanel_mcp.sanitize import Redactor
from mixpanel_mcp.schemas import schema_of
from mixpanel_mcp.settings import Connection, Policy, Settings

_log = logging.getLogger(__name__)

_NO_OUTCOME = "crashed or cancelled"


class Connected:
    """One connection at work: client with cache and budget, open questions, files.

    Nothing in it is seen from another.
    """

    def __init__(self, connection: Connection, settings: Settings, pacing: Pacing | None) -> None:
        self.connection = connection
        self.client = MixpanelClient(connection, pacing, settings.policy.cache_seconds)
        self.pending = PendingQuestions()
        self.files_root = settings.policy.files_root
        if self.files_root is not None and settings.several:
            self.files_root = own_folder(self.files_root, connection.name)


class Workshop:
    """What the tools of one server share."""

    def __init__(self, settings: Settings, pacing: Pacing | None, answer_seconds: float) -> None:
        self.settings = settings
        self.connected = {
            connection.name: Connected(connection, settings, pacing)
            for connection in settings.connections
        }
        self.audit = AuditTrail(settings.policy.audit_log)
        self.answer_seconds = answer_seconds
        self.offered = offered(settings.policy)
        self.library = Library(
            connections=settings.connections,
            offered=frozenset(row.name for row in self.offered),
            read=self.read,
        )
        self.follower = Follower(self.library)

    @property
    def default(self) -> Connected:
        return self.connected[self.settings.connection.name]

    async def close(self) -> None:
        await self.library.close()
        for each in self.connected.values():
            await each.client.close()

    async def read(self, operation: str, given: Mapping[str, Any], connection: str) -> Answer:
        """Run an operation for a resource, behind a gate that lets nothing but reads through.

        Raises:
            MixpanelError: what the operation raises.
        """
        row, connected = OPERATIONS[operation], self.connected[connection]
        arguments = _validated(row, dict(given))
        policy = self.settings.policy.model_copy(update={"read_only": True})
        gate = Gate(
            connection=connected.connection,
            policy=policy,
            project_id=connected.connection.project_id,
            confirm=False,
            asker=Asker(Context(), connected.pending, self.answer_seconds),
            entry=_entry(row, connected.connection, given),
            secrets=[],
        )
        call = Call(
            client=connected.client,
            policy=policy,
            files_root=None,
            arguments=arguments,
            guard=gate,
            progress=_silent,
        )
        try:
            answer = await row.run(call, arguments)
        except MixpanelError:
            call.forget_reads()
            raise
        budget = connected.client.budget.shown(str(call.project_id or ""))
        return replace(answer, scope={**answer.scope, **_age(call), "budget": budget})

    async def budget(self, connection: str) -> Mapping[str, Any]:
        """Every limit of a connection's project, and what is left of it."""
        connected = self.connected[connection]
        return connected.client.budget.report(str(connected.connection.project_id or ""))


class _Server(PromptServer, ResourceServer):
    """Both of what the SDK's server leaves to be said about prompts and resources."""


def create_server(
    settings: Settings,
    *,
    pacing: Pacing | None = None,
    answer_seconds: float = ANSWER_SECONDS,
    rhythm: Rhythm | None = None,
) -> MCPServer:
    """Build the server; nothing is sent before the first call.

    Args:
        settings: the connections and the policy.
        pacing: another clock than the real one, for tests.
        answer_seconds: how long a person is waited for where the protocol keeps the call open.
        rhythm: when a request that takes long says so.

    Raises:
        OSError: the audit log or a connection's folder cannot be made.
    """
    workshop = Workshop(settings, pacing, answer_seconds)

    @asynccontextmanager
    async def lifespan(_: MCPServer) -> AsyncGenerator[None]:
        yield
        await workshop.close()

    rows, library = workshop.offered, workshop.library
    server = _Server(
        "mixpanel",
        title="Mixpanel",
        version=__version__,
        instructions=instructions(rows, settings.policy, settings.choice),
        tools=[_tool(row, workshop) for row in rows],
        lifespan=lifespan,
        middleware=[SignsOfLife(rhythm or Rhythm())],
        log_level="WARNING",
        library=library,
        reader=Reader(library, settings.policy, [row.name for row in rows], budget=workshop.budget),
    )
    prompts = offered_prompts({row.name for row in rows})
    add_prompts(server, prompts, tool_prefix=settings.policy.tool_prefix)
    in_prompts = Completions(prompts, {**prompt_sources(), **listing_sources(library)})
    in_templates = TemplateCompletions(library)

    async def complete(
        ref: t.PromptReference | t.ResourceTemplateReference,
        argument: t.CompletionArgument,
        context: t.CompletionContext | None,
    ) -> t.Completion | None:
        if isinstance(ref, t.ResourceTemplateReference):
            return await in_templates.complete(ref, argument, context)
        return await in_prompts.complete(ref, argument, context)

    server.completion()(complete)
    return server


def offered(policy: Policy) -> list[Operation]:
    """The operations that the policy leaves, in the table's order."""
    chosen = bool(policy.toolsets or policy.tools)
    return [
        row
        for row in OPERATIONS.values()
        if (not chosen or row.toolset in policy.toolsets or row.name in policy.tools)
        and row.name not in policy.exclude_tools
        and (not policy.read_only or row.effect is Effect.READS or row.reads_sometimes)
    ]


class _AnyArguments(ArgModelBase):
    """Lets every argument through: the operation's own model judges them, in our words."""

    model_config = ConfigDict(extra="allow")

    def model_dump_one_level(self) -> dict[str, Any]:
        return {"arguments": dict(self.model_extra or {})}


def _tool(row: Operation, workshop: Workshop) -> Tool:
    async def call(
        ctx: Context[Any, Any], arguments: dict[str, Any]
    ) -> t.CallToolResult | t.InputRequiredResult:
        return await _ToolCall(row, workshop, ctx, arguments).result()

    policy = workshop.settings.policy
    return Tool(
        fn=call,
        name=policy.tool_prefix + row.name,
        title=row.title,
        description=row.description,
        parameters=schema_of(row.arguments, workshop.settings.choice),
        fn_metadata=FuncMetadata(arg_model=_AnyArguments),
        is_async=True,
        context_kwarg="ctx",
        annotations=hints_of(row, read_only=policy.read_only),
    )


class _ToolCall:
    """One `tools/call`: from arguments to a result, and a line in the audit log."""

    def __init__(
        self,
        row: Operation,
        workshop: Workshop,
        context: Context[Any, Any],
        given: dict[str, Any],
    ) -> None:
        self._row = row
        self._workshop = workshop
        self._context = context
        self._given = dict(given)
        self._secrets: list[str] = []
        self._links: list[t.ResourceLink] = []
        self._connected = workshop.default
        self._call: Call | None = None
        self._entry = _entry(row, self._connected.connection, given)

    async def result(self) -> t.CallToolResult | t.InputRequiredResult:
        clock = self._connected.client.pacing.clock
        begun = clock()
        try:
            answer = await self._answer()
            self._entry.outcome = answer.status.value
            prefix = self._workshop.settings.policy.tool_prefix
            return render(answer, self._scope(), self._redactor(), prefix, self._links)
        except AskFirst as ask:
            self._entry.outcome = "waits for a person"
            return ask.result
        except MixpanelError as error:
            self._entry.outcome = _outcome(error)
            return render_error(error, self._scope(), self._redactor())
        finally:
            self._audit()
            ended = self._entry.outcome or _NO_OUTCOME
            _log.info("%s: %s, %.0f ms", self._row.name, ended, 1000 * (clock() - begun))

    async def _answer(self) -> Answer:
        self._choose_connection()
        arguments = _validated(self._row, self._given)
        self._call = call = self._made_call(arguments)
        self._entry.project = call.project_id
        try:
            answer = await self._row.run(call, arguments)
        except MixpanelError as error:
            call.forget_reads()
            if isinstance(error, OutcomeUnknownError):
                await self._follow(arguments, None)
            raise
        else:
            await self._follow(arguments, answer)
            return answer
        finally:
            # A raw request finds out its region from its base URL.
            self._entry.region = call.region.value

    async def _follow(self, arguments: Arguments, answer: Answer | None) -> None:
        """Let resources know what a call found or changed."""
        self._links = await self._workshop.follower.after(
            self._row.name, arguments, answer, self._connected.connection.name
        )

    def _choose_connection(self) -> None:
        """Take the connection that the call names, where there is a choice.

        Raises:
            InvalidArgumentsError: there is none of that name.
        """
        if not self._workshop.settings.several or "connection" not in self._given:
            return
        name = self._given.pop("connection")
        if name is None:
            return
        chosen = self._workshop.connected.get(name) if isinstance(name, str) else None
        if chosen is None:
            self._entry.connection, self._entry.project = "unknown", None
            names = ", ".join(self._workshop.connected)
            raise InvalidArgumentsError([f"connection: there is no such one; there are {names}"])
        self._connected = chosen
        self._entry.connection = chosen.connection.name
        self._entry.project = chosen.connection.project_id
        self._entry.region = chosen.connection.region.value

    def _made_call(self, arguments: Arguments) -> Call:
        connection, policy = self._connected.connection, self._workshop.settings.policy
        gate = Gate(
            connection=connection,
            policy=policy,
            project_id=getattr(arguments, "project_id", None) or connection.project_id,
            confirm=getattr(arguments, "confirm", False),
            asker=Asker(self._context, self._connected.pending, self._workshop.answer_seconds),
            entry=self._entry,
            secrets=self._secrets,
            all_connections=self._workshop.settings.connections,
        )
        return Call(
            client=self._connected.client,
            policy=policy,
            files_root=self._connected.files_root,
            arguments=arguments,
            guard=gate,
            progress=report_progress,
        )

    def _scope(self) -> dict[str, Any]:
        scope: dict[str, Any] = {"project": self._entry.project, "region": self._entry.region}
        if self._workshop.settings.several:
            scope["connection"] = self._entry.connection
        if self._connected.connection.sandbox:
            scope["sandbox"] = True
        if self._call is not None:
            scope |= _age(self._call)
        project = str(self._entry.project or "")
        scope["budget"] = self._connected.client.budget.shown(project)
        return scope

    def _redactor(self) -> Redactor:
        return redactor(self._workshop.settings.connections, self._secrets)

    def _audit(self) -> None:
        """Record what wrote, and what was refused before it could be judged."""
        entry = self._entry
        if not entry.count and self._row.effect is not Effect.READS:
            entry.effect = self._row.effect.name
        if entry.effect != Effect.READS.name:
            entry.outcome = entry.outcome or _NO_OUTCOME
            self._workshop.audit.record(entry)


def _entry(row: Operation, connection: Connection, given: Mapping[str, Any]) -> AuditEntry:
    return AuditEntry(
        tool=row.name,
        connection=connection.name,
        project=connection.project_id,
        region=connection.region.value,
        arguments_digest=arguments_digest(dict(given)),
    )


def _age(call: Call) -> dict[str, float]:
    """How old the replies behind an answer are, where they were kept."""
    age = call.cached_seconds
    return {} if age is None else {"cached_seconds": round(age, 1)}


async def _silent(progress: float, total: float | None, message: str) -> None:
    """Progress of what nobody watches."""


def _validated(row: Operation, given: dict[str, Any]) -> Arguments:
    """Check arguments, and say what is wrong in our own words.

    Raises:
        InvalidArgumentsError: with every fault's place, and no value.
    """
    if fault := unsendable(given):
        raise InvalidArgumentsError([fault])
    try:
        return row.arguments.model_validate(given)
    except ValidationError as error:
        faults = [_fault(row, dict(fault)) for fault in error.errors(include_url=False)]
        raise InvalidArgumentsError(faults) from None


def _fault(row: Operation, fault: Mapping[str, Any]) -> str:
    """One line of a validation error: where and why, never the value."""
    place = ".".join(str(part) for part in fault["loc"] if not _is_branch(part))
    if fault["type"] == "extra_forbidden":
        close = difflib.get_close_matches(place, row.arguments.model_fields, n=1)
        known = ", ".join(row.arguments.model_fields)
        hint = f"did you mean {close[0]}?" if close else f"there are: {known}"
        return f"{place[:60]}: no such argument ({hint})"
    return f"{place}: {str(fault['msg']).removeprefix('Value error, ')}"


def _is_branch(part: object) -> bool:
    """Whether a step in an error's place is pydantic's name for an arm of a union."""
    return isinstance(part, str) and ("[" in part or part in {"str", "int", "dict", "list"})


def _outcome(error: MixpanelError) -> str:
    """How the audit log tells an error: refusals are alike, failures have a kind."""
    status = status_of(error)
    return f"failed: {type(error).__name__}" if status is Status.FAILED else status.value
