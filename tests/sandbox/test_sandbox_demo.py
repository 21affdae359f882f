"""The demo project: the same on every start, and it agrees with itself."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from datetime import date, timedelta
from functools import cache
from typing import Any

import pytest

from mixpanel_mcp.sandbox import demo
from mixpanel_mcp.sandbox.clock import DAY, moment
from mixpanel_mcp.sandbox.demo import DemoProject, demo_project

TODAY = date(2026, 3, 10)


@cache
def project() -> DemoProject:
    return demo_project(TODAY)


@cache
def properties() -> list[dict[str, Any]]:
    return [json.loads(event.properties) for event in project().events]


def test_it_is_the_same_on_every_start() -> None:
    assert demo_project(TODAY) == project()
    assert demo_project(TODAY + timedelta(days=1)) != project()


def test_it_has_the_promised_size() -> None:
    assert 19_000 < len(project().events) < 21_000
    assert len({event.event for event in project().events}) == 5
    assert len({event.distinct_id for event in project().events}) == 1_000
    assert len(project().profiles) == 1_000
    assert {kind: len(bodies) for kind, bodies in project().saved.items()} == {
        "funnel": 2,
        "insights": 1,
        "cohort": 2,
        "pipeline": 3,
    }


def test_it_spans_sixty_days_and_ends_yesterday() -> None:
    days = {moment(event.time).date() for event in project().events}

    assert days == {TODAY - timedelta(days=n) for n in range(1, 61)}
    assert len({event.insert_id for event in project().events}) == len(project().events)


def test_profiles_agree_with_their_events() -> None:
    purchases: Counter[str] = Counter()
    spent: Counter[str] = Counter()
    last: dict[str, int] = {}
    for event, values in zip(project().events, properties(), strict=True):
        profile = project().profiles[event.distinct_id]
        assert (profile["plan"], profile["platform"]) == (values["plan"], values["platform"])
        last[event.distinct_id] = max(last.get(event.distinct_id, 0), event.time)
        if event.event == demo.PURCHASE_COMPLETED:
            purchases[event.distinct_id] += 1
            spent[event.distinct_id] += values["amount"]

    for distinct_id, profile in project().profiles.items():
        assert profile["purchases"] == purchases[distinct_id]
        assert profile["total_spent"] == spent[distinct_id]
        assert profile["$last_seen"] == f"{moment(last[distinct_id]):%Y-%m-%dT%H:%M:%S}"


def test_cohorts_are_what_they_are_called() -> None:
    pro, buyers = (set(cohort["distinct_ids"]) for cohort in project().saved["cohort"])

    profiles = project().profiles
    assert pro == {name for name, profile in profiles.items() if profile["plan"] == "pro"}
    assert buyers == {name for name, profile in profiles.items() if profile["purchases"]}


def test_one_platform_stopped_buying_after_the_release() -> None:
    counts: Counter[tuple[str, str, str]] = Counter()
    for event, values in zip(project().events, properties(), strict=True):
        counts[values["platform"], values["app_version"], event.event] += 1

    def conversion(platform: str, version: str) -> float:
        return (
            counts[platform, version, demo.PURCHASE_COMPLETED]
            / counts[platform, version, demo.CHECKOUT_STARTED]
        )

    before, since = demo.APP_VERSIONS
    for platform in demo.PLATFORMS:
        fell = conversion(platform, before) - conversion(platform, since) > 0.25
        assert fell == (platform == demo.RELEASE_PLATFORM)


def test_weekends_are_quiet() -> None:
    by_weekday = Counter(moment(event.time).weekday() for event in project().events)

    assert max(by_weekday[5], by_weekday[6]) < min(by_weekday[day] for day in range(5))


@pytest.mark.parametrize("days", [7, 21])
def test_who_pays_stays(days: int) -> None:
    came: dict[str, set[int]] = defaultdict(set)
    signed_up: dict[str, int] = {}
    for event in project().events:
        came[event.distinct_id].add(event.time)
        if event.event == demo.SIGN_UP:
            signed_up[event.distinct_id] = event.time

    def still_there(plan: str) -> float:
        users = [name for name in signed_up if project().profiles[name]["plan"] == plan]
        back = [name for name in users if any(t > signed_up[name] + days * DAY for t in came[name])]
        return len(back) / len(users)

    assert still_there("pro") > still_there("free") + 0.05
