"""A million events: each report within two seconds, and all of it within a gigabyte.

`make test-million` runs it alone: other tests would share its processors and its memory.
"""

import resource
import sys
import time
from collections.abc import Callable

import pytest
from million_events import COUNT, FIRST_DAY, LAST_DAY, NAMES, open_million
from million_user_reports import USER_REPORTS

from mixpanel_mcp.analytics.activity import activity_feed
from mixpanel_mcp.analytics.buckets import Buckets
from mixpanel_mcp.analytics.event_properties import (
    PropertyQuery,
    property_values_over_time,
    top_properties,
    top_values,
)
from mixpanel_mcp.analytics.event_totals import event_names, event_totals, top_events
from mixpanel_mcp.analytics.events import count_events
from mixpanel_mcp.analytics.numeric_segmentation import (
    NumericQuery,
    numeric_averages,
    numeric_segmentation,
    numeric_sums,
)
from mixpanel_mcp.analytics.segmentation import SegmentationQuery, segmentation
from mixpanel_mcp.analytics.store import Store

SECONDS = 2
MEGABYTES = 1_000

DAYS = Buckets(FIRST_DAY, LAST_DAY)
HOURS = Buckets(FIRST_DAY, LAST_DAY, "hour")
EVERY_DAY = Buckets(FIRST_DAY, LAST_DAY, interval=31)
EVENT = NAMES[0]
AMOUNT = 'properties["amount"]'
USER_ID = "user-00042-4321-abcd-9f8e7d6c"

REPORTS: dict[str, Callable[[Store], object]] = {
    "count": count_events,
    "segmentation": lambda store: segmentation(store, SegmentationQuery(EVENT, DAYS)),
    "unique users by platform": lambda store: segmentation(
        store,
        SegmentationQuery(EVENT, DAYS, on='properties["platform"]', measure="unique"),
    ),
    "average by hour": lambda store: segmentation(
        store, SegmentationQuery(EVENT, HOURS, on='properties["$city"]', measure="average")
    ),
    "as many segments as events": lambda store: segmentation(
        store, SegmentationQuery(EVENT, DAYS, on='properties["session"]')
    ),
    "with a condition on event and user": lambda store: segmentation(
        store,
        SegmentationQuery(
            EVENT,
            DAYS,
            on='user["plan"]',
            where=f'{AMOUNT} > 500 and "i" in properties["platform"] and user["plan"] != "free"',
        ),
    ),
    "ranges": lambda store: numeric_segmentation(
        store, NumericQuery(EVENT, AMOUNT, DAYS), "unique"
    ),
    "sums": lambda store: numeric_sums(store, NumericQuery(EVENT, AMOUNT, HOURS)),
    "averages": lambda store: numeric_averages(store, NumericQuery(EVENT, AMOUNT, DAYS)),
    "totals of all events": lambda store: event_totals(store, NAMES, HOURS, "unique"),
    "names": lambda store: event_names(store, DAYS, "unique", 255),
    "top events": lambda store: top_events(store, LAST_DAY, "general", 100),
    "values over time": lambda store: property_values_over_time(
        store, PropertyQuery(EVENT, "$city", DAYS)
    ),
    "properties": lambda store: top_properties(store, EVENT),
    "values": lambda store: top_values(store, EVENT, "session"),
    "activity feed": lambda store: activity_feed(store, [USER_ID], DAYS),
    **USER_REPORTS,
}


@pytest.fixture(scope="module")
def store() -> Store:
    return open_million()


def test_every_event_is_counted_once(store: Store) -> None:
    assert count_events(store) == COUNT


@pytest.mark.parametrize("name", REPORTS)
def test_a_report_takes_less_than_two_seconds(store: Store, name: str) -> None:
    started = time.monotonic()
    REPORTS[name](store)
    seconds = time.monotonic() - started
    print(f"{name}: {seconds:.2f} s, {peak_megabytes()} MB")  # noqa: T201  # what `-s` is for
    assert seconds < SECONDS


def test_the_whole_process_stays_below_a_gigabyte(store: Store) -> None:
    assert count_events(store) == COUNT
    assert peak_megabytes() < MEGABYTES


def peak_megabytes() -> int:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak // (1_000_000 if sys.platform == "darwin" else 1_000)
