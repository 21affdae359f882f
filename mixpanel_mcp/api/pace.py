"""How fast a project's data may go in: Mixpanel's limits, and what its 429s teach.

The rate-limits page allows 2 GB of JSON a minute, or about 30,000 events a second, per project.
"""

from mixpanel_mcp.api.retry import Pacing, pause_seconds

_BYTES_A_SECOND = 2_000_000_000 / 60
# A short burst: what waits for a slow reply may catch up, and a minute's sum stays what it is.
_BURST_SECONDS = 0.25
_MOST_STRIKES = 10
_SLOWEST = 16


class IngestionPace:
    """Shared by everything that sends to one project, so that all of it slows down together."""

    def __init__(self, pacing: Pacing) -> None:
        self._pacing = pacing
        self._next = 0.0
        self._closed_until = self._closed_at = 0.0
        self._strikes = 0
        self._slower = 1.0

    async def turn(self, records: int, size: int, rate: int) -> float:
        """Wait for leave to send; returns when it was given, to be told to what follows.

        Args:
            records: how many there are in the body.
            size: its bytes before it was packed.
            rate: records a second; 0 leaves only the back-off.
        """
        while True:
            now = self._pacing.clock()
            wait = self._closed_until - now
            if wait <= 0 and rate:
                wait = self._next - now
            if wait <= 0:
                break
            await self._pacing.sleep(wait)
        if rate:
            cost = max(records / rate, size / _BYTES_A_SECOND) * self._slower
            self._next = max(self._next, now - _BURST_SECONDS) + cost
        return now

    def taken(self, begun: float) -> None:
        """A body was taken that was begun then."""
        if begun >= self._closed_at:
            self._strikes = 0
            self._slower = max(1.0, self._slower * 0.98)

    def refused(self, begun: float, asked: float | None) -> bool:
        """A body was refused with a 429; false when that has happened too often in a row.

        Bodies that were on their way together count as one refusal.
        """
        if begun < self._closed_at:
            return True
        self._strikes += 1
        self._slower = min(_SLOWEST, self._slower * 2)
        self._closed_at = self._pacing.clock()
        pause = pause_seconds(self._strikes, asked, self._pacing, None)
        self._closed_until = self._closed_at + pause
        return self._strikes < _MOST_STRIKES
