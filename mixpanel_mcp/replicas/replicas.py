"""Everything that replicas share, by whom it is for."""

import hashlib
import json
from collections.abc import Callable

from mixpanel_mcp.replicas.link import Link
from mixpanel_mcp.replicas.shared_ledger import SharedLedger
from mixpanel_mcp.replicas.shared_notices import SharedNotices
from mixpanel_mcp.replicas.shared_questions import SharedQuestions
from mixpanel_mcp.replicas.shared_reads import Epochs, RepliesInRedis
from mixpanel_mcp.safety.identity import Identity
from mixpanel_mcp.settings import Connection


class Replicas:
    """One replica among those that use the same Redis."""

    def __init__(self, url: str) -> None:
        """Nothing is asked before `open`.

        Raises:
            ValueError: the URL cannot be read.
        """
        self._link = Link(url)
        self.ledger = SharedLedger(self._link)

    @property
    def is_shared(self) -> bool:
        """Whether what replicas share is shared at the moment."""
        return self._link.belief.is_shared

    @property
    def why_away(self) -> str | None:
        """Why Redis cannot be used at the moment, in words that anybody may read."""
        belief = self._link.belief
        return None if belief.is_there else belief.why_away

    async def open(self) -> None:
        await self._link.open()

    async def close(self) -> None:
        await self._link.close()

    def epochs(self, connection: Connection, forget_reads: Callable[[], None]) -> Epochs:
        return Epochs(self._link, _digest(_told(connection)), forget_reads)

    def reads(
        self, epochs: Epochs, identity: Identity | None, connection: Connection
    ) -> RepliesInRedis:
        return RepliesInRedis(self._link, epochs, _scope(identity, connection))

    def questions(self, identity: Identity | None, connection: Connection) -> SharedQuestions:
        return SharedQuestions(self._link, _scope(identity, connection))

    def notices(self, identity: Identity | None, connection: Connection) -> SharedNotices:
        return SharedNotices(self._link, _scope(identity, connection))


def _scope(identity: Identity | None, connection: Connection) -> str:
    who = None if identity is None else [identity.caller, identity.subject]
    return _digest([who, *_told(connection)])


def _told(connection: Connection) -> list[object]:
    """What makes a connection the same on all replicas; no secrets."""
    return [
        connection.name,
        connection.region.value,
        connection.base_url,
        connection.project_id,
        connection.workspace_id,
        connection.username,
    ]


def _digest(told: list[object]) -> str:
    return hashlib.sha256(json.dumps(told).encode()).hexdigest()[:32]
