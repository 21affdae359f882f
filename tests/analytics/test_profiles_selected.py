"""Profile queries against a look at each profile by hand."""

import random
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from random_history import CONDITIONS, DAY, NAMES, Counted, History, random_history

from mixpanel_mcp.analytics.cohorts import ByCondition, ByIds, cohort_members
from mixpanel_mcp.analytics.events import Event, add_events
from mixpanel_mcp.analytics.expressions import ExpressionError
from mixpanel_mcp.analytics.profile_queries import (
    Behavior,
    Behaviors,
    ProfileQuery,
    matching_ids,
    shown_profiles,
)
from mixpanel_mcp.analytics.profiles import write_groups, write_profiles
from mixpanel_mcp.analytics.selectors import Selector
from mixpanel_mcp.analytics.store import Store

AS_OF = int(datetime(2026, 2, 3, tzinfo=UTC).timestamp()) * 1_000
Profile = dict[str, Any]


def anybody(_profile: Profile, _count: int) -> bool:
    return True


WHERE: dict[str | None, Callable[[Profile, int], bool]] = {
    None: anybody,
    'properties["plan"] == "pro"': lambda profile, _: profile.get("plan") == "pro",
    'properties["age"] > 40 and behaviors["it"] > 3': lambda profile, count: (
        profile.get("age", 0) > 40 and count > 3
    ),
    'behaviors["it"] == 0': lambda _, count: count == 0,
    'not defined(user["plan"]) or behaviors["it"] >= 5': lambda profile, count: (
        "plan" not in profile or count >= 5
    ),
}


def random_behavior(chance: random.Random) -> Behavior:
    selectors = [
        Selector(chance.choice([None, *NAMES]), chance.choice([None, *CONDITIONS]))
        for _ in range(chance.randint(1, 2))
    ]
    return Behavior("it", chance.choice(["1d", "3d", "36h"]), selectors)


def count_by_hand(behavior: Behavior, user: str, events: list[Counted]) -> int:
    width = {"1d": DAY, "3d": 3 * DAY, "36h": DAY + DAY // 2}[behavior.window]
    return sum(
        any(
            selector.event in {None, event.event} and CONDITIONS[selector.where](event)
            for selector in behavior.selectors
        )
        for event in events
        if event.user == user and AS_OF - width < event.time <= AS_OF
    )


def ids_by_hand(history: History, query: ProfileQuery, behavior: Behavior) -> list[str]:
    ids = set(history.profiles)
    if query.members is not None:
        ids = set(query.members) if query.include_all_users else ids & set(query.members)
    if query.distinct_ids is not None:
        ids &= set(query.distinct_ids)
    events = history.counted()
    return sorted(
        each
        for each in ids
        if WHERE[query.where](history.profiles.get(each, {}), count_by_hand(behavior, each, events))
    )


@pytest.mark.parametrize("seed", range(400, 425))
def test_profiles_are_those_that_a_look_at_each_finds(empty_store: Store, seed: int) -> None:
    history = random_history(seed)
    history.store_in(empty_store)
    chance = random.Random(seed)  # noqa: S311  # reproducible, not secret
    ids = ["ada", "bob", "分析", "silent", "nobody", "ada"]
    behavior = random_behavior(chance)
    query = ProfileQuery(
        where=chance.choice(list(WHERE)),
        distinct_ids=chance.choice([None, None, ids[2:]]),
        members=chance.choice([None, ids[:4], ids]),
        include_all_users=chance.choice([True, False]),
        behaviors=Behaviors([behavior], AS_OF),
    )

    assert matching_ids(empty_store, query) == ids_by_hand(history, query, behavior)


def test_the_window_of_a_behavior_ends_with_its_moment(empty_store: Store) -> None:
    write_profiles(empty_store, {"ada": {}})
    edges = [AS_OF - 90 * DAY, AS_OF - 90 * DAY + 1, AS_OF, AS_OF + 1]
    add_events(
        empty_store,
        [Event("Edit", "ada", time, str(number), 0, "{}") for number, time in enumerate(edges)],
    )
    edits = Behavior("edits", "90d", [Selector("Edit")])
    query = ProfileQuery('behaviors["edits"] == 2', behaviors=Behaviors([edits], AS_OF))
    assert matching_ids(empty_store, query) == ["ada"]


def test_a_page_shows_what_was_asked_for_and_no_more(empty_store: Store) -> None:
    write_profiles(empty_store, {"ada": {"$email": "a@x.org", "plan": "pro"}, "bob": {}})
    assert shown_profiles(empty_store, ["bob", "ada", "nobody"], ["plan", "age"]) == [
        {"$distinct_id": "bob", "$properties": {}},
        {"$distinct_id": "ada", "$properties": {"plan": "pro"}},
        {"$distinct_id": "nobody"},
    ]
    assert shown_profiles(empty_store, ["ada"]) == [
        {"$distinct_id": "ada", "$properties": {"$email": "a@x.org", "plan": "pro"}}
    ]


def test_groups_are_queried_by_their_key(empty_store: Store) -> None:
    write_groups(
        empty_store,
        {("company", "acme"): {"seats": 9}, ("company", "tiny"): {"seats": 1}, ("team", "t"): {}},
    )
    large = ProfileQuery('properties["seats"] > 5', group_key="company")
    assert matching_ids(empty_store, large) == ["acme"]
    assert shown_profiles(empty_store, ["acme"], group_key="company") == [
        {"$distinct_id": "acme", "$properties": {"seats": 9}}
    ]
    assert matching_ids(empty_store, ProfileQuery(group_key="team")) == ["t"]


@pytest.mark.parametrize("window", ["90", "d", "-1d", "1w", "٣d"])
def test_a_window_that_cannot_be_read_is_refused(empty_store: Store, window: str) -> None:
    behavior = Behavior("it", window, [Selector("View")])
    query = ProfileQuery(behaviors=Behaviors([behavior], AS_OF))
    with pytest.raises(ValueError, match="90d"):
        matching_ids(empty_store, query)


def test_events_are_nothing_that_profiles_have(empty_store: Store) -> None:
    with pytest.raises(ExpressionError, match="event"):
        matching_ids(empty_store, ProfileQuery('event["x"] == 1'))


def test_a_cohort_is_a_condition_or_a_list(empty_store: Store) -> None:
    write_profiles(empty_store, {"ada": {"plan": "pro"}, "bob": {"plan": "free"}})
    assert cohort_members(empty_store, ByCondition('properties["plan"] == "pro"')) == ["ada"]
    assert cohort_members(empty_store, ByIds(["ghost", "ada", "ghost"])) == ["ada", "ghost"]


def test_a_merged_user_is_one_member(empty_store: Store) -> None:
    empty_store.run("INSERT INTO canonical_ids VALUES ('ada-phone', 'ada')")
    assert cohort_members(empty_store, ByIds(["ada-phone", "ada", "bob"])) == ["ada", "bob"]
