"""The demo project tells the story that its truth promises, to whoever exports it and counts."""

from __future__ import annotations

import asyncio
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from itertools import pairwise
from statistics import mean
from typing import Any

import httpx
import pytest
from sandbox_client import TODAY, SandboxClient

from mixpanel_mcp.sandbox import create_app
from mixpanel_mcp.sandbox.clock import DAY, midnight, moment
from mixpanel_mcp.sandbox.demo import demo_project, truth

Events = list[dict[str, Any]]


@dataclass
class Told:
    """What the sandbox hands out of its demo project."""

    events: Events
    profiles: dict[str, dict[str, Any]]
    by_name: dict[str, Events] = field(default_factory=lambda: defaultdict(list))

    def named(self, name: str) -> Events:
        return self.by_name[name]


@pytest.fixture(scope="module")
def told() -> Told:
    return asyncio.run(_ask())


async def _ask() -> Told:
    app = create_app(today=lambda: TODAY)
    app.state.project.open()
    transport = httpx.ASGITransport(app=app)
    async with SandboxClient(transport=transport, base_url="http://127.0.0.1") as client:
        told = Told(await client.exported(time_in_ms="true"), await _all_profiles(client))
    app.state.project.close()
    for event in told.events:
        told.by_name[event["event"]].append(event["properties"])
    return told


async def _all_profiles(client: SandboxClient) -> dict[str, dict[str, Any]]:
    profiles: dict[str, dict[str, Any]] = {}
    form: dict[str, str] = {}
    while True:
        page = (await client.query_profiles(**form)).json()
        profiles |= {each["$distinct_id"]: each["$properties"] for each in page["results"]}
        if len(page["results"]) < page["page_size"]:
            return profiles
        form = {"session_id": page["session_id"], "page": str(page["page"] + 1)}


def day_of(properties: dict[str, Any]) -> date:
    return moment(properties["time"]).date()


def test_it_is_the_same_on_every_start_and_moves_with_the_day() -> None:
    here, there = demo_project(TODAY), demo_project(TODAY + timedelta(days=1))

    assert demo_project(TODAY) == here
    assert there.events[-1].time > here.events[-1].time


def test_it_is_big_enough_to_be_asked(told: Told) -> None:
    assert 55_000 < len(told.events) < 65_000
    assert len({event["properties"]["distinct_id"] for event in told.events}) == truth.USERS
    assert len(told.profiles) == truth.USERS
    ids = {event["properties"]["$insert_id"] for event in told.events}
    assert len(ids) == len(told.events)


def test_it_ends_yesterday(told: Told) -> None:
    days = {day_of(event["properties"]) for event in told.events}

    assert days == {truth.first_day(TODAY) + timedelta(days=n) for n in range(truth.DAYS)}
    assert max(days) == truth.last_day(TODAY) == TODAY - timedelta(days=1)


@pytest.mark.parametrize("today", [date(2026, 3, 10), date(2026, 3, 14), date(2027, 1, 1)])
def test_one_platforms_purchases_fell_on_the_day_of_the_release(today: date) -> None:
    checkouts: Counter[tuple[str, date]] = Counter()
    purchases: Counter[tuple[str, date]] = Counter()
    for event in demo_project(today).events:
        counts = {truth.CHECKOUT_STARTED: checkouts, truth.PURCHASE_COMPLETED: purchases}
        if event.event in counts:
            platform = next(name for name in truth.PLATFORMS if f'"{name}"' in event.properties)
            counts[event.event][platform, moment(event.time).date()] += 1

    fell: dict[str, date] = {}
    for platform in truth.PLATFORMS:
        rates = [
            purchases[platform, day] / checkouts[platform, day]
            for day in (truth.first_day(today) + timedelta(days=n) for n in range(truth.DAYS))
        ]
        # The day that parts the days before from the days after by the largest step.
        step, number = max((mean(rates[:n]) - mean(rates[n:]), n) for n in range(7, truth.DAYS - 6))
        if step > 0.2:
            fell[platform] = truth.first_day(today) + timedelta(days=number)

    assert fell == {truth.RELEASE_PLATFORM: truth.release_day(today)}


def test_purchases_follow_checkouts_as_often_as_the_truth_says(told: Told) -> None:
    counts = {
        name: Counter((each["platform"], each["app_version"]) for each in told.named(name))
        for name in (truth.CHECKOUT_STARTED, truth.PURCHASE_COMPLETED)
    }
    before, since = truth.APP_VERSIONS
    for platform in truth.PLATFORMS:
        for version in truth.APP_VERSIONS:
            key = platform, version
            rate = counts[truth.PURCHASE_COMPLETED][key] / counts[truth.CHECKOUT_STARTED][key]
            is_broken = (platform, version) == (truth.RELEASE_PLATFORM, since)
            expected = (
                truth.CHANCE_TO_PURCHASE_SINCE_RELEASE if is_broken else truth.CHANCE_TO_PURCHASE
            )
            assert rate == pytest.approx(expected, abs=0.05)
    assert before != since


def test_the_release_is_a_version_from_one_day_on(told: Told) -> None:
    days: dict[str, set[date]] = defaultdict(set)
    for event in told.events:
        days[event["properties"]["app_version"]].add(day_of(event["properties"]))

    before, since = (days[version] for version in truth.APP_VERSIONS)
    assert max(before) < min(since) == truth.release_day(TODAY)


