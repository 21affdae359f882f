"""The official export and import helper (`mixpanel-utils`), as it is, against the sandbox."""

from __future__ import annotations

import importlib
import json
import logging
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from reading import events, profiles

from mixpanel_mcp.sandbox import PASSWORD, PROJECT_ID, TOKEN, USERNAME

if TYPE_CHECKING:
    import httpx
    from mixpanel_hosts import Hosts

# It has no types to check against.
mixpanel_utils: Any = importlib.import_module("mixpanel_utils")

DAY = f"{datetime.now(UTC) - timedelta(days=2):%Y-%m-%d}"
NOON = int(datetime.fromisoformat(f"{DAY}T12:00:00+00:00").timestamp())


def made_client(residency: str = "us", secret: str = PASSWORD) -> Any:
    return mixpanel_utils.MixpanelUtils(
        secret,
        token=TOKEN,
        service_account_username=USERNAME,
        project_id=PROJECT_ID,
        pool_size=2,
        residency=residency,
    )


@pytest.fixture
def client(mixpanel_world: httpx.Client, caplog: pytest.LogCaptureFixture) -> Any:
    assert not mixpanel_world.is_closed
    caplog.set_level(logging.WARNING)
    return made_client()


def song(number: int, **more: Any) -> dict[str, Any]:
    properties = {"distinct_id": f"user-{number % 7}", "time": NOON + number}
    return {
        "event": "Song played" if number % 2 else "Song skipped",
        "properties": {**properties, "$insert_id": f"song-{number}", "number": number, **more},
    }


def person(number: int) -> dict[str, Any]:
    name = f"user-{number:04d}"
    return {"$distinct_id": name, "$properties": {"number": number, "plan": "free"}}


def test_it_imports_and_exports_events(
    client: Any, hosts: Hosts, caplog: pytest.LogCaptureFixture
) -> None:
    client.import_events([song(number) for number in range(2_500)], timezone_offset=0)
    found = client.query_export({"from_date": DAY, "to_date": DAY})

    assert sorted(event["properties"]["number"] for event in found) == list(range(2_500))
    assert {event["properties"]["time"] - event["properties"]["number"] for event in found} == {
        NOON
    }
    assert set(hosts.asked) == {"api.mixpanel.com", "data.mixpanel.com"}
    assert caplog.messages == []


@pytest.mark.parametrize("residency", ["eu", "in"])
def test_each_residency_has_hosts_of_its_own(
    mixpanel_world: httpx.Client, hosts: Hosts, residency: str
) -> None:
    client = made_client(residency)
    client.import_events([song(1)], timezone_offset=0)
    assert len(client.query_export({"from_date": DAY, "to_date": DAY})) == 1
    client.query_engage()

    expected = {f"api-{residency}", f"data-{residency}", residency}
    assert set(hosts.asked) == {f"{name}.mixpanel.com" for name in expected}
    assert len(events(mixpanel_world)) == 1


def test_exports_are_narrowed_by_name_and_limit(client: Any) -> None:
    client.import_events([song(number) for number in range(40)], timezone_offset=0)
    window = {"from_date": DAY, "to_date": DAY}

    played = client.query_export({**window, "event": ["Song played"]})
    few = client.query_export({**window, "limit": 7})
    packed = client.query_export(window, add_gzip_header=True)

    assert {event["event"] for event in played} == {"Song played"}
    assert (len(played), len(few), len(packed)) == (20, 7, 40)


def test_it_exports_to_a_file_and_brings_it_back(
    client: Any, mixpanel_world: httpx.Client, tmp_path: Path
) -> None:
    client.import_events([song(number) for number in range(30)], timezone_offset=0)
    before = events(mixpanel_world)
    file = tmp_path / "events.json"
    client.export_events(str(file), {"from_date": DAY, "to_date": DAY})
    mixpanel_world.post("/sandbox/reset", json={"demo": False}).raise_for_status()

    client.import_events(str(file), timezone_offset=0)

    again = events(mixpanel_world)
    for event in (*before, *again):
        event["properties"].pop("mp_processing_time_ms")
    assert again == before


def test_what_is_wrong_with_an_import_is_said(
    client: Any, mixpanel_world: httpx.Client, caplog: pytest.LogCaptureFixture
) -> None:
    client.import_events([song(1), song(2, **{"$insert_id": "no good"})], timezone_offset=0)

    assert len(events(mixpanel_world)) == 1
    assert "must be at most 36 characters" in caplog.text


def test_a_page_holds_a_thousand_people(client: Any, hosts: Hosts) -> None:
    client.import_people([person(number) for number in range(2_300)])
    hosts.asked.clear()

    people = client.query_engage()

    assert sorted(each["$distinct_id"] for each in people) == [
        f"user-{number:04d}" for number in range(2_300)
    ]
    assert hosts.asked == ["mixpanel.com"] * 3


def test_people_are_found_by_their_ids(client: Any) -> None:
    client.import_people([person(number) for number in range(20)])

    found = client.query_engage({"distinct_ids": json.dumps(["user-0003", "user-0011", "nobody"])})

    assert {each["$properties"]["number"] for each in found} == {3, 11}


