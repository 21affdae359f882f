"""The demo project: a small shop, sixty days of it, the same on every start.

A pure function of the day it ends. The story is told by the constants: who comes, how often, what
they buy, and what happened when one platform got a new checkout.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import date, timedelta
from random import Random
from typing import TYPE_CHECKING, Any, Literal

from mixpanel_mcp.analytics.events import Event
from mixpanel_mcp.sandbox.clock import DAY, HOUR, MINUTE, SECOND, midnight, moment

if TYPE_CHECKING:
    from mixpanel_mcp.analytics.profiles import Properties

SEED = 20_240_229
USERS = 1_000
DAYS = 60

SIGN_UP = "Sign up"
APP_OPENED = "App opened"
ITEM_VIEWED = "Item viewed"
CHECKOUT_STARTED = "Checkout started"
PURCHASE_COMPLETED = "Purchase completed"

PLATFORMS = {"iOS": 45, "Android": 35, "Web": 20}
COUNTRIES = {"US": 40, "DE": 20, "IN": 15, "BR": 15, "JP": 10}
PLANS = {"free": 75, "pro": 25}
PAYMENT_METHODS = {"card": 60, "paypal": 30, "invoice": 10}
ITEMS = {"Notebook": 12, "Fountain pen": 48, "Ink": 9, "Desk lamp": 64, "Satchel": 129, "Mug": 14}

NEW_USERS_PERCENT = 60
"""So many sign up within the sixty days; the others were there before."""

CHANCE_TO_COME = {"free": 0.21, "pro": 0.33}
"""On an ordinary day, soon after signing up."""
STAY = {"free": 0.960, "pro": 0.990}
"""What is left of that chance from one day to the next: the two plans differ in retention."""
WEEKDAY_FACTOR = (1.15, 1.2, 1.15, 1.1, 1.0, 0.65, 0.6)
"""Monday to Sunday."""

CHANCE_TO_VIEW = 0.72
CHANCE_TO_CHECK_OUT = 0.38
CHANCE_TO_PURCHASE = 0.64

RELEASE_DAYS_BEFORE_END = 13
RELEASE_PLATFORM = "Android"
CHANCE_TO_PURCHASE_AFTER_RELEASE = 0.21
"""On that platform, from that day on."""
APP_VERSIONS = ("4.1.0", "4.2.0")
"""Before and since the release."""

FIRST_NAMES = ("Ada", "Ben", "Carla", "Deniz", "Emil", "Fumiko", "Grace", "Hugo", "Ines", "Jonas")
LAST_NAMES = ("Abreu", "Brandt", "Castro", "Dogan", "Endo", "Fischer", "Gupta", "Hansen", "Ito")

COHORT_PRO = "Pro users"
COHORT_BUYERS = "Buyers"
FUNNEL_PURCHASE = "View to purchase"
FUNNEL_ACTIVATION = "Sign up to first purchase"
INSIGHTS_PURCHASES = "Purchases by platform"

Saved = Literal["funnel", "insights", "cohort", "pipeline"]


@dataclass(frozen=True)
class DemoProject:
    events: list[Event]
    profiles: dict[str, Properties]
    saved: dict[Saved, list[dict[str, Any]]]


@dataclass
class _User:
    distinct_id: str
    name: str
    platform: str
    country: str
    plan: str
    signed_up: int
    """Days since the first day; negative before it."""
    created: int
    purchases: int = 0
    spent: int = 0
    last_seen: int = 0


def demo_project(today: date) -> DemoProject:
    """Return the project as it is on the morning of `today`."""
    return _Story(today).tell()


class _Story:
    def __init__(self, today: date) -> None:
        self._random = Random(SEED)  # noqa: S311  # a story, not a secret
        self._first_day = today - timedelta(days=DAYS)
        self._start = midnight(self._first_day)
        self._end = midnight(today)
        self._release = DAYS - RELEASE_DAYS_BEFORE_END
        self._events: list[Event] = []
        self._number = 0

    def tell(self) -> DemoProject:
        users = [self._user(number) for number in range(USERS)]
        for user in users:
            self._live(user)
        self._events.sort(key=lambda event: (event.time, event.insert_id))
        profiles = {user.distinct_id: _profile(user) for user in users}
        return DemoProject(self._events, profiles, self._saved(users))

    def _user(self, number: int) -> _User:
        random = self._random
        is_new = random.randrange(100) < NEW_USERS_PERCENT
        signed_up = random.randrange(DAYS) if is_new else -1 - random.randrange(90)
        created = self._start + signed_up * DAY + random.randrange(7 * HOUR, 22 * HOUR, SECOND)
        first, last = random.choice(FIRST_NAMES), random.choice(LAST_NAMES)
        return _User(
            distinct_id=f"user-{number + 1:04d}",
            name=f"{first} {last}",
            platform=self._pick(PLATFORMS),
            country=self._pick(COUNTRIES),
            plan=self._pick(PLANS),
            signed_up=signed_up,
            created=created,
            last_seen=created,
        )

    def _live(self, user: _User) -> None:
        random = self._random
        chance = CHANCE_TO_COME[user.plan]
        if user.signed_up >= 0:
            self._visit(user, user.created - MINUTE, user.signed_up)
            self._track(SIGN_UP, user, user.created, user.signed_up)
        # Who was there before comes once for certain: a user without an event is no user.
        sure = random.randrange(DAYS) if user.signed_up < 0 else None
        for day in range(max(user.signed_up + 1, 0), DAYS):
            weekday = (self._first_day.weekday() + day) % 7
            if day == sure or random.random() < chance * WEEKDAY_FACTOR[weekday]:
                time = self._start + day * DAY + random.randrange(6 * HOUR, 22 * HOUR, SECOND)
                self._visit(user, time, day)
            chance *= STAY[user.plan]

    def _visit(self, user: _User, time: int, day: int) -> None:
        random = self._random
        self._track(APP_OPENED, user, time, day)
        # Room for the sign-up, which follows the first opening by a minute.
        time += MINUTE
        while random.random() < CHANCE_TO_VIEW:
            time += random.randrange(10, 120) * SECOND
            item = random.choice(tuple(ITEMS))
            self._track(ITEM_VIEWED, user, time, day, item=item, price=ITEMS[item])
            if random.random() < CHANCE_TO_CHECK_OUT:
                self._check_out(user, time, day, item)
                return

    def _check_out(self, user: _User, time: int, day: int, item: str) -> None:
        random = self._random
        time += random.randrange(20, 180) * SECOND
        quantity = random.randrange(1, 4)
        amount = ITEMS[item] * quantity
        self._track(CHECKOUT_STARTED, user, time, day, item=item, amount=amount)
        after_release = day >= self._release and user.platform == RELEASE_PLATFORM
        chance = CHANCE_TO_PURCHASE_AFTER_RELEASE if after_release else CHANCE_TO_PURCHASE
        if random.random() >= chance:
            return
        time += random.randrange(30, 240) * SECOND
        method = self._pick(PAYMENT_METHODS)
        self._track(
            PURCHASE_COMPLETED,
            user,
            time,
            day,
            item=item,
            quantity=quantity,
            amount=amount,
            currency="EUR",
            payment_method=method,
        )
        user.purchases += 1
        user.spent += amount

    def _track(self, name: str, user: _User, time: int, day: int, **more: Any) -> None:
        self._number += 1
        user.last_seen = max(user.last_seen, time)
        properties = {
            "platform": user.platform,
            "country": user.country,
            "plan": user.plan,
            "app_version": APP_VERSIONS[day >= self._release],
            **more,
        }
        event = Event(
            event=name,
            distinct_id=user.distinct_id,
            time=time,
            insert_id=f"demo-{self._number:06d}",
            processed=time + SECOND,
            properties=json.dumps(properties, separators=(",", ":")),
        )
        self._events.append(event)

    def _pick(self, weights: dict[str, int]) -> str:
        number = self._random.randrange(sum(weights.values()))
        for value, weight in weights.items():
            number -= weight
            if number < 0:
                return value
        return next(iter(weights))

    def _saved(self, users: list[_User]) -> dict[Saved, list[dict[str, Any]]]:
        return {
            "funnel": [
                _funnel(FUNNEL_PURCHASE, [ITEM_VIEWED, CHECKOUT_STARTED, PURCHASE_COMPLETED], 1),
                _funnel(FUNNEL_ACTIVATION, [SIGN_UP, ITEM_VIEWED, PURCHASE_COMPLETED], 14),
            ],
            "insights": [
                {
                    "name": INSIGHTS_PURCHASES,
                    "events": [{"event": PURCHASE_COMPLETED, "math": "total"}],
                    "breakdown": "platform",
                    "unit": "day",
                    "chart": "line",
                    "from_date": self._day(self._end - 30 * DAY),
                    "to_date": self._day(self._end - DAY),
                }
            ],
            "cohort": [
                self._cohort(COHORT_PRO, [u.distinct_id for u in users if u.plan == "pro"]),
                self._cohort(COHORT_BUYERS, [u.distinct_id for u in users if u.purchases]),
            ],
            "pipeline": self._pipelines(),
        }

    def _cohort(self, name: str, distinct_ids: list[str]) -> dict[str, Any]:
        created = f"{moment(self._end - 20 * DAY):%Y-%m-%d} 09:30:00"
        return {"name": name, "distinct_ids": distinct_ids, "created": created}

    def _pipelines(self) -> list[dict[str, Any]]:
        """One hourly, one of people, one that has ended: a daily one can still be made."""
        common: dict[str, Any] = {"trial": False, "events": [], "where": None, "to_date": None}
        return [
            {
                **common,
                "name": "events-hourly-gcs-raw",
                "type": "gcs-raw",
                "data_source": "events",
                "data_format": "json",
                "sync": False,
                "frequency": "hourly",
                "from_date": self._day(self._end - 5 * DAY),
                "created": self._end - 5 * DAY + 9 * HOUR,
                "destination": {"gcs_bucket": "shop-events", "gcs_region": "europe-west3"},
            },
            {
                **common,
                "name": "people-daily-bigquery-monoschema",
                "type": "bigquery",
                "data_source": "people",
                "data_format": "json",
                "sync": True,
                "schema_type": "monoschema",
                "frequency": "daily",
                "from_date": self._day(self._end - 30 * DAY),
                "created": self._end - 30 * DAY + 9 * HOUR,
                "retried": [self._day(self._end - 11 * DAY)],
                "destination": {
                    "bq_region": "EU",
                    "gcp_project": "shop-warehouse",
                    "bq_dataset_name": "mixpanel",
                },
            },
            {
                **common,
                "name": "events-backfill-s3-raw",
                "type": "s3-raw",
                "data_source": "events",
                "data_format": "json",
                "sync": False,
                "frequency": "daily",
                "events": [PURCHASE_COMPLETED],
                "from_date": self._day(self._end - 45 * DAY),
                "to_date": self._day(self._end - 31 * DAY),
                "created": self._end - 30 * DAY,
                "destination": {
                    "s3_bucket": "shop-archive",
                    "s3_region": "eu-central-1",
                    "s3_role": "arn:aws:iam::000000000000:role/mixpanel-export",
                },
            },
        ]

    def _day(self, time: int) -> str:
        return moment(time).date().isoformat()


def _funnel(name: str, events: list[str], days: int) -> dict[str, Any]:
    steps = [{"event": event} for event in events]
    return {"name": name, "steps": steps, "length": days, "length_unit": "day"}


def _profile(user: _User) -> Properties:
    time_format = "%Y-%m-%dT%H:%M:%S"
    return {
        "$name": user.name,
        "$email": f"{user.distinct_id}@example.com",
        "$created": moment(user.created).strftime(time_format),
        "$last_seen": moment(user.last_seen).strftime(time_format),
        "$country_code": user.country,
        "plan": user.plan,
        "platform": user.platform,
        "purchases": user.purchases,
        "total_spent": user.spent,
    }
