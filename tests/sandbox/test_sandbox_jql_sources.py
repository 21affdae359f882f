"""JQL reads events, profiles and both joined: against plain Python over what was stored."""

from __future__ import annotations

import json
import random
from collections import Counter
from datetime import UTC, datetime
from itertools import groupby
from typing import TYPE_CHECKING, Any

import pytest
from jql_client import answer
from sandbox_client import NOON, PROJECT_ID, event, update

from mixpanel_mcp.analytics.events import Event, add_events
from mixpanel_mcp.analytics.profiles import write_profiles

if TYPE_CHECKING:
    from sandbox_client import SandboxClient

MARCH = {"from_date": "2026-03-01", "to_date": "2026-03-09"}
DAY = 86_400_000
FIRST = int(datetime(2026, 2, 27, tzinfo=UTC).timestamp()) * 1000
COUNT = "mixpanel.reducer.count()"

_RANDOM = random.Random(3)  # noqa: S311  # data for tests
EVENTS = [
    Event(
        event=_RANDOM.choice(["Sign up", "View", "Buy"]),
        distinct_id=f"user-{_RANDOM.randrange(8)}",
        time=FIRST + _RANDOM.randrange(14 * 24) * DAY // 24,
        insert_id=f"insert-{number}",
        processed=FIRST,
        properties=json.dumps(
            {"country": _RANDOM.choice(["US", "FR", "JP"]), "amount": _RANDOM.randrange(50)}
        ),
    )
    for number in range(2500)
]
# Two of them have no events, and two of the events' users have no profile.
PROFILES: dict[str, dict[str, Any]] = {
    f"user-{number}": {
        "age": 20 + number,
        "plan": "pro" if number % 3 else "free",
        "$last_seen": f"2026-03-0{number}T12:00:00",
    }
    for number in range(2, 10)
}


@pytest.fixture
def filled(empty: SandboxClient) -> SandboxClient:
    add_events(empty.project.store, EVENTS)
    write_profiles(empty.project.store, PROFILES)
    return empty


def in_march() -> list[Event]:
    until = FIRST + 11 * DAY
    chosen = [each for each in EVENTS if FIRST + 2 * DAY <= each.time < until]
    assert 500 < len(chosen) < len(EVENTS)
    return sorted(chosen, key=lambda each: (each.time, each.distinct_id, each.event))


def item(each: Event) -> dict[str, Any]:
    return {
        "name": each.event,
        "distinct_id": each.distinct_id,
        "time": each.time,
        "sampling_factor": 1,
        "properties": {
            "$insert_id": each.insert_id,
            "mp_processing_time_ms": each.processed,
            **json.loads(each.properties),
        },
    }


def user(distinct_id: str) -> dict[str, Any]:
    profile = PROFILES[distinct_id]
    seen = int(datetime.fromisoformat(f"{profile['$last_seen']}Z").timestamp()) * 1000
    return {"distinct_id": distinct_id, "time": seen, "last_seen": seen, "properties": profile}


async def test_events_come_whole_and_in_the_order_of_their_times(filled: SandboxClient) -> None:
    items = await answer(filled, "function main() { return Events(params) }", MARCH)

    def identity(each: dict[str, Any]) -> str:
        return each["properties"]["$insert_id"]

    assert sorted(items, key=identity) == sorted(map(item, in_march()), key=identity)
    assert [each["time"] for each in items] == [each.time for each in in_march()]


async def test_whole_timestamps_count_by_their_day(filled: SandboxClient) -> None:
    params = {"from_date": "2026-03-01T00:00:00.000Z", "to_date": "2026-03-09T00:00:00.000Z"}
    script = f"function main() {{ return Events(params).groupBy(['name'], {COUNT}) }}"
    groups = await answer(filled, script, params)
    counts = Counter(each.event for each in in_march())
    assert {group["key"][0]: group["value"] for group in groups} == counts


