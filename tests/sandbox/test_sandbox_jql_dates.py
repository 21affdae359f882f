"""Dates in a script are in UTC, the project's zone, wherever the machine stands."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING

import pytest
from jql_scripts import evaluated

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.skipif(
    sys.platform == "win32", reason="Windows cannot be told another zone for one process"
)

MOMENTS = [0, 1_773_057_600_123, 1_752_000_000_000, -1]
SHOWN = """
    params.map(moment => {
        var date = new Date(moment);
        var set = new Date(moment);
        set.setHours(3, 4);
        set.setDate(17);
        return [
            date.getFullYear(), date.getMonth(), date.getDate(), date.getDay(), date.getHours(),
            date.getMinutes(), date.getSeconds(), date.getMilliseconds(), date.getTimezoneOffset(),
            date.toString(), date.toDateString(), date.toTimeString(), date.toISOString(),
            date.toLocaleString(), date.toLocaleDateString(), date.toLocaleTimeString(),
            +set, JSON.stringify(date), date instanceof Date, _.isDate(date)
        ];
    })
"""
MADE = """[
    new Date(2026, 2, 9, 12), new Date(2026, 6), new Date("2026-03-09"), new Date("2026-07"),
    new Date("2026-03-09T12:00:00"), new Date("2026-03-09T12:00:00Z"),
    new Date("2026-03-09T12:00:00+05:30"), new Date("Mon Mar 09 2026 12:00:00"),
    new Date("Mon, 09 Mar 2026 12:00:00 GMT"), new Date(new Date(5)), Date.UTC(2026, 0),
    Date.parse("2026-07-09T12:00:00"), new Date("no date"), new Date(2026, 12, 32)
].map(Number).concat([`${new Date(NaN)}`, Date.now() - new Date() < 1000])"""


@pytest.fixture
def zone(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("TZ", request.param)
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


def in_utc(expression: str) -> object:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TZ", "UTC")
        time.tzset()
        value = evaluated(expression, params=MOMENTS)
    time.tzset()
    return value


@pytest.mark.parametrize(
    "zone",
    ["America/New_York", "Asia/Kolkata", "Australia/Lord_Howe", "Europe/London"],
    indirect=True,
)
@pytest.mark.parametrize("expression", [SHOWN, MADE], ids=["shown", "made"])
@pytest.mark.usefixtures("zone")
def test_dates_are_the_same_in_every_zone(expression: str) -> None:
    assert evaluated("new Date(2020, 6).getTimezoneOffset()") == 0
    assert evaluated(expression, params=MOMENTS) == in_utc(expression)