def test_each_step_of_the_funnels_loses_people(told: Told) -> None:
    for steps, _ in truth.FUNNELS.values():
        people = [{each["distinct_id"] for each in told.named(step)} for step in steps[-3:]]
        assert all(later < earlier for earlier, later in pairwise(people))
        assert len(people[-1]) > 500


def test_the_week_has_a_rhythm(told: Told) -> None:
    openings = told.named(truth.APP_OPENED)
    by_weekday = Counter(day_of(each).weekday() for each in openings)
    weeks = Counter(
        (truth.first_day(TODAY) + timedelta(days=n)).weekday() for n in range(truth.DAYS)
    )
    per_day = [by_weekday[day] / weeks[day] for day in range(7)]

    # Openings with a sign-up know no weekdays, so the factors come out flattened.
    for day, factor in enumerate(truth.WEEKDAY_FACTOR):
        assert (per_day[day] > mean(per_day)) == (factor >= 1.0)
    assert max(per_day[5:]) < 0.8 * min(per_day[:5])


def test_one_plan_stays(told: Told) -> None:
    came = {(each["properties"]["distinct_id"], day_of(each["properties"])) for each in told.events}
    signed_up = {each["distinct_id"]: day_of(each) for each in told.named(truth.SIGN_UP)}

    def back_after(days: int, plan: str) -> float:
        old_enough = [
            (name, day + timedelta(days=days))
            for name, day in signed_up.items()
            if told.profiles[name]["plan"] == plan
            and day + timedelta(days=days) <= truth.last_day(TODAY)
        ]
        return len(came.intersection(old_enough)) / len(old_enough)

    for plan in truth.PLANS:
        for first in (1, 15, 29):
            week = range(first, first + 7)
            expected = mean(
                truth.CHANCE_TO_COME[plan] * truth.STAY[plan] ** (day - 1) for day in week
            )
            found = mean(back_after(day, plan) for day in week)
            assert found == pytest.approx(expected, abs=0.04)
    assert mean(back_after(day, "pro") for day in range(29, 36)) > 3 * mean(
        back_after(day, "free") for day in range(29, 36)
    )


def test_one_name_is_dirty_on_one_platform(told: Told) -> None:
    names = {event["event"] for event in told.events}
    assert {name for name in names if name != name.strip()} == {truth.DIRTY_EVENT}
    assert truth.DIRTY_EVENT.strip() == truth.APP_OPENED

    dirty, clean = told.named(truth.DIRTY_EVENT), told.named(truth.APP_OPENED)
    assert {each["platform"] for each in dirty} == {truth.DIRTY_PLATFORM}
    of_platform = [each for each in clean if each["platform"] == truth.DIRTY_PLATFORM]
    share = len(dirty) / (len(dirty) + len(of_platform))
    assert share == pytest.approx(truth.DIRTY_SHARE, abs=0.02)


def test_profiles_agree_with_their_events(told: Told) -> None:
    purchases: Counter[str] = Counter()
    spent: Counter[str] = Counter()
    last: dict[str, int] = {}
    for properties in (event["properties"] for event in told.events):
        name = properties["distinct_id"]
        profile = told.profiles[name]
        assert profile["plan"] == properties["plan"]
        assert profile["platform"] == properties["platform"]
        assert profile["$country_code"] == properties["country"]
        last[name] = max(last.get(name, 0), properties["time"])
    for properties in told.named(truth.PURCHASE_COMPLETED):
        purchases[properties["distinct_id"]] += 1
        spent[properties["distinct_id"]] += properties["amount"]

    created = {each["distinct_id"]: each["time"] for each in told.named(truth.SIGN_UP)}
    for name, profile in told.profiles.items():
        assert profile["purchases"] == purchases[name]
        assert profile["total_spent"] == spent[name]
        assert profile["$last_seen"] == f"{moment(last[name]):%Y-%m-%dT%H:%M:%S}"
        signed_up = datetime.fromisoformat(f"{profile['$created']}+00:00")
        assert created.get(name, signed_up.timestamp() * 1000) == signed_up.timestamp() * 1000


def test_new_users_are_the_share_that_the_truth_says(told: Told) -> None:
    signed_up = {each["distinct_id"] for each in told.named(truth.SIGN_UP)}

    assert len(signed_up) / truth.USERS == pytest.approx(truth.NEW_USERS_SHARE, abs=0.03)
    assert min(each["time"] for each in told.named(truth.SIGN_UP)) < (
        midnight(truth.first_day(TODAY)) + DAY
    )


def test_saved_things_are_what_they_are_called() -> None:
    project = demo_project(TODAY)
    assert {kind: len(bodies) for kind, bodies in project.saved.items()} == {
        "funnel": 2,
        "insights": 1,
        "cohort": 2,
        "pipeline": 3,
    }
    pro, buyers = (set(cohort["distinct_ids"]) for cohort in project.saved["cohort"])
    assert pro == {name for name, each in project.profiles.items() if each["plan"] == "pro"}
    assert buyers == {name for name, each in project.profiles.items() if each["purchases"]}
