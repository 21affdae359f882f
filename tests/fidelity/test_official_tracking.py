"""The official tracking client for Python (`mixpanel`), as it is, against the sandbox."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

import pytest
from reading import events, groups, profiles

from mixpanel_mcp.sandbox import PASSWORD, PROJECT_ID, TOKEN, USERNAME

if TYPE_CHECKING:
    from collections.abc import Callable

    import httpx
    from mixpanel_hosts import Hosts

# It has no types to check against.
mixpanel: Any = importlib.import_module("mixpanel")

YEAR_2011 = 1_300_000_000
FIRST_DEVICE = "5b3d4f6e-8d0c-4a8e-9c1f-2e7b6a5d4c3b"


def service_account(secret: str = PASSWORD) -> Any:
    return mixpanel.ServiceAccountCredentials(USERNAME, secret, str(PROJECT_ID))


@pytest.fixture
def client(mixpanel_world: httpx.Client) -> Any:
    assert not mixpanel_world.is_closed
    return mixpanel.Mixpanel(TOKEN, credentials=service_account())


def test_it_tracks(client: Any, mixpanel_world: httpx.Client, hosts: Hosts) -> None:
    client.track("ada", "Song played", {"title": "Suite", "minutes": 3.5, "live": False})

    (event,) = events(mixpanel_world)
    assert event["event"] == "Song played"
    assert (
        event["properties"]
        | {
            "distinct_id": "ada",
            "title": "Suite",
            "minutes": 3.5,
            "live": False,
            "mp_lib": "python",
        }
        == event["properties"]
    )
    assert "token" not in event["properties"]
    assert hosts.asked == ["api.mixpanel.com"]


def test_it_takes_the_hosts_that_it_is_told(running: Any, mixpanel_world: httpx.Client) -> None:
    urls = {f"{name}_url": f"{running.base_url}/{path}" for name, path in ENDPOINTS.items()}
    client = mixpanel.Mixpanel(TOKEN, consumer=mixpanel.Consumer(**urls))

    client.track("ada", "Song played")
    client.people_set("ada", {"plan": "pro"})
    client.group_set("company", "Acme", {"seats": 5})

    assert len(events(mixpanel_world)) == 1
    assert profiles(mixpanel_world)["ada"]["plan"] == "pro"
    assert groups(mixpanel_world, "company") == {"Acme": {"seats": 5}}


ENDPOINTS = {"events": "track", "people": "engage", "groups": "groups", "import": "import"}


def test_it_imports_what_is_old(client: Any, mixpanel_world: httpx.Client) -> None:
    client.import_data(None, "ada", "Signed up", YEAR_2011, {"plan": "free"})

    (event,) = events(mixpanel_world)
    assert (event["event"], event["properties"]["time"]) == ("Signed up", YEAR_2011)


def test_a_wrong_secret_is_an_error_that_names_it(mixpanel_world: httpx.Client) -> None:
    client = mixpanel.Mixpanel(TOKEN, credentials=service_account("wrong"))

    with pytest.raises(mixpanel.MixpanelException, match="Invalid credentials"):
        client.import_data(None, "ada", "Signed up", YEAR_2011)
    assert events(mixpanel_world) == []


def test_it_buffers(mixpanel_world: httpx.Client) -> None:
    consumer = mixpanel.BufferedConsumer(max_size=20, credentials=service_account())
    client = mixpanel.Mixpanel(TOKEN, consumer)
    for number in range(45):
        client.track("ada", "Song played", {"number": number})
        client.import_data(None, "ada", "Signed up", YEAR_2011 + number)
        client.people_set(f"user-{number}", {"number": number})
        client.group_set("company", f"company-{number}", {"number": number})
    assert len(events(mixpanel_world)) == 80
    consumer.flush()

    numbers = {each["properties"].get("number") for each in events(mixpanel_world)}
    assert numbers == {*range(45), None}
    assert len(events(mixpanel_world)) == 90
    assert len(profiles(mixpanel_world)) == 45
    assert len(groups(mixpanel_world, "company")) == 45


PEOPLE: dict[str, tuple[Callable[[Any], Any], dict[str, Any]]] = {
    "set": (lambda client: client.people_set("ada", {"a": 2}), {"a": 2}),
    "set_once": (lambda client: client.people_set_once("ada", {"a": 2, "b": 3}), {"b": 3}),
    "increment": (
        lambda client: client.people_increment("ada", {"a": 5, "n": 1}),
        {"a": 6, "n": 1},
    ),
    "append": (lambda client: client.people_append("ada", {"l": 3}), {"l": [1, 2, 3]}),
    "union": (lambda client: client.people_union("ada", {"l": [2, 3]}), {"l": [1, 2, 3]}),
    "remove": (lambda client: client.people_remove("ada", {"l": 1}), {"l": [2]}),
    "track_charge": (
        lambda client: client.people_track_charge("ada", 9.5, {"item": "Mug"}),
        {"$transactions": [{"item": "Mug", "$amount": 9.5}]},
    ),
    "update": (
        lambda client: client.people_update({"$distinct_id": "ada", "$set": {"a": 7}}),
        {"a": 7},
    ),
}


@pytest.mark.parametrize("verb", PEOPLE)
def test_it_changes_people(client: Any, mixpanel_world: httpx.Client, verb: str) -> None:
    before = {"a": 1, "l": [1, 2]}
    client.people_set("ada", before)
    call, changes = PEOPLE[verb]
    call(client)

    profile = profiles(mixpanel_world)["ada"]
    assert profile.pop("$last_seen")
    assert profile == before | changes


def test_it_unsets_and_deletes_people(client: Any, mixpanel_world: httpx.Client) -> None:
    client.people_set("ada", {"a": 1}, meta={"$ignore_time": True, "$ip": 0})
    client.people_track_charge("ada", 3, meta={"$ignore_time": True})
    client.people_clear_charges("ada", meta={"$ignore_time": True})
    assert profiles(mixpanel_world) == {"ada": {"a": 1}}
    client.people_unset("ada", ["a"], meta={"$ignore_time": True})
    assert profiles(mixpanel_world) == {"ada": {}}
    client.people_delete("ada")
    assert profiles(mixpanel_world) == {}


GROUPS: dict[str, tuple[Callable[[Any], Any], dict[str, Any]]] = {
    "set": (lambda client: client.group_set("company", "Acme", {"a": 2}), {"a": 2}),
    "set_once": (
        lambda client: client.group_set_once("company", "Acme", {"a": 2, "b": 3}),
        {"b": 3},
    ),
    "union": (
        lambda client: client.group_union("company", "Acme", {"l": [2, 3]}),
        {"l": [1, 2, 3]},
    ),
    "remove": (lambda client: client.group_remove("company", "Acme", {"l": 1}), {"l": [2]}),
    "update": (
        lambda client: client.group_update(
            {"$group_key": "company", "$group_id": "Acme", "$set": {"a": 7}}
        ),
        {"a": 7},
    ),
}


@pytest.mark.parametrize("verb", GROUPS)
def test_it_changes_groups(client: Any, mixpanel_world: httpx.Client, verb: str) -> None:
    before = {"a": 1, "l": [1, 2]}
    client.group_set("company", "Acme", before)
    call, changes = GROUPS[verb]
    call(client)

    assert groups(mixpanel_world, "company") == {"Acme": before | changes}


def test_it_unsets_and_deletes_groups(client: Any, mixpanel_world: httpx.Client) -> None:
    client.group_set("company", "Acme", {"a": 1, "b": 2})
    client.group_unset("company", "Acme", ["a"])
    assert groups(mixpanel_world, "company") == {"Acme": {"b": 2}}
    client.group_delete("company", "Acme")
    assert groups(mixpanel_world, "company") == {}


def test_it_makes_an_alias(client: Any, mixpanel_world: httpx.Client, hosts: Hosts) -> None:
    """It always asks the American host, whatever consumer it has."""
    client.alias("ada@example.com", "ada")
    client.people_set("ada@example.com", {"a": 1}, meta={"$ignore_time": True})

    assert profiles(mixpanel_world) == {"ada": {"a": 1}}
    assert set(hosts.asked) == {"api.mixpanel.com"}


def test_it_merges(client: Any, mixpanel_world: httpx.Client) -> None:
    client.merge(None, "ada", FIRST_DEVICE)
    client.people_set(FIRST_DEVICE, {"a": 1}, meta={"$ignore_time": True})

    assert profiles(mixpanel_world) == {"ada": {"a": 1}}


def test_an_error_of_the_sandbox_is_one_of_the_client(
    client: Any, mixpanel_world: httpx.Client
) -> None:
    with pytest.raises(mixpanel.MixpanelException, match="must be a non-empty string"):
        client.people_set("", {"a": 1})
    with pytest.raises(mixpanel.MixpanelException, match="is not supported here"):
        client.group_update({"$group_key": "company", "$group_id": "Acme", "$add": {"a": 1}})
    with pytest.raises(mixpanel.MixpanelException, match="must be a non-empty string"):
        client.track("ada", "")
    assert profiles(mixpanel_world) == {}


def test_it_retries_what_is_broken(client: Any, mixpanel_world: httpx.Client) -> None:
    fault = {"path": "/track", "kind": "500", "times": 1}
    mixpanel_world.post("/sandbox/faults", json=fault).raise_for_status()

    client.track("ada", "Song played")

    assert len(events(mixpanel_world)) == 1