async def test_any_day_of_the_calendar_will_do(filled: SandboxClient) -> None:
    ever = {"from_date": "0001-01-01", "to_date": "9999-12-31"}
    script = f"function main() {{ return Events(params).reduce({COUNT}) }}"
    assert await answer(filled, script, ever) == [len(EVENTS)]


async def test_selectors_choose_events_and_labels_rename_them(filled: SandboxClient) -> None:
    script = f"""function main() {{
        return Events(_.extend({{event_selectors: [
            {{event: "Sign up", label: "Start"}},
            {{event: "Buy", selector: 'properties["country"] == "US"', label: "Buy (US)"}},
            {{event: "Buy", selector: 'properties["amount"] > 25'}},
            {{selector: 'properties["amount"] == 49', label: "Most"}},
        ]}}, params)).groupBy(["name"], {COUNT})
    }}"""

    def label(each: Event) -> str | None:
        properties = json.loads(each.properties)
        if each.event == "Sign up":
            return "Start"
        if each.event == "Buy" and properties["country"] == "US":
            return "Buy (US)"
        if each.event == "Buy" and properties["amount"] > 25:
            return "Buy"
        return "Most" if properties["amount"] == 49 else None

    groups = await answer(filled, script, MARCH)
    counts = Counter(map(label, in_march()))
    del counts[None]
    assert {group["key"][0]: group["value"] for group in groups} == counts
    assert len(counts) == 4


async def test_no_selectors_choose_everything(filled: SandboxClient) -> None:
    for none in ("[]", "null", "undefined"):
        script = f"""function main() {{
            return Events(_.extend({{event_selectors: {none}}}, params)).reduce({COUNT})
        }}"""
        assert await answer(filled, script, MARCH) == [len(in_march())]


async def test_people_come_by_their_ids(filled: SandboxClient) -> None:
    users = await answer(filled, "function main() { return People() }")
    assert users == [user(each) for each in sorted(PROFILES)]


async def test_a_profile_never_seen_has_no_times(empty: SandboxClient) -> None:
    write_profiles(empty.project.store, {"ada": {"$last_seen": "some day"}, "ben": {}})
    users = await answer(empty, "function main() { return People() }")
    assert [set(each) for each in users] == [{"distinct_id", "properties"}] * 2


async def test_user_selectors_are_alternatives(filled: SandboxClient) -> None:
    script = """function main() {
        return People({user_selectors: [
            {selector: 'user["plan"] == "free"'}, {selector: 'properties["age"] >= 28'},
        ]}).map(user => user.distinct_id);
    }"""
    assert await answer(filled, script) == [
        name
        for name, profile in sorted(PROFILES.items())
        if profile["plan"] == "free" or profile["age"] >= 28
    ]


def joined(kind: str) -> set[tuple[str, str | None, bool]]:
    pairs: set[tuple[str, str | None, bool]] = {
        (each.distinct_id, each.insert_id, each.distinct_id in PROFILES) for each in in_march()
    }
    with_events = {each.distinct_id for each in in_march()}
    if kind in ("inner", "right"):
        pairs = {pair for pair in pairs if pair[2]}
    if kind in ("full", "right"):
        pairs |= {(name, None, True) for name in PROFILES if name not in with_events}
    return pairs


@pytest.mark.parametrize("kind", ["full", "left", "right", "inner"])
async def test_a_join_pairs_events_with_their_users(filled: SandboxClient, kind: str) -> None:
    option = "" if kind == "full" else f", {{type: '{kind}'}}"
    script = f"function main() {{ return join(Events(params), People(){option}) }}"
    items = await answer(filled, script, MARCH)
    found = {
        (
            each["distinct_id"],
            each["event"]["properties"]["$insert_id"] if "event" in each else None,
            "user" in each,
        )
        for each in items
    }
    assert found == joined(kind)
    assert len(items) == len(found)
    assert all(each["user"] == user(each["distinct_id"]) for each in items if "user" in each)


