"""Which events count, and that others may write meanwhile."""

import threading

import pytest
from random_events import FIRST_DAY, midnight

from mixpanel_mcp.analytics.buckets import Buckets
from mixpanel_mcp.analytics.counted import events_source
from mixpanel_mcp.analytics.event_totals import event_names
from mixpanel_mcp.analytics.events import Event, add_events, count_events
from mixpanel_mcp.analytics.expressions import Bindings
from mixpanel_mcp.analytics.raw_export import export_lines
from mixpanel_mcp.analytics.store import Store, open_store

FIRST = Event("Sign Up", "ann", 1_000, "i-1", 1, '{"try":1}')


def counted(store: Store) -> list[tuple[str, str, str]]:
    bindings = Bindings()
    source = events_source(bindings)
    return store.rows(
        f"SELECT event, distinct_id, properties FROM {source} ORDER BY ALL",  # noqa: S608
        bindings.values,
    )


def merge(store: Store, distinct_id: str, canonical_id: str) -> None:
    store.run(
        "INSERT INTO canonical_ids VALUES ($old, $new)", {"old": distinct_id, "new": canonical_id}
    )


def test_the_one_that_arrived_last_counts() -> None:
    store = open_store()
    add_events(store, [FIRST, FIRST._replace(properties='{"try":2}')])
    add_events(store, [FIRST._replace(properties='{"try":3}')])
    assert counted(store) == [("Sign Up", "ann", '{"try":3}')]
    assert count_events(store) == 1


@pytest.mark.parametrize(
    "other",
    [
        FIRST._replace(event="Login"),
        FIRST._replace(distinct_id="bob"),
        FIRST._replace(time=1_001),
        FIRST._replace(insert_id="i-2"),
    ],
    ids=["name", "user", "time", "insert id"],
)
def test_another_event_counts_too(other: Event) -> None:
    store = open_store()
    add_events(store, [FIRST, other, FIRST])
    assert count_events(store) == 2


def test_merged_users_are_one() -> None:
    store = open_store()
    add_events(store, [FIRST, FIRST._replace(distinct_id="phone", properties='{"try":2}')])
    assert count_events(store) == 2
    merge(store, "phone", "ann")
    assert counted(store) == [("Sign Up", "ann", '{"try":2}')]


def test_an_export_has_every_arrival_and_tells_the_id_that_was_sent() -> None:
    store = open_store()
    add_events(store, [FIRST, FIRST])
    merge(store, "ann", "bob")
    lines = b"".join(export_lines(store, from_time=0, to_time=2_000)).splitlines()
    assert [line.count(b'"distinct_id":"bob"') for line in lines] == [1, 1]
    assert [line.count(b'"$distinct_id_before_identity":"ann"') for line in lines] == [1, 1]


def test_reports_and_writers_do_not_disturb_each_other() -> None:
    store = open_store()
    day, failures = Buckets(FIRST_DAY, FIRST_DAY), list[Exception]()

    def write(writer: int) -> None:
        for place in range(20):
            event = FIRST._replace(time=midnight(FIRST_DAY), insert_id=f"{writer}-{place}")
            add_events(store, [event, event])

    def read() -> None:
        try:
            for _ in range(20):
                assert event_names(store, day, "unique", 5) in ([], ["Sign Up"])
        except Exception as error:  # noqa: BLE001  # whatever it is, the test must tell it
            failures.append(error)

    threads = [threading.Thread(target=write, args=(writer,)) for writer in range(3)]
    threads += [threading.Thread(target=read) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert count_events(store) == 60