def twice(profile: dict[str, Any]) -> dict[str, Any]:
    return {"twice": profile["$properties"]["number"] * 2}


OPERATIONS: list[tuple[str, Any, dict[str, Any]]] = [
    ("people_set", {"plan": "pro"}, {"plan": "pro"}),
    ("people_set", twice, {"twice": 6}),
    ("people_set_once", {"plan": "pro", "new": 1}, {"new": 1}),
    ("people_add", {"number": 4}, {"number": 7}),
    ("people_append", {"l": 9}, {"l": [1, 2, 9]}),
    ("people_union", {"l": [2, 3]}, {"l": [1, 2, 3]}),
    ("people_remove", {"l": 1}, {"l": [2]}),
]


@pytest.mark.parametrize(
    ("operation", "value", "changes"),
    OPERATIONS,
    ids=["set", "set by a function", "set_once", "add", "append", "union", "remove"],
)
def test_it_changes_people_in_bulk(
    client: Any,
    mixpanel_world: httpx.Client,
    operation: str,
    value: Any,
    changes: dict[str, Any],
) -> None:
    before = {"number": 3, "plan": "free", "l": [1, 2]}
    client.import_people([{"$distinct_id": "ada", "$properties": before}])

    getattr(client, operation)(value)

    assert profiles(mixpanel_world) == {"ada": before | changes}


def test_it_unsets_renames_and_deletes_people(client: Any, mixpanel_world: httpx.Client) -> None:
    client.import_people([person(3)])
    client.people_change_property_name("number", "rank")
    assert profiles(mixpanel_world) == {"user-0003": {"plan": "free", "rank": 3}}
    client.people_unset(["rank"])
    assert profiles(mixpanel_world) == {"user-0003": {"plan": "free"}}
    client.people_delete(backup=False)
    assert profiles(mixpanel_world) == {}


def test_duplicates_are_made_one(client: Any, mixpanel_world: httpx.Client) -> None:
    seen = [("old", "2026-01-01T00:00:00"), ("new", "2026-02-01T00:00:00")]
    client.import_people(
        [
            {"$distinct_id": name, "$properties": {"$email": "a@example.com", "$last_seen": when}}
            for name, when in seen
        ]
    )

    client.deduplicate_people(prop_to_match="$email", backup=False)

    assert set(profiles(mixpanel_world)) == {"new"}


def test_an_export_of_people_is_a_file(client: Any, tmp_path: Path) -> None:
    client.import_people([person(number) for number in range(5)])
    file = tmp_path / "people.csv"

    client.export_people(str(file), format="csv")

    header, *rows = file.read_text().splitlines()
    assert "$distinct_id" in header
    assert len(rows) == 5


def test_it_retries_and_then_goes_on(client: Any, mixpanel_world: httpx.Client) -> None:
    client.import_events([song(1)], timezone_offset=0)
    fault = {"path": "/api/2.0/export", "kind": "500", "times": 2}
    mixpanel_world.post("/sandbox/faults", json=fault).raise_for_status()

    begun = time.monotonic()
    assert len(client.query_export({"from_date": DAY, "to_date": DAY})) == 1
    assert time.monotonic() - begun < 10


def test_it_reads_events_and_people_by_jql(client: Any) -> None:
    client.import_events([song(number) for number in range(10)], timezone_offset=0)
    client.import_people([person(number) for number in range(3)])

    played = client.query_jql_events(DAY, DAY, event_selectors={"event": "Song played"})
    third = client.query_jql_people('user["number"] == 2')

    assert sorted(event["properties"]["number"] for event in played) == [1, 3, 5, 7, 9]
    assert {event["properties"]["time"] for event in played} == {
        NOON + number for number in (1, 3, 5, 7, 9)
    }
    assert [each["$distinct_id"] for each in third] == ["user-0002"]


def test_it_runs_a_script_and_acts_on_its_people(client: Any, mixpanel_world: httpx.Client) -> None:
    client.import_events([song(number) for number in range(14)], timezone_offset=0)
    client.import_people([{"$distinct_id": "user-3", "$properties": {"plan": "free"}}])

    counts = client.query_jql(
        "function main() { return Events(params).groupBy(['name'], mixpanel.reducer.count()); }",
        {"from_date": DAY, "to_date": DAY},
    )
    client.event_counts_to_people(DAY, ["Song played", "Song skipped"])

    assert {each["key"][0]: each["value"] for each in counts} == {
        "Song played": 7,
        "Song skipped": 7,
    }
    assert profiles(mixpanel_world)["user-3"]["Song played"] == 1


def test_it_selects_people_by_what_they_did(client: Any) -> None:
    client.import_events([song(number) for number in range(5)], timezone_offset=0)
    client.import_people([{"$distinct_id": f"user-{n}", "$properties": {}} for n in range(7)])
    behaviors = [{"window": "30d", "name": "b", "event_selectors": [{"event": "Song played"}]}]
    params = {"behaviors": json.dumps(behaviors), "where": '(behaviors["b"] > 0)'}

    found = client.query_engage(params, timezone_offset=0)

    assert {each["$distinct_id"] for each in found} == {"user-1", "user-3"}
