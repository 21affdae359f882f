"""The profile query: selecting, paging, cohorts, behaviors."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from sandbox_client import NOON, PROJECT_ID, TOKEN, acted, update

if TYPE_CHECKING:
    from sandbox_client import SandboxClient

PROJECT = {"project_id": str(PROJECT_ID)}


async def some_profiles(client: SandboxClient) -> None:
    await client.engage(
        *(update(name, set={"$name": name.title(), "n": len(name)}) for name in ("ada", "ben"))
    )


async def test_output_properties_hide_the_rest(empty: SandboxClient) -> None:
    await some_profiles(empty)

    profiles = await empty.profiles(output_properties='["n", "unknown"]')
    assert profiles == {"ada": {"n": 3}, "ben": {"n": 3}}


@pytest.mark.parametrize(
    ("form", "found"),
    [
        ({"distinct_id": "ada"}, {"ada"}),
        ({"distinct_ids": '["ben", "nobody"]'}, {"ben"}),
        ({"distinct_ids": "[]"}, set[str]()),
        ({"distinct_ids": ""}, {"ada", "ben"}),
        ({"include_all_users": "false"}, {"ada", "ben"}),
    ],
)
async def test_profiles_are_selected(
    empty: SandboxClient, form: dict[str, str], found: set[str]
) -> None:
    await some_profiles(empty)

    assert set(await empty.profiles(**form)) == found


async def test_pages_need_the_session_and_the_same_question(empty: SandboxClient) -> None:
    for start in (0, 2_000):
        await empty.engage(*(update(f"user-{start + n:04d}", set={"n": n}) for n in range(1_050)))

    first = (await empty.query_profiles()).json()
    session = first["session_id"]
    await empty.engage(update("aaa", set={"late": True}))
    pages = [first] + [
        (await empty.query_profiles(page=page, session_id=session)).json() for page in "123"
    ]

    assert [len(page["results"]) for page in pages] == [1000, 1000, 100, 0]
    assert {page["total"] for page in pages} == {2_100}
    assert {page["page_size"] for page in pages} == {1_000}
    ids = [each["$distinct_id"] for page in pages for each in page["results"]]
    assert len(set(ids)) == 2_100

    changed = await empty.query_profiles(page="1", session_id=session, distinct_id="ada")
    assert changed.status_code == 400
    assert changed.json()["error"] == "request for page in uncached query for params"


@pytest.mark.parametrize(
    "form",
    [
        {"page": "1"},
        {"page": "-1"},
        {"page": "one"},
        {"page": "1", "session_id": "1234567890-EXAMPL"},
        {"session_id": "1234567890-EXAMPL"},
        {"distinct_id": "ada", "distinct_ids": '["ben"]'},
        {"distinct_ids": "ada"},
        {"distinct_ids": "[1]"},
        {"output_properties": "$email"},
        {"behaviors": "{}"},
        {"behaviors": '["event"]'},
        {"behaviors": "[", "where": "true"},
        {"behaviors": '[{"window": "90d", "name": "b", "event_selectors": []}]'},
        {"behaviors": '[{"window": "soon", "name": "b", "event_selectors": [{"event": "E"}]}]'},
        {"behaviors": '[{"window": "90d", "name": "b", "event_selectors": [{"event": 5}]}]'},
        {
            "behaviors": '[{"window": "90d", "name": "b", "event_selectors":'
            ' [{"event": "E", "selector": "("}]}]'
        },
        {"filter_by_cohort": "5001"},
        {"filter_by_cohort": '{"id": 99}'},
        {"filter_by_cohort": '{"id": 5001}', "behaviors": "[]"},
        {"include_all_users": "maybe"},
        {"as_of_timestamp": "today"},
        {"workspace_id": "main"},
        {"where": 'properties["n"'},
        {"where": 'properties["n] == 1'},
        {"where": "(true))"},
    ],
)
async def test_malformed_questions_are_refused(empty: SandboxClient, form: dict[str, str]) -> None:
    await empty.control("cohorts", {"name": "Few", "distinct_ids": ["ada"]})

    answer = await empty.query_profiles(**form)

    assert answer.status_code == 400, answer.text
    assert answer.json()["status"] == "error"
    assert answer.json()["request"].startswith("/api/query/engage?project_id=")


async def test_a_cohort_shows_ids_without_profiles_unless_told_not_to(
    empty: SandboxClient,
) -> None:
    await some_profiles(empty)
    cohort = await empty.control("cohorts", {"name": "C", "distinct_ids": ["ben", "ghost"]})
    form = {"filter_by_cohort": json.dumps(cohort)}

    everyone = (await empty.query_profiles(**form)).json()["results"]
    profiled = await empty.profiles(**form, include_all_users="false")

    assert [each["$distinct_id"] for each in everyone] == ["ben", "ghost"]
    assert "$properties" not in everyone[1]
    assert set(profiled) == {"ben"}


@pytest.mark.parametrize(
    ("form", "found"),
    [
        ({"where": 'properties["n"] > 2 and properties["$name"] == "Ada"'}, {"ada"}),
        ({"where": 'not defined(properties["missing"])'}, {"ada", "ben", "carla"}),
        ({"where": '"arl" in user["$name"]'}, {"carla"}),
        ({"selector": 'properties["$name"] == "a) or (b"'}, set[str]()),
        ({"where": 'properties["n"] == 3', "distinct_ids": '["ben", "carla"]'}, {"ben"}),
        ({"where": 'properties["n"] > "2"'}, set[str]()),
    ],
)
async def test_where_selects_profiles(
    empty: SandboxClient, form: dict[str, str], found: set[str]
) -> None:
    await some_profiles(empty)
    await empty.engage(update("carla", set={"$name": "Carla", "n": 5}))

    assert set(await empty.profiles(**form)) == found


async def test_behaviors_count_what_users_did(empty: SandboxClient) -> None:
    await some_profiles(empty)
    await empty.import_events(
        acted("Song played", "ada", "2026-03-08", "10:00:00", genre="jazz"),
        acted("Song played", "ada", "2026-03-09", "10:00:00", genre="rock"),
        acted("Song played", "ben", "2026-03-01", "10:00:00", genre="jazz"),
        acted("Song played", "nobody", "2026-03-09", "10:00:00", genre="jazz"),
    )

    async def found(where: str, window: str = "7d", **selector: str) -> set[str]:
        selectors = [{"event": "Song played", **selector}]
        behaviors = [{"window": window, "name": "played", "event_selectors": selectors}]
        return set(await empty.profiles(where=where, behaviors=json.dumps(behaviors)))

    assert await found('behaviors["played"] > 0') == {"ada"}
    assert await found('behaviors["played"] > 0', window="90d") == {"ada", "ben"}
    assert await found('behaviors["played"] == 0') == {"ben"}
    assert await found('behaviors["played"] > 1') == {"ada"}
    assert await found('behaviors["played"] > 1', selector='properties["genre"] == "jazz"') == set()


async def test_behaviors_are_paged_as_of_one_moment(empty: SandboxClient) -> None:
    """Without a moment of its own the next page asks of another now, and is refused."""
    await empty.engage(*(update(f"user-{n:04d}", set={"n": n}) for n in range(1_001)))
    behaviors = [{"window": "7d", "name": "b", "event_selectors": [{"event": "E"}]}]
    form = {"behaviors": json.dumps(behaviors), "where": 'behaviors["b"] == 0'}
    moments = {"as_of_timestamp": str(NOON)}

    first = (await empty.query_profiles(**form, **moments)).json()
    page = {"page": "1", "session_id": first["session_id"]}
    second = await empty.query_profiles(**form, **moments, **page)
    careless = await empty.query_profiles(**form, **page)

    assert (first["total"], len(second.json()["results"])) == (1_001, 1)
    assert careless.status_code == 400
    assert "uncached query" in careless.json()["error"]


async def test_where_selects_groups_too(empty: SandboxClient) -> None:
    companies = [
        {"$token": TOKEN, "$group_key": "company", "$group_id": name, "$set": {"seats": seats}}
        for name, seats in (("Acme", 5), ("Duck", 50))
    ]
    await empty.post("/groups", json=companies)
    group = (await empty.control("groups", {"group_key": "company"}))["data_group_id"]

    found = await empty.profiles(data_group_id=group, where='properties["seats"] > 10')

    assert found == {"Duck": {"seats": 50}}


async def test_other_encodings_in_use_are_understood(empty: SandboxClient) -> None:
    await some_profiles(empty)
    path = "/api/2.0/engage"

    answers = [
        await empty.get(path, params={**PROJECT, "distinct_ids": '["ada"]'}),
        await empty.post(path, data={**PROJECT, "distinct_ids": '["ada"]'}),
        await empty.post(path, params=PROJECT, json={"distinct_ids": ["ada"]}),
        await empty.post(path, params=PROJECT, json={"distinct_ids": '["ada"]', "page": 0}),
    ]

    for answer in answers:
        assert [each["$distinct_id"] for each in answer.json()["results"]] == ["ada"]


@pytest.mark.parametrize(
    ("auth", "project_id", "status", "error"),
    [
        (("sandbox", "wrong"), str(PROJECT_ID), 401, "Unable to authenticate request"),
        (("sandbox-token-0123456789abcdef0123", ""), None, 401, "Unable to authenticate request"),
        (("sandbox", "sandbox-secret"), None, 400, "project_id is required"),
        (("sandbox", "sandbox-secret"), "mine", 400, "project_id must be an integer"),
        (("sandbox", "sandbox-secret"), "42", 403, "has no access to project 42"),
    ],
)
async def test_credentials_are_checked(
    empty: SandboxClient, auth: tuple[str, str], project_id: str | None, status: int, error: str
) -> None:
    params = {} if project_id is None else {"project_id": project_id}
    answer = await empty.post("/api/query/engage", params=params, auth=auth)

    assert answer.status_code == status
    assert error in answer.json()["error"]
