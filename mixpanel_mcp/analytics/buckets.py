"""The periods that a report's days fall into: minutes, hours, days, weeks or months, in UTC.

Weeks begin on Monday and months on the first, as the dates in `query.openapi.yaml` /funnels show;
the first bucket is named by its beginning even where `from_date` lies inside it. Events before
`from_date` stay out of it all the same.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from typing import Literal, get_args

from mixpanel_mcp.analytics.dialect import months

DayUnit = Literal["day", "week", "month"]
BucketUnit = Literal["minute", "hour"] | DayUnit

MINUTE = 60_000
"""In milliseconds, like everything that has to do with time here."""
HOUR = 60 * MINUTE
DAY = 24 * HOUR

_UNITS = ("minute", "hour", *get_args(DayUnit))
_WIDTHS: dict[BucketUnit, int] = {"minute": MINUTE, "hour": HOUR, "day": DAY, "week": 7 * DAY}

_MOST = 100_000


class Buckets:
    """Buckets of `interval` units each, from the one that holds `from_date` to the last needed.

    Raises:
        ValueError: the interval is not positive, `to_date` lies before `from_date`, there would
            be too many buckets, or they end beyond the calendar.
    """

    def __init__(
        self, from_date: date, to_date: date, unit: BucketUnit = "day", interval: int = 1
    ) -> None:
        if unit not in _UNITS:
            raise ValueError(f"a bucket is an {', '.join(_UNITS)}, not {unit!r}")
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

    @classmethod
    def recent(cls, now: datetime, unit: BucketUnit, count: int) -> Buckets:
        """Buckets of one unit each, of which the last holds `now`.

        Raises:
            ValueError: the count is not positive.
        """
        if count < 1:
            raise ValueError(f"a report covers at least one {unit}, not {count}")
        buckets = cls(now.date(), now.date(), unit)
        start = max(start for start in buckets.starts if start <= now)
        end = buckets._next(start)
        for _ in range(count - 1):
            start = buckets._before(start)
        buckets._first = start
        buckets.from_time, buckets.to_time = _milliseconds(start), _milliseconds(end)
        buckets.starts = buckets._starts()
        return buckets

    @property
    def labels(self) -> list[str]:
        """How reports name the buckets: a date, and for hours and minutes the time of day too."""
        if self._unit in {"minute", "hour"}:
            return [start.isoformat(" ", "seconds").removesuffix("+00:00") for start in self.starts]
        return self.dates

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
            return f"({months(time)} - {_months(self._first)}) // {self._interval}"
        width = _WIDTHS[self._unit] * self._interval
        return f"({time} - {_milliseconds(self._first)}) // {width}"

    def within(self, time: str) -> str:
        """SQL that is true for the times from the first to the last day."""
        return f"({time} >= {self.from_time} AND {time} < {self.to_time})"

    def _starts(self) -> list[datetime]:
        width = _WIDTHS.get(self._unit, DAY) * self._interval
        if self.to_time - _milliseconds(self._first) > _MOST * width:
            raise ValueError(
                f"more than {_MOST:,} {self._unit}s: ask for fewer days or larger units"
            )
        starts: list[datetime] = []
        start = self._first
        while _milliseconds(start) < self.to_time:
            starts.append(start)
            start = self._next(start)
        return starts

    def _next(self, start: datetime) -> datetime:
        if self._unit != "month":
            try:
                return start + timedelta(milliseconds=_WIDTHS[self._unit] * self._interval)
            except OverflowError:
                raise ValueError("the last bucket ends beyond the year 9999") from None
        number = _months(start) + self._interval
        return start.replace(year=number // 12, month=number % 12 + 1)

    def _before(self, start: datetime) -> datetime:
        if self._unit == "month":
            return _beginning((start - timedelta(days=1)).date(), "month")
        return start - timedelta(milliseconds=_WIDTHS[self._unit])


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
    """The same number as `dialect.months`."""
    return moment.year * 12 + moment.month - 1
