"""What time it is in the sandbox: a test may set the day."""

from __future__ import annotations

from datetime import UTC, date, datetime, time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

SECOND = 1_000
MINUTE = 60 * SECOND
HOUR = 60 * MINUTE
DAY = 24 * HOUR


def midnight(day: date) -> int:
    """Return the first millisecond of a day. The sandbox's project is in UTC."""
    return int(datetime.combine(day, time(), UTC).timestamp()) * SECOND


def moment(milliseconds: int) -> datetime:
    return datetime.fromtimestamp(milliseconds / SECOND, UTC)


class Clock:
    def __init__(self, today: Callable[[], date] | None = None) -> None:
        self._today = today

    def today(self) -> date:
        return self._today() if self._today else datetime.now(UTC).date()

    def now(self) -> int:
        """Milliseconds since the epoch: today's date and the real time of day."""
        now = datetime.now(UTC)
        return int(datetime.combine(self.today(), now.timetz()).timestamp() * SECOND)
