"""What the servers of all callers share: the ways to Mixpanel, and the audit log."""

from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING

from mcp.server.mcpserver import RequestStateSecurity

from mixpanel_mcp.api.cache import SharedReads
from mixpanel_mcp.api.client import MixpanelClient
from mixpanel_mcp.api.ledger import BudgetShare, Ledger
from mixpanel_mcp.api.retry import Pacing
from mixpanel_mcp.api.upstream import Upstream
from mixpanel_mcp.files.root import own_folder
from mixpanel_mcp.resources.notices import Notices
from mixpanel_mcp.safety.approval import PendingQuestions, Questions
from mixpanel_mcp.safety.audit import AuditTrail
from mixpanel_mcp.safety.identity import Identity
from mixpanel_mcp.safety.sealing import state_key
from mixpanel_mcp.settings import Connection, Hosting, Protocol, Settings, SettingsError

if TYPE_CHECKING:
    from mixpanel_mcp.replicas import Replicas


class Connected:
    """One connection at work for one caller: client with cache, open questions, files.

    Nothing in it is seen from another.
    """

    def __init__(
        self,
        upstream: Upstream,
        settings: Settings,
        identity: Identity | None,
        *,
        pending: Questions,
        notices: Notices,
        reads: SharedReads | None,
        share: BudgetShare | None,
    ) -> None:
        self.connection = upstream.connection
        self.client = MixpanelClient(upstream, settings.policy.cache_seconds, share, reads)
        self.pending = pending
        self.notices = notices
        self.files_root = settings.policy.files_root
        if self.files_root is not None and identity is not None:
            self.files_root = own_folder(own_folder(self.files_root, "callers"), identity.folder)
        if self.files_root is not None and settings.several:
            self.files_root = own_folder(self.files_root, self.connection.name)


class Shared:
    """One per process, whoever calls."""

    def __init__(self, settings: Settings, pacing: Pacing | None = None) -> None:
        """Open the audit log; nothing is sent.

        Raises:
            OSError: the audit log cannot be written.
            SettingsError: Redis is configured, and cannot be used.
        """
        hosting = settings.hosting
        self._secret = hosting.state_secret
        self._replicas = _replicas_of(hosting)
        self.audit = AuditTrail(settings.policy.audit_log, self.is_shared)
        self.checks: dict[str, Callable[[], Awaitable[str | None]]] = {}
        """What has to be there besides Mixpanel, by name; each tells what is wrong, if anything."""
        ledger = Ledger((pacing or Pacing()).clock)
        if self._replicas is not None:
            self.checks["redis"] = self._redis_check
            ledger = self._replicas.ledger
        self._upstreams = {
            connection.name: Upstream(connection, pacing, ledger)
            for connection in settings.connections
        }
        self._epochs = {
            name: self._replicas.epochs(upstream.connection, upstream.forget_reads)
            for name, upstream in self._upstreams.items()
            if self._replicas is not None
        }
        for name, epochs in self._epochs.items():
            self._upstreams[name].tell_written = epochs.written

    async def open(self) -> None:
        """Join the other replicas, where there may be some; without them it goes on alone."""
        if self._replicas is not None:
            await self._replicas.open()

    def connect(
        self,
        settings: Settings,
        identity: Identity | None = None,
        share: BudgetShare | None = None,
    ) -> dict[str, Connected]:
        """The connections that the settings of one caller leave, by name.

        Args:
            settings: the caller's own.
            identity: the caller, where there are several.
            share: what the caller may use of each project's hour; all without it.

        Raises:
            OSError: a folder for files cannot be made.
        """
        return {
            connection.name: self._connected(connection, settings, identity, share)
            for connection in settings.connections
        }

    def state_security(self, identity: Identity | None) -> RequestStateSecurity | None:
        """What seals a caller's open questions; None where keys of this process do."""
        if self._secret is None:
            return None
        return RequestStateSecurity(keys=[state_key(self._secret.get_secret_value(), identity)])

    @property
    def upstreams(self) -> Mapping[str, Upstream]:
        """The ways to Mixpanel, by connection."""
        return self._upstreams

    async def _redis_check(self) -> str | None:
        why = None if self._replicas is None else self._replicas.why_away
        return why and f"cannot be used: {why}. This replica counts alone"

    async def close(self) -> None:
        for upstream in self._upstreams.values():
            await upstream.close()
        if self._replicas is not None:
            await self._replicas.close()

    def is_shared(self) -> bool:
        """Whether other replicas count along at the moment, or there are none to be."""
        return self._replicas is None or self._replicas.is_shared

    def _connected(
        self,
        connection: Connection,
        settings: Settings,
        identity: Identity | None,
        share: BudgetShare | None,
    ) -> Connected:
        pending: Questions = PendingQuestions()
        notices, reads = Notices(), None
        if (replicas := self._replicas) is not None:
            pending = replicas.questions(identity, connection)
            notices = replicas.notices(identity, connection)
            reads = replicas.reads(self._epochs[connection.name], identity, connection)
        return Connected(
            self._upstreams[connection.name],
            settings,
            identity,
            pending=pending,
            notices=notices,
            reads=reads,
            share=share,
        )


def _replicas_of(hosting: Hosting) -> "Replicas | None":
    """The other replicas, where there may be some.

    Raises:
        SettingsError: Redis is configured, and cannot be used.
    """
    if hosting.redis_url is None or hosting.transport is not Protocol.HTTP:
        return None
    try:
        # The `redis` extra, which only those need who run more than one replica.
        from mixpanel_mcp.replicas import Replicas  # noqa: PLC0415

        return Replicas(hosting.redis_url.get_secret_value())
    except ModuleNotFoundError:
        fault = "needs the redis extra: pip install 'mixpanel-mcp[redis]'"
    except ValueError:  # its text may quote the URL, and with it a password
        fault = "cannot be read: redis://[[USER]:PASSWORD@]HOST[:PORT][/DATABASE][?OPTION=...]"
    raise SettingsError([f"MIXPANEL_MCP_REDIS_URL: {fault}"])
