"""Small projects full of coincidences: ties, borders, repeats, merged users, missing properties."""

import json
import random
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any, NamedTuple

from mixpanel_mcp.analytics.events import Event, add_events
from mixpanel_mcp.analytics.profiles import write_profiles
from mixpanel_mcp.analytics.store import Store

FIRST_DAY = date(2026, 1, 28)
"""A Wednesday: a month ends three days later, and a week after four."""
LAST_DAY = date(2026, 2, 4)
HOUR = 3_600_000
DAY = 24 * HOUR

NAMES = ["View", "Buy", "Köp 🛒"]
_USERS = ["ada", "bob", "çelik", "分析"]
_ALIASES = {"ada-phone": "ada", "ada-tablet": "ada", "bob-phone": "bob"}
_PLANS = [None, None, "pro", "free", "gratis ✓", 5, True]


class Counted(NamedTuple):
    """An event as a report sees it."""

    event: str
    user: str
    time: int
    properties: dict[str, Any]
    profile: dict[str, Any]

    @property
    def day(self) -> date:
        return datetime.fromtimestamp(self.time // 1_000, UTC).date()


Test = Callable[[Counted], bool]
"""What an expression says of an event, in Python."""


@dataclass(frozen=True)
class History:
    sent: list[Event]
    canonical_ids: dict[str, str]
    profiles: dict[str, dict[str, Any]]

    def store_in(self, store: Store) -> None:
        add_events(store, self.sent)
        write_profiles(store, self.profiles)
        for distinct_id, canonical_id in self.canonical_ids.items():
            store.run(
                "INSERT INTO canonical_ids VALUES ($distinct_id, $canonical_id)",
                {"distinct_id": distinct_id, "canonical_id": canonical_id},
            )

    def counted(self) -> list[Counted]:
        """Each event once, the one sent last, under its user's canonical id."""
        latest: dict[tuple[str, str, int, str], Counted] = {}
        for sent in self.sent:
            user = self.canonical_ids.get(sent.distinct_id, sent.distinct_id)
            latest[sent.event, user, sent.time, sent.insert_id] = Counted(
                sent.event,
                user,
                sent.time,
                json.loads(sent.properties),
                self.profiles.get(user, {}),
            )
        return list(latest.values())


def random_history(seed: int, events: int = 150) -> History:
    chance = random.Random(seed)  # noqa: S311  # reproducible, not secret
    sent = [_event(chance, str(number)) for number in range(events)]
    repeated = [_sent_again(chance, event) for event in chance.sample(sent, events // 8)]
    profiles = {
        user: {"plan": plan, "age": chance.randint(18, 80), "née": "Ö"}
        for user in [*_USERS, "silent"]
        if (plan := chance.choice(_PLANS)) is not None
    }
    return History(sent + repeated, _ALIASES, profiles)


def _event(chance: random.Random, insert_id: str) -> Event:
    plan = chance.choice(_PLANS)
    properties = {} if plan is None else {"plan": plan}
    return Event(
        event=chance.choice(NAMES),
        distinct_id=chance.choice([*_USERS, *_ALIASES]),
        time=_time(chance),
        insert_id=insert_id,
        processed=0,
        properties=json.dumps({**properties, "prix €": chance.randint(0, 3)}),
    )


def _time(chance: random.Random) -> int:
    """A time on a coarse grid, often met by others, or a millisecond beside it."""
    first = FIRST_DAY - timedelta(days=2)
    midnight = int(datetime(first.year, first.month, first.day, tzinfo=UTC).timestamp()) * 1_000
    grid = midnight + chance.randint(0, 12 * 4) * 6 * HOUR
    return grid + chance.choice([-1, 0, 0, 0, 1, 1_500, HOUR])


def _sent_again(chance: random.Random, event: Event) -> Event:
    """The same event, perhaps by another id of the same user, with other properties."""
    user = _ALIASES.get(event.distinct_id, event.distinct_id)
    ids = [user, *(alias for alias, owner in _ALIASES.items() if owner == user)]
    properties = json.dumps({"plan": chance.choice(["pro", "new"]), "prix €": 9})
    return event._replace(distinct_id=chance.choice(ids), properties=properties)


CONDITIONS: dict[str | None, Test] = {
    None: lambda _: True,
    'properties["plan"] == "pro"': lambda event: event.properties.get("plan") == "pro",
    'not defined(properties["plan"])': lambda event: "plan" not in event.properties,
    'properties["prix €"] >= 2': lambda event: event.properties["prix €"] >= 2,
    'user["age"] > 40': lambda event: event.profile.get("age", 0) > 40,
}

SEGMENTS: dict[str, Callable[[Counted], str]] = {
    'properties["plan"]': lambda event: label(event.properties.get("plan")),
    'user["plan"]': lambda event: label(event.profile.get("plan")),
    'properties["prix €"]': lambda event: label(event.properties["prix €"]),
}


def label(value: Any) -> str:
    """What a segment is called."""
    if value is None:
        return "undefined"
    return str(value).lower() if isinstance(value, bool) else str(value)


def beginning(day: date, first: date, unit: str, interval: int = 1) -> str:
    """The day by which the bucket of a day is called. Only days come in intervals here."""
    if unit == "week":
        return str(day - timedelta(days=day.weekday()))
    if unit == "month":
        return str(day.replace(day=1))
    return str(first + timedelta(days=(day - first).days // interval * interval))


def days(first: date, last: date) -> list[date]:
    return [first + timedelta(days=number) for number in range((last - first).days + 1)]
