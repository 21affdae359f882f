"""The scripts that run now: so many at once, and none of them holds up the end of the server."""

from __future__ import annotations

from functools import cached_property, partial
from typing import TYPE_CHECKING

from anyio import CapacityLimiter, to_thread

from mixpanel_mcp.sandbox.jql.execution import run_script
from mixpanel_mcp.sandbox.jql.limits import Limits
from mixpanel_mcp.sandbox.jql.process import ScriptProcess

if TYPE_CHECKING:
    from mixpanel_mcp.analytics.store import Store

# As many as Mixpanel runs at once. Others wait: each may take all the memory that a script has.
_SCRIPTS_AT_ONCE = 5


class Scripts:
    def __init__(self) -> None:
        self.limits = Limits()
        self._running: set[ScriptProcess] = set()

    async def run(self, store: Store, script: str, params: str) -> bytes:
        """Return the JSON array that the script makes of the stored data.

        Raises:
            JqlError: the script is at fault, took too much, or was stopped.
            EngineMissingError: there is no engine to run it.
        """
        process = ScriptProcess(self.limits)
        self._running.add(process)
        try:
            return await to_thread.run_sync(
                partial(run_script, store, process, script, params),
                abandon_on_cancel=True,  # who goes away waits for no script
                limiter=self._turns,
            )
        finally:
            self._running.discard(process)
            process.stop("The query was cancelled.")

    def stop(self) -> None:
        """End all scripts, also those that wait for their turn."""
        for process in self._running:
            process.stop("The sandbox is stopping.")

    @cached_property
    def _turns(self) -> CapacityLimiter:
        # It belongs to the event loop of the requests, which may not run yet.
        return CapacityLimiter(_SCRIPTS_AT_ONCE)
