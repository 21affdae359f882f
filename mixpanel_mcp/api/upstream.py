"""A connection's way to Mixpanel, shared by all who use that connection."""

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING
from weakref import WeakSet

from mixpanel_mcp.api.budget import Budget
from mixpanel_mcp.api.cache import ReadCache, SharedReads
from mixpanel_mcp.api.ledger import BudgetShare, Ledger
from mixpanel_mcp.api.pace import IngestionPace
from mixpanel_mcp.api.retry import Pacing
from mixpanel_mcp.settings import Connection

if TYPE_CHECKING:
    from mixpanel_mcp.api.transport import Transport


class Upstream:
    """Sockets, budget and pace of one connection.

    Whoever uses it keeps read results apart; a write by one makes those of all stale.
    """

    def __init__(
        self,
        connection: Connection,
        pacing: Pacing | None = None,
        ledger: Ledger | None = None,
    ) -> None:
        """Open nothing yet.

        Args:
            connection: the project, its origin and credentials.
            pacing: another clock than the real one, for tests.
            ledger: where calls are counted, if not by this connection alone.
        """
        self.connection = connection
        self.pacing = pacing or Pacing()
        self._ledger = ledger or Ledger(self.pacing.clock)
        self.pace = IngestionPace(self.pacing)
        self.tell_written: Callable[[], Awaitable[None]] | None = None
        """Tells whoever keeps read results elsewhere."""
        self._caches: WeakSet[ReadCache] = WeakSet()
        self._opened: Transport | None = None

    def new_budget(self, share: BudgetShare | None = None) -> Budget:
        """What one user of the connection may call; all of them are counted together."""
        place = self.connection.base_url or self.connection.region.value
        return Budget(self.pacing, self._ledger, place=place, share=share)

    def new_cache(self, seconds: float, shared: SharedReads | None = None) -> ReadCache:
        """Read results of one user of the connection."""
        cache = ReadCache(seconds, self.pacing.clock, shared)
        self._caches.add(cache)
        return cache

    async def written(self) -> None:
        """Forget what was read before: it may be wrong now."""
        self.forget_reads()
        if self.tell_written is not None:
            await self.tell_written()

    def forget_reads(self) -> None:
        """Forget what was read here."""
        for cache in list(self._caches):
            cache.clear()

    def transport(self) -> "Transport":
        if self._opened is None:
            # httpx costs more to import than the rest of this package together.
            from mixpanel_mcp.api.transport import Transport  # noqa: PLC0415

            self._opened = Transport(self.connection)
        return self._opened

    async def close(self) -> None:
        if self._opened is not None:
            await self._opened.close()
