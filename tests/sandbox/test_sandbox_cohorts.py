"""Saved cohorts: their sizes, and the profiles of their members."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from sandbox_client import PROJECT_ID, update

from mixpanel_mcp.sandbox.demo import truth

if TYPE_CHECKING:
    from sandbox_client import SandboxClient


async def listed(client: SandboxClient) -> list[dict[str, Any]]:
    answer = await client.post("/api/query/cohorts/list", params={"project_id": PROJECT_ID})
    assert answer.status_code == 200, answer.text
    return answer.json()


async def some_profiles(client: SandboxClient) -> None:
    await client.engage(*(update(name, set={"n": len(name)}) for name in ("ada", "ben", "carla")))


async def test_cohorts_are_listed_with_their_sizes(empty: SandboxClient) -> None:
    await some_profiles(empty)
    few = await empty.control("cohorts", {"name": "Few", "distinct_ids": ["ada", "x", "ada"]})
    many = await empty.control("cohorts", {"name": "Many", "where": 'properties["n"] == 3'})

    first, second = await listed(empty)

    assert first.pop("created").startswith("2026-03-10 ")
    assert first == {
        **few,
        "name": "Few",
        "count": 2,
        "description": "",
        "is_visible": 1,
        "project_id": PROJECT_ID,
    }
    assert (second["id"], second["count"]) == (many["id"], 2)


async def test_a_cohort_by_condition_follows_its_profiles(empty: SandboxClient) -> None:
    await some_profiles(empty)
    cohort = await empty.control("cohorts", {"name": "Short", "where": 'properties["n"] == 3'})
    form = {"filter_by_cohort": f'{{"id": {cohort["id"]}}}'}
    assert set(await empty.profiles(**form)) == {"ada", "ben"}

    await empty.engage(update("ben", set={"n": 9}))

    assert set(await empty.profiles(**form)) == {"ada"}
    assert set(await empty.profiles(**form, where='properties["n"] > 5')) == set()


async def test_the_demo_cohorts_have_the_size_of_their_conditions(demo: SandboxClient) -> None:
    sizes = {each["name"]: each["count"] for each in await listed(demo)}
    pro = (await demo.query_profiles(where='properties["plan"] == "pro"')).json()
    buyers = (await demo.query_profiles(where='properties["purchases"] > 0')).json()

    assert sizes == {truth.COHORT_PRO: pro["total"], truth.COHORT_BUYERS: buyers["total"]}


@pytest.mark.parametrize("where", ["properties[", "5"])
async def test_a_cohort_is_not_saved_with_a_condition_that_is_none(
    empty: SandboxClient, where: str
) -> None:
    answer = await empty.post("/sandbox/cohorts", json={"name": "Bad", "where": where})

    assert answer.status_code == 400
    assert "at column" in answer.json()["error"]
