"""What the servers of all callers share: the ways to Mixpanel, and the audit log."""

from collections.abc import Mapping

from mixpanel_mcp.api.client import MixpanelClient
from mixpanel_mcp.api.retry import Pacing
from mixpanel_mcp.api.upstream import Upstream
from mixpanel_mcp.files.root import own_folder
from mixpanel_mcp.safety.approval import PendingQuestions
from mixpanel_mcp.safety.audit import AuditTrail
from mixpanel_mcp.safety.identity import Identity
from mixpanel_mcp.settings import Connection, Settings


class Connected:
    """One connection at work for one caller: client with cache, open questions, files.

    Nothing in it is seen from another.
    """

    def __init__(self, upstream: Upstream, settings: Settings, identity: Identity | None) -> None:
        self.connection = upstream.connection
        self.client = MixpanelClient(upstream, settings.policy.cache_seconds)
        self.pending = PendingQuestions()
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
        """
        self.audit = AuditTrail(settings.policy.audit_log)
        self._upstreams = {
            connection.name: Upstream(connection, pacing) for connection in settings.connections
        }

    def connect(self, settings: Settings, identity: Identity | None = None) -> dict[str, Connected]:
        """The connections that the settings of one caller leave, by name.

        Raises:
            OSError: a folder for files cannot be made.
        """

        def connected(connection: Connection) -> Connected:
            return Connected(self._upstreams[connection.name], settings, identity)

        return {connection.name: connected(connection) for connection in settings.connections}

    @property
    def upstreams(self) -> Mapping[str, Upstream]:
        """The ways to Mixpanel, by connection."""
        return self._upstreams

    async def close(self) -> None:
        for upstream in self._upstreams.values():
            await upstream.close()