async def test_join_selectors_see_both_sides(filled: SandboxClient) -> None:
    script = f"""function main() {{
        return join(
            Events(_.extend({{event_selectors: [{{event: "Buy"}}, {{event: "View"}}]}}, params)),
            People({{user_selectors: [{{selector: 'user["age"] < 27'}}]}}),
            {{selectors: [
                {{event: "Buy", selector: 'properties["country"] == "US" and user["age"] > 24'}},
                {{selector: 'not defined(user["age"]) and event["$distinct_id"] != "user-0"'}},
            ]}}
        ).groupBy(["distinct_id", "event.name"], {COUNT});
    }}"""

    def wanted(each: Event) -> bool:
        age = PROFILES.get(each.distinct_id, {}).get("age", 99)
        if each.event == "Sign up":
            return False
        if 24 < age < 27:
            return each.event == "Buy" and json.loads(each.properties)["country"] == "US"
        return age >= 27 and each.distinct_id != "user-0"

    groups = await answer(filled, script, MARCH)
    counts = Counter((each.distinct_id, each.event) for each in in_march() if wanted(each))
    assert {tuple(group["key"]): group["value"] for group in groups} == counts


@pytest.mark.parametrize("source", ["events", "filtered events", "join"])
async def test_group_by_user_sees_each_users_events_in_time(
    filled: SandboxClient, source: str
) -> None:
    collection = {
        "events": "Events(params)",
        "filtered events": "Events(params).filter(each => true)",
        "join": "join(Events(params), People(), {type: 'left'}).filter(each => each.event)",
    }[source]
    script = f"""function main() {{
        return {collection}.groupByUser(
            (times, items) => (times || []).concat(items.map(each => (each.event || each).time))
        );
    }}"""
    groups = await answer(filled, script, MARCH)
    ordered = sorted(in_march(), key=lambda each: each.distinct_id)
    assert groups == [
        {"key": [name], "value": [each.time for each in events]}
        for name, events in groupby(ordered, key=lambda each: each.distinct_id)
    ]


async def test_events_count_once_and_under_the_canonical_id(empty: SandboxClient) -> None:
    store = empty.project.store
    once = Event("Buy", "ada", NOON * 1000, "order-1", NOON * 1000, "{}")
    add_events(store, [once, once._replace(properties='{"again": true}'), once])
    add_events(store, [once._replace(distinct_id="anonymous", insert_id="order-2")])
    store.run("INSERT INTO canonical_ids VALUES ('anonymous', 'ada')")
    script = f"function main() {{ return Events(params).groupBy(['distinct_id'], {COUNT}) }}"
    assert await answer(empty, script, MARCH) == [{"key": ["ada"], "value": 2}]


async def test_what_was_tracked_is_found_on_both_paths(empty: SandboxClient) -> None:
    await empty.import_events(event("Song played", artist="Björk", seconds=200))
    await empty.engage(update("ada", set={"name": "Ada"}))
    script = "function main() { return join(Events(params), People()) }"
    for base in ("/api/query", "/api/2.0"):
        # `mixpanel-utils` puts the project into the form.
        form = {
            "script": script,
            "params": json.dumps(MARCH),
            "project_id": str(PROJECT_ID),
            "format": "json",
        }
        response = await empty.post(f"{base}/jql", data=form)
        ((only),) = response.json()
        assert response.headers["content-type"] == "application/json"
        assert only["event"]["properties"]["artist"] == "Björk"
        assert only["user"]["properties"]["name"] == "Ada"


async def test_dates_are_in_the_zone_of_the_project(empty: SandboxClient) -> None:
    add_events(empty.project.store, [Event("Buy", "ada", NOON * 1000, "1", NOON * 1000, "{}")])
    script = """function main() {
        return Events(params).map(each => {
            var time = new Date(each.time);
            return [time.getHours(), time.getTimezoneOffset(), +new Date(2026, 2, 9, 12)];
        });
    }"""
    assert await answer(empty, script, MARCH) == [[12, 0, NOON * 1000]]
