"""Random event sets with what makes counting hard, and a plain count of them.

Events come again with other properties, users are merged, properties are missing, numbers stand in
strings, names are not ASCII, and times lie on both sides of midnight.
"""

import json
import random
from collections import defaultdict
from collections.abc import Callable, Iterable
from datetime import UTC, date, datetime, timedelta
from functools import cache, cached_property
from typing import Any, NamedTuple

from mixpanel_mcp.analytics.buckets import Buckets
from mixpanel_mcp.analytics.events import Event, add_events
from mixpanel_mcp.analytics.profiles import write_profiles
from mixpanel_mcp.analytics.series import Measure, Values
from mixpanel_mcp.analytics.store import Store, open_store

FIRST_DAY = date(2026, 2, 25)
LAST_DAY = date(2026, 3, 5)
DAY = 86_400_000
NAMES = ["Sign Up", "Purchase", "Küche 🍳 'n'"]
PLATFORMS = ["ios", "android", "wéb", 'qu"ote', "", 5, 5.0, 2.5, True, None, ["a", "b"]]
AMOUNTS = [0, 1, 7.5, 12, 12.25, -3, 250, "12", " 7.5 ", "many", None, True]


class Counted(NamedTuple):
    event: str
    user: str
    time: int
    insert_id: str
    processed: int
    properties: dict[str, Any]
    profile: dict[str, Any]


def midnight(day: date) -> int:
    return int(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp()) * 1_000


class RandomEvents:
    """The same for the same seed. Reports change nothing, so tests may share its store."""

    def __init__(self, seed: int, count: int = 200) -> None:
        self._random = random.Random(seed)  # noqa: S311  # the same on every run
        self.merged = {f"device-{number}": f"user-{number}" for number in range(3)}
        ids = [*(f"user-{number}" for number in range(8)), *self.merged, "名前"]
        self.profiles = {
            distinct_id: {"plan": self._random.choice(["free", "pro"])} for distinct_id in ids[:6]
        }
        self.events: list[Event] = []
        for place in range(count):
            self.events.append(self._event(place, ids))

    @cached_property
    def store(self) -> Store:
        store = open_store()
        half = len(self.events) // 2
        add_events(store, self.events[:half])
        add_events(store, self.events[half:])
        write_profiles(store, self.profiles)
        store.run(
            "INSERT INTO canonical_ids SELECT unnest($from::VARCHAR[]), unnest($to::VARCHAR[])",
            {"from": list(self.merged), "to": list(self.merged.values())},
        )
        return store

    @cached_property
    def counted(self) -> list[Counted]:
        """Each event once, the one that arrived last, in the order of time."""
        latest: dict[tuple[str, str, int, str], Counted] = {}
        for event in self.events:
            user = self.merged.get(event.distinct_id, event.distinct_id)
            latest[event.event, user, event.time, event.insert_id] = Counted(
                event.event,
                user,
                event.time,
                event.insert_id,
                event.processed,
                json.loads(event.properties),
                self.profiles.get(user, {}),
            )
        return sorted(latest.values(), key=lambda it: (it.time, it.event, it.insert_id))

    def _event(self, place: int, ids: list[str]) -> Event:
        if self.events and self._random.random() < 0.15:
            again = self._random.choice(self.events)
            return again._replace(properties=self._properties(), processed=place)
        return Event(
            event=self._random.choice(NAMES),
            distinct_id=self._random.choice(ids),
            time=self._time(),
            insert_id=f"insert-{self._random.randrange(10**6)}",
            processed=place,
            properties=self._properties(),
        )

    def _time(self) -> int:
        day = midnight(FIRST_DAY - timedelta(days=1)) + self._random.randrange(11) * DAY
        if self._random.random() < 0.3:
            return day + self._random.choice([-1, 0, 1, 999, 1_000])
        return day + self._random.randrange(DAY)

    def _properties(self) -> str:
        properties: dict[str, Any] = {"session": self._random.randrange(5)}
        if self._random.random() < 0.8:
            properties["platform"] = self._random.choice(PLATFORMS)
        if self._random.random() < 0.8:
            properties["amount"] = self._random.choice(AMOUNTS)
        return json.dumps(properties, ensure_ascii=False, separators=(",", ":"))


@cache
def random_events(seed: int) -> RandomEvents:
    return RandomEvents(seed)


def label(value: Any) -> str:
    """The name of a segment, of a property that is there."""
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    if isinstance(value, str):
        return value
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def platform_label(event: Counted) -> str:
    return label(event.properties["platform"]) if "platform" in event.properties else "undefined"


def as_number(value: Any) -> float | None:
    """Without coercion: a number in a string is none, and so is true."""
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def beginning(time: int, unit: str) -> str:
    moment = datetime.fromtimestamp(time // 1_000, UTC)
    day = moment.date()
    match unit:
        case "minute":
            return moment.strftime("%Y-%m-%d %H:%M:00")
        case "hour":
            return moment.strftime("%Y-%m-%d %H:00:00")
        case "week":
            return str(day - timedelta(days=day.weekday()))
        case "month":
            return str(day.replace(day=1))
        case _:
            return str(day)


def within(events: Iterable[Counted], first: date, last: date) -> list[Counted]:
    return [event for event in events if midnight(first) <= event.time < midnight(last) + DAY]


def measured(events: list[Counted], measure: Measure) -> float:
    users = len({event.user for event in events})
    if measure == "unique":
        return users
    return len(events) if measure == "general" else len(events) / users


def series(
    events: Iterable[Counted],
    buckets: Buckets,
    measure: Measure,
    name: Callable[[Counted], str],
    beginning_of: Callable[[Counted], str],
) -> Values:
    groups: dict[tuple[str, str], list[Counted]] = defaultdict(list)
    for event in events:
        groups[name(event), beginning_of(event)].append(event)
    values: Values = {
        name: dict.fromkeys(buckets.labels, 0) for name in {name for name, _ in groups}
    }
    for (segment, start), group in groups.items():
        values[segment][start] = measured(group, measure)
    return values
