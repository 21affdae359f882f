"""Buckets: which days there are, and that SQL puts each time into the right one."""

from datetime import UTC, date, datetime, timedelta

import pytest

from mixpanel_mcp.analytics.buckets import Buckets, BucketUnit
from mixpanel_mcp.analytics.store import Store

DATES: list[tuple[BucketUnit, int, list[str]]] = [
    ("day", 4, ["2025-12-28", "2026-01-01", "2026-01-05"]),
    ("week", 1, ["2025-12-22", "2025-12-29", "2026-01-05"]),
    ("week", 2, ["2025-12-22", "2026-01-05"]),
    ("month", 1, ["2025-12-01", "2026-01-01"]),
    ("month", 3, ["2025-12-01"]),
]


@pytest.mark.parametrize(("unit", "interval", "dates"), DATES)
def test_buckets_begin_with_the_one_that_holds_the_first_day(
    unit: BucketUnit, interval: int, dates: list[str]
) -> None:
    sunday, monday = date(2025, 12, 28), date(2026, 1, 5)
    assert Buckets(sunday, monday, unit, interval).dates == dates


@pytest.mark.parametrize("unit", ["hour", "day", "week", "month"])
@pytest.mark.parametrize("interval", [1, 2, 5])
def test_each_beginning_opens_its_bucket_and_the_millisecond_before_closes_another(
    empty_store: Store, unit: BucketUnit, interval: int
) -> None:
    buckets = Buckets(date(2024, 2, 28), date(2025, 3, 2), unit, interval)
    beginnings = [int(start.timestamp()) * 1_000 for start in buckets.starts]
    rows = empty_store.rows(
        f"SELECT {buckets.number('t')}, {buckets.number('t - 1')}"  # noqa: S608  # a number
        " FROM (SELECT unnest($times::BIGINT[]) AS t) ORDER BY t",
        {"times": beginnings},
    )
    assert rows[1:] == [(number, number - 1) for number in range(1, len(beginnings))]
    assert rows[0][0] == 0


def test_months_may_cross_years() -> None:
    buckets = Buckets(date(2025, 10, 31), date(2026, 12, 1), "month", 5)
    assert buckets.dates == ["2025-10-01", "2026-03-01", "2026-08-01"]
    assert [timedelta(milliseconds=length).days for length in buckets.lengths] == [151, 153, 153]


def test_the_days_end_with_the_last_millisecond_of_the_last_one() -> None:
    buckets = Buckets(date(2026, 1, 28), date(2026, 1, 28), "week")
    assert datetime.fromtimestamp(buckets.from_time // 1_000, UTC) == datetime(
        2026, 1, 28, tzinfo=UTC
    )
    assert buckets.to_time - buckets.from_time == 86_400_000


@pytest.mark.parametrize(
    ("last", "interval", "why"),
    [(date(2026, 1, 27), 1, "lies before"), (date(2026, 1, 28), 0, "at least one day")],
    ids=["backwards", "no interval"],
)
def test_impossible_days_are_refused(last: date, interval: int, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        Buckets(date(2026, 1, 28), last, "day", interval)
