"""Who comes to the demo's shop, and what they do there. The rates stand in `truth`."""

from __future__ import annotations

import json
from dataclasses import dataclass
from random import Random
from typing import TYPE_CHECKING, Any

from mixpanel_mcp.analytics.events import Event
from mixpanel_mcp.sandbox.clock import DAY, HOUR, MINUTE, SECOND, midnight, moment
from mixpanel_mcp.sandbox.demo import truth

if TYPE_CHECKING:
    from datetime import date

    from mixpanel_mcp.analytics.profiles import Properties

_FIRST_NAMES = ("Ada", "Ben", "Carla", "Deniz", "Emil", "Fumiko", "Grace", "Hugo", "Ines", "Jonas")
_LAST_NAMES = ("Abreu", "Brandt", "Castro", "Dogan", "Endo", "Fischer", "Gupta", "Hansen", "Ito")
_ITEMS = tuple(truth.ITEMS)


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

    def profile(self) -> Properties:
        time_format = "%Y-%m-%dT%H:%M:%S"
        return {
            "$name": self.name,
            "$email": f"{self.distinct_id}@example.com",
            "$created": moment(self.created).strftime(time_format),
            "$last_seen": moment(self.last_seen).strftime(time_format),
            "$country_code": self.country,
            "plan": self.plan,
            "platform": self.platform,
            "purchases": self.purchases,
            "total_spent": self.spent,
        }


def told(today: date) -> tuple[list[Event], dict[str, Properties]]:
    """Return the events in the order of their times, and the profile of each user."""
    shop = _Shop(today)
    users = [shop.user(number) for number in range(truth.USERS)]
    for user in users:
        shop.live(user)
    shop.events.sort(key=lambda event: (event.time, event.insert_id))
    return shop.events, {user.distinct_id: user.profile() for user in users}


class _Shop:
    def __init__(self, today: date) -> None:
        # One kind of draw only: it is the fastest, and the same in every version of Python.
        self._draw = Random(truth.SEED).random  # noqa: S311  # a story, not a secret
        self._start = midnight(truth.first_day(today))
        self._first_weekday = truth.first_day(today).weekday()
        self._release = (truth.release_day(today) - truth.first_day(today)).days
        self._details: dict[tuple[tuple[str, Any], ...], str] = {}
        self.events: list[Event] = []

    def user(self, number: int) -> _User:
        is_new = self._draw() < truth.NEW_USERS_SHARE
        signed_up = self._number(0, truth.DAYS) if is_new else -self._number(1, 91)
        created = self._start + signed_up * DAY + self._seconds(7 * HOUR, 22 * HOUR)
        first, last = self._one_of(_FIRST_NAMES), self._one_of(_LAST_NAMES)
        return _User(
            distinct_id=f"user-{number + 1:04d}",
            name=f"{first} {last}",
            platform=self._pick(truth.PLATFORMS),
            country=self._pick(truth.COUNTRIES),
            plan=self._pick(truth.PLANS),
            signed_up=signed_up,
            created=created,
            last_seen=created,
        )

    def live(self, user: _User) -> None:
        chance = truth.CHANCE_TO_COME[user.plan]
        if user.signed_up >= 0:
            self._visit(user, user.created - MINUTE, user.signed_up)
            self._track(truth.SIGN_UP, user, user.created, user.signed_up)
        # Who was there before comes once for certain: a user without an event is no user.
        sure = self._number(0, truth.DAYS) if user.signed_up < 0 else None
        for day in range(max(user.signed_up + 1, 0), truth.DAYS):
            weekday = (self._first_weekday + day) % 7
            if day == sure or self._draw() < chance * truth.WEEKDAY_FACTOR[weekday]:
                time = self._start + day * DAY + self._seconds(6 * HOUR, 22 * HOUR)
                self._visit(user, time, day)
            chance *= truth.STAY[user.plan]

    def _visit(self, user: _User, time: int, day: int) -> None:
        self._track(self._opening(user), user, time, day)
        # Room for the sign-up, which follows the first opening by a minute.
        time += MINUTE
        while self._draw() < truth.CHANCE_TO_VIEW:
            time += self._seconds(10 * SECOND, 2 * MINUTE)
            item = self._one_of(_ITEMS)
            self._track(truth.ITEM_VIEWED, user, time, day, item=item, price=truth.ITEMS[item])
            if self._draw() < truth.CHANCE_TO_CHECK_OUT:
                self._check_out(user, time, day, item)
                return

    def _opening(self, user: _User) -> str:
        is_dirty = user.platform == truth.DIRTY_PLATFORM and self._draw() < truth.DIRTY_SHARE
        return truth.DIRTY_EVENT if is_dirty else truth.APP_OPENED

    def _check_out(self, user: _User, time: int, day: int, item: str) -> None:
        time += self._seconds(20 * SECOND, 3 * MINUTE)
        quantity = self._number(1, 4)
        amount = truth.ITEMS[item] * quantity
        self._track(truth.CHECKOUT_STARTED, user, time, day, item=item, amount=amount)
        is_broken = day >= self._release and user.platform == truth.RELEASE_PLATFORM
        chance = truth.CHANCE_TO_PURCHASE
        if self._draw() >= (truth.CHANCE_TO_PURCHASE_SINCE_RELEASE if is_broken else chance):
            return
        time += self._seconds(30 * SECOND, 4 * MINUTE)
        self._track(
            truth.PURCHASE_COMPLETED,
            user,
            time,
            day,
            item=item,
            quantity=quantity,
            amount=amount,
            currency=truth.CURRENCY,
            payment_method=self._pick(truth.PAYMENT_METHODS),
        )
        user.purchases += 1
        user.spent += amount

    def _track(self, name: str, user: _User, time: int, day: int, **details: Any) -> None:
        user.last_seen = max(user.last_seen, time)
        event = Event(
            event=name,
            distinct_id=user.distinct_id,
            time=time,
            insert_id=f"demo-{len(self.events):06d}",
            processed=time + SECOND,
            properties=self._properties(user, day, tuple(details.items())),
        )
        self.events.append(event)

    def _properties(self, user: _User, day: int, details: tuple[tuple[str, Any], ...]) -> str:
        version = truth.APP_VERSIONS[day >= self._release]
        common = ("platform", user.platform), ("country", user.country), ("plan", user.plan)
        properties = (*common, ("app_version", version), *details)
        # The same few thousand texts again and again: writing each once halves the time.
        text = self._details.get(properties)
        if text is None:
            text = json.dumps(dict(properties), separators=(",", ":"))
            self._details[properties] = text
        return text

    def _number(self, least: int, below: int) -> int:
        return least + int(self._draw() * (below - least))

    def _seconds(self, least: int, below: int) -> int:
        """Draw a time in milliseconds that is a whole number of seconds."""
        return self._number(least // SECOND, below // SECOND) * SECOND

    def _one_of(self, choices: tuple[str, ...]) -> str:
        return choices[int(self._draw() * len(choices))]

    def _pick(self, percent: dict[str, int]) -> str:
        number = self._draw() * 100
        for value, share in percent.items():
            number -= share
            if number < 0:
                return value
        return next(iter(percent))
