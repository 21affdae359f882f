"""The profile query: selecting, paging, cohorts, and saying what is not computed."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from sandbox_client import PROJECT_ID, update

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
    "form",
    [
        {"where": 'properties["n"] > 2'},
        {"selector": 'properties["name"] == "a) or (b"'},
        {
            "behaviors": '[{"window": "90d", "name": "b", "event_selectors": [{"event": "E"}]}]',
            "where": 'behaviors["b"] > 0',
        },
        {"filter_by_cohort": '{"id": 5001}'},
    ],
)
async def test_what_is_not_computed_says_so(empty: SandboxClient, form: dict[str, str]) -> None:
    await empty.control("cohorts", {"name": "Many", "where": 'properties["n"] > 2'})

    answer = await empty.query_profiles(**form)

    assert answer.status_code == 501
    assert answer.json()["error"].startswith("The sandbox does not compute ")


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
