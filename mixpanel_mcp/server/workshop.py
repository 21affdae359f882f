"""What the tools and resources of one server share: that of one caller, or of all."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from mcp.server.mcpserver import Context

from mixpanel_mcp.api.errors import MixpanelError
from mixpanel_mcp.operation import Answer, Call, Effect, Operation
from mixpanel_mcp.operations import OPERATIONS
from mixpanel_mcp.resources import Follower, Library
from mixpanel_mcp.safety.approval import ANSWER_SECONDS, Asker
from mixpanel_mcp.safety.audit import AuditEntry, AuditTrail
from mixpanel_mcp.safety.gate import Gate
from mixpanel_mcp.safety.identity import Identity
from mixpanel_mcp.safety.redaction import redactor
from mixpanel_mcp.server.arguments import validated
from mixpanel_mcp.server.background_call import BackgroundCall
from mixpanel_mcp.server.shared import Connected
from mixpanel_mcp.settings import Connection, Policy, Settings


class Workshop:
    """What the tools of one server share."""

    def __init__(
        self,
        settings: Settings,
        connected: Mapping[str, Connected],
        audit: AuditTrail,
        *,
        identity: Identity | None = None,
        answer_seconds: float = ANSWER_SECONDS,
    ) -> None:
        """Put the tools of a caller together.

        Args:
            settings: what the caller may use; of the connections, those that `connected` has.
            connected: the caller's own, by name.
            audit: where calls that write are recorded.
            identity: the caller, where there are several.
            answer_seconds: how long a person is waited for where the protocol keeps the call open.
        """
        self.settings = settings
        self.connected = connected
        self.audit = audit
        self.identity = identity
        self.answer_seconds = answer_seconds
        self.redact = redactor(settings.connections)
        self.offered = offered(settings.policy)
        self.library = Library(
            connections=settings.connections,
            offered=frozenset(row.name for row in self.offered),
            read=self.read,
            notices={name: each.notices for name, each in connected.items()},
        )
        self.follower = Follower(self.library)

    @property
    def default(self) -> Connected:
        return self.connected[self.settings.connection.name]

    async def close(self) -> None:
        await self.library.close()

    def entry_of(
        self, row: Operation, connection: Connection, given: Mapping[str, Any]
    ) -> AuditEntry:
        """The line of the audit log for a call that has just come."""
        caller = self.identity.shown if self.identity else None
        return AuditEntry.of(row, connection, given, caller)

    async def read(
        self,
        operation: str,
        given: Mapping[str, Any],
        connection: str,
        *,
        in_background: bool = False,
    ) -> Answer:
        """Run an operation for a resource, behind a gate that lets nothing but reads through.

        Raises:
            MixpanelError: what the operation raises.
        """
        row, connected = OPERATIONS[operation], self.connected[connection]
        arguments = validated(row, dict(given))
        policy = self.settings.policy.model_copy(update={"read_only": True})
        gate = Gate(
            connection=connected.connection,
            policy=policy,
            project_id=connected.connection.project_id,
            confirm=False,
            asker=Asker(Context(), connected.pending, self.answer_seconds),
            entry=self.entry_of(row, connected.connection, given),
            secrets=[],
            all_connections=self.settings.connections,
        )
        made = BackgroundCall if in_background else Call
        call = made(
            client=connected.client,
            policy=policy,
            files_root=connected.files_root,
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
        return replace(answer, scope={**answer.scope, **age_of(call), "budget": budget})

    async def budget(self, connection: str) -> Mapping[str, Any]:
        """Every limit of a connection's project, and what is left of it."""
        connected = self.connected[connection]
        return connected.client.budget.report(str(connected.connection.project_id or ""))


def offered(policy: Policy) -> list[Operation]:
    """The operations that the policy leaves, in the table's order."""
    chosen = bool(policy.toolsets or policy.tools)
    return [
        row
        for row in OPERATIONS.values()
        if (not chosen or row.toolset in policy.toolsets or row.name in policy.tools)
        and row.name not in policy.exclude_tools
        and (not policy.read_only or row.effect is Effect.READS or row.reads_sometimes)
        and (policy.files_root is not None or not row.needs_files)
    ]


def age_of(call: Call) -> dict[str, float]:
    """How old the replies behind an answer are, where they were kept."""
    age = call.cached_seconds
    return {} if age is None else {"cached_seconds": round(age, 1)}


async def _silent(progress: float, total: float | None, message: str) -> None:
    """Progress of what nobody watches."""
