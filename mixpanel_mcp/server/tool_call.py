"""One `tools/call`: from arguments to a result, and a line in the audit log."""

import asyncio
import logging
from typing import Any

import mcp.types as t
from mcp.server.mcpserver import Context
from mcp.server.mcpserver.tools import Tool
from mcp.server.mcpserver.utilities.func_metadata import ArgModelBase, FuncMetadata
from pydantic import ConfigDict

from mixpanel_mcp import spans
from mixpanel_mcp.api.errors import (
    InvalidArgumentsError,
    MixpanelError,
    OutcomeUnknownError,
    UnavailableError,
    UnreadableReplyError,
)
from mixpanel_mcp.logs import told
from mixpanel_mcp.operation import Answer, Arguments, Call, Effect, Operation, Status
from mixpanel_mcp.progress import report_progress
from mixpanel_mcp.results import render, render_error, status_of
from mixpanel_mcp.safety.approval import Asker, AskFirst
from mixpanel_mcp.safety.gate import Gate
from mixpanel_mcp.safety.hints import hints_of
from mixpanel_mcp.safety.redaction import redactor
from mixpanel_mcp.sanitize import Redactor
from mixpanel_mcp.schemas import schema_of
from mixpanel_mcp.server.arguments import validated
from mixpanel_mcp.server.workshop import Workshop, age_of

_log = logging.getLogger(__name__)

_NO_OUTCOME = "crashed or cancelled"
# An attempt that was sent may lie behind each of them.
_MAY_HAVE_HAPPENED = (OutcomeUnknownError, UnavailableError, UnreadableReplyError)


class _AnyArguments(ArgModelBase):
    """Lets every argument through: the operation's own model judges them, in our words."""

    model_config = ConfigDict(extra="allow")

    def model_dump_one_level(self) -> dict[str, Any]:
        return {"arguments": dict(self.model_extra or {})}


def tool_of(row: Operation, workshop: Workshop) -> Tool:
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
        self._entry = workshop.entry_of(row, self._connected.connection, given)

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
            self._tell(1000 * (clock() - begun))

    async def _answer(self) -> Answer:
        self._choose_connection()
        arguments = validated(self._row, self._given)
        self._call = call = self._made_call(arguments)
        self._entry.project = call.project_id
        try:
            answer = await self._row.run(call, arguments)
        except MixpanelError as error:
            call.forget_reads()
            if isinstance(error, _MAY_HAVE_HAPPENED):
                await self._follow(call, arguments, None)
            raise
        except asyncio.CancelledError:
            # This task may wait for nothing any more.
            self._workshop.library.background.start(self._follow(call, arguments, None))
            raise
        else:
            await self._follow(call, arguments, answer)
            return answer
        finally:
            # A raw request finds out its region from its base URL.
            self._entry.region = call.region.value

    async def _follow(self, call: Call, arguments: Arguments, answer: Answer | None) -> None:
        """Let resources know what a call found or changed."""
        self._links = await self._workshop.follower.after(
            self._row.name,
            arguments,
            answer,
            connection=self._connected.connection.name,
            permitted=call.permitted,
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
            project_id=arguments.given("project_id") or connection.project_id,
            confirm=bool(arguments.given("confirm")),
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
            scope |= age_of(self._call)
        project = str(self._entry.project or "")
        scope["budget"] = self._connected.client.budget.shown(project)
        return scope

    def _redactor(self) -> Redactor:
        if not self._secrets:
            return self._workshop.redact
        return redactor(self._workshop.settings.connections, self._secrets)

    def _tell(self, milliseconds: float) -> None:
        """Leave a line in the log, and the same words in the trace."""
        entry, identity = self._entry, self._workshop.identity
        ended = entry.outcome or _NO_OUTCOME
        spans.note(
            {
                "mixpanel.caller": identity.caller if identity else None,
                "mixpanel.connection": entry.connection,
                "mixpanel.outcome": ended,
            }
        )
        fields = told(
            tool=entry.tool,
            caller=entry.caller,
            connection=entry.connection,
            project=entry.project,
            outcome=ended,
            milliseconds=round(milliseconds, 1),
        )
        _log.info("%s: %s, %.0f ms", entry.tool, ended, milliseconds, extra=fields)

    def _audit(self) -> None:
        """Record what wrote, and what was refused before it could be judged."""
        entry = self._entry
        if not entry.count and self._row.effect is not Effect.READS:
            entry.effect = self._row.effect.name
        if entry.effect != Effect.READS.name:
            entry.outcome = entry.outcome or _NO_OUTCOME
            self._workshop.audit.record(entry)


def _outcome(error: MixpanelError) -> str:
    """How the audit log tells an error: refusals are alike, failures have a kind."""
    status = status_of(error)
    return f"failed: {type(error).__name__}" if status is Status.FAILED else status.value
