"""The periods that a report's days fall into: hours, days, weeks or months, in UTC.

Weeks begin on Monday and months on the first, as the dates in `query.openapi.yaml` /funnels show;
the first bucket is named by its beginning even where `from_date` lies inside it. Events before
`from_date` stay out of it all the same.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from typing import Literal, get_args

BucketUnit = Literal["hour", "day", "week", "month"]

HOUR = 3_600_000
"""In milliseconds, like everything that has to do with time here."""
DAY = 24 * HOUR

_WIDTHS: dict[BucketUnit, int] = {"hour": HOUR, "day": DAY, "week": 7 * DAY}


class Buckets:
    """Buckets of `interval` units each, from the one that holds `from_date` to the last needed.

    Raises:
        ValueError: the interval is not positive, or `to_date` lies before `from_date`.
    """

    def __init__(
        self, from_date: date, to_date: date, unit: BucketUnit = "day", interval: int = 1
    ) -> None:
        if unit not in get_args(BucketUnit):
            raise ValueError(f"a bucket is an {', '.join(get_args(BucketUnit))}, not {unit!r}")
        if interval < 1:
            raise ValueError(f"a bucket holds at least one {unit}, not {interval}")
        if to_date < from_date:
            raise ValueError(f"to_date {to_date} lies before from_date {from_date}")
        self.from_time = _milliseconds(_midnight(from_date))
        self.to_time = _milliseconds(_midnight(to_date)) + DAY
        """The first millisecond that no longer belongs to the report."""
        self._unit: BucketUnit = unit
        self._interval = interval
        self._first = _beginning(from_date, unit)
        self.starts = self._starts()

    @property
    def dates(self) -> list[str]:
        return [start.date().isoformat() for start in self.starts]

    @property
    def lengths(self) -> list[int]:
        """In milliseconds, also beyond the last day of the report."""
        return [_milliseconds(self._next(s)) - _milliseconds(s) for s in self.starts]

    def number(self, time: str) -> str:
        """SQL for the number of the bucket, counted from 0, that a time column falls into."""
        if self._unit == "month":
            # `epoch_ms` gives a timestamp without a zone, which is UTC whatever the session says.
            months = f"(year(epoch_ms({time})) * 12 + month(epoch_ms({time})))"
            return f"({months} - {_months(self._first)}) // {self._interval}"
        width = _WIDTHS[self._unit] * self._interval
        return f"({time} - {_milliseconds(self._first)}) // {width}"

    def within(self, time: str) -> str:
        """SQL that is true for the times from the first to the last day."""
        return f"({time} >= {self.from_time} AND {time} < {self.to_time})"

    def _starts(self) -> list[datetime]:
        starts: list[datetime] = []
        start = self._first
        while _milliseconds(start) < self.to_time:
            starts.append(start)
            start = self._next(start)
        return starts

    def _next(self, start: datetime) -> datetime:
        if self._unit != "month":
            return start + timedelta(milliseconds=_WIDTHS[self._unit] * self._interval)
        months = _months(start) - 1 + self._interval
        return start.replace(year=months // 12, month=months % 12 + 1)


def _beginning(day: date, unit: BucketUnit) -> datetime:
    if unit == "week":
        day -= timedelta(days=day.weekday())
    elif unit == "month":
        day = day.replace(day=1)
    return _midnight(day)


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time(), UTC)


def _milliseconds(moment: datetime) -> int:
    return int(moment.timestamp()) * 1_000


def _months(moment: datetime) -> int:
    return moment.year * 12 + moment.month
