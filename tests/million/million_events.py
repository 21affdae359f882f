"""A project of a million events, the same on every run."""

import random
from datetime import UTC, date, datetime

from mixpanel_mcp.analytics.events import Event, add_events
from mixpanel_mcp.analytics.profiles import write_profiles
from mixpanel_mcp.analytics.store import Store, open_store

COUNT = 1_000_000
USERS = 50_000
FIRST_DAY = date(2026, 1, 1)
LAST_DAY = date(2026, 1, 31)
NAMES = ["Page View", "Sign Up", "Purchase", "Search", "Login"]

_BATCH = 2_000
_START = int(datetime(2026, 1, 1, tzinfo=UTC).timestamp()) * 1_000
_LENGTH = 31 * 86_400_000


def open_million() -> Store:
    """One event in a hundred is sent again, and one user in ten was merged into another."""
    chance = random.Random(1)  # noqa: S311  # the same on every run
    store = open_store()
    for first in range(0, COUNT, _BATCH):
        batch = [_event(chance, place) for place in range(first, first + _BATCH)]
        add_events(store, [*batch, *batch[: _BATCH // 100]])
    profiles = {_user(place): {"plan": chance.choice(["free", "pro"])} for place in range(USERS)}
    write_profiles(store, profiles)
    merged = range(0, USERS, 10)
    store.run(
        "INSERT INTO canonical_ids SELECT unnest($from::VARCHAR[]), unnest($to::VARCHAR[])",
        {"from": [_user(place) for place in merged], "to": [_user(place + 1) for place in merged]},
    )
    return store


def _user(place: int) -> str:
    return f"user-{place:05d}-4321-abcd-9f8e7d6c"


def _event(chance: random.Random, place: int) -> Event:
    time = _START + place * _LENGTH // COUNT
    properties = (
        f'{{"$city":"{chance.choice(["Berlin", "Paris", "Rome"])}"'
        f',"platform":"{chance.choice(["ios", "android", "web"])}"'
        f',"amount":{chance.randrange(100_000) / 100},"$browser":"Chrome","$os":"Mac OS X"'
        f',"items":["a","b","c"],"session":"{chance.getrandbits(128):032x}"}}'
    )
    return Event(
        event=chance.choice(NAMES),
        distinct_id=_user(chance.randrange(USERS)),
        time=time,
        insert_id=f"{chance.getrandbits(128):032x}",
        processed=time,
        properties=properties,
    )
