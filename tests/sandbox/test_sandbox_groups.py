"""`/groups`: the verbs, what they refuse, and how group profiles are read again."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from sandbox_client import TOKEN, update

if TYPE_CHECKING:
    from sandbox_client import SandboxClient


def company(group_id: str = "Acme", /, **verbs: Any) -> dict[str, Any]:
    operations = {f"${name}": value for name, value in verbs.items()}
    return {"$token": TOKEN, "$group_key": "company", "$group_id": group_id, **operations}


async def data_group_id(client: SandboxClient, key: str = "company") -> str:
    return (await client.control("groups", {"group_key": key}))["data_group_id"]


async def companies(client: SandboxClient, **form: str) -> dict[str, dict[str, Any]]:
    return await client.profiles(data_group_id=await data_group_id(client), **form)


STORIES: list[tuple[list[dict[str, Any]], dict[str, Any]]] = [
    ([company(set={"a": 1}), company(set={"a": 2, "b": [1]})], {"a": 2, "b": [1]}),
    ([company(set_once={"a": 1}), company(set_once={"a": 2, "b": 3})], {"a": 1, "b": 3}),
    ([company(union={"l": [1, "a", 1]}), company(union={"l": ["a", 2]})], {"l": [1, "a", 2]}),
    ([company(set={"l": ["a", "b", "a"]}), company(remove={"l": "a"})], {"l": ["b"]}),
    ([company(set={"a": 1, "b": 2}), company(unset=["a", "never there"])], {"b": 2}),
    ([company(set={"a": 5}), company(delete=""), company(set={"b": 1})], {"b": 1}),
]


@pytest.mark.parametrize(("updates", "profile"), STORIES)
async def test_verbs_do_what_they_say(
    empty: SandboxClient, updates: list[dict[str, Any]], profile: dict[str, Any]
) -> None:
    assert (await empty.post("/groups", json=updates)).text == "1"

    assert await companies(empty) == {"Acme": profile}


async def test_a_deleted_group_is_gone(empty: SandboxClient) -> None:
    await empty.post("/groups", json=[company(set={"a": 1}), company("Duck", set={"a": 2})])
    await empty.post("/groups", json=[company(delete="")])

    assert await companies(empty) == {"Duck": {"a": 2}}


@pytest.mark.parametrize("verb", [{"unset": ["a"]}, {"remove": {"a": 1}}])
async def test_some_verbs_never_make_a_group(empty: SandboxClient, verb: dict[str, Any]) -> None:
    assert (await empty.post("/groups", json=[company(**verb)])).text == "1"

    assert await companies(empty) == {}


@pytest.mark.parametrize("verb", [{"add": {"n": 1}}, {"append": {"l": 1}}])
async def test_groups_do_not_count(empty: SandboxClient, verb: dict[str, Any]) -> None:
    answer = await empty.post("/groups?strict=1", json=[company(**verb)])

    assert "is not supported here" in answer.json()["failed_records"][0]["message"]


@pytest.mark.parametrize("missing", ["$group_key", "$group_id", "$token"])
async def test_strict_names_what_is_missing(empty: SandboxClient, missing: str) -> None:
    record = company(set={"a": 1})
    del record[missing]

    answer = await empty.post("/groups?strict=1", json=[record])

    (failure,) = answer.json()["failed_records"]
    assert (failure["field"], answer.json()["status"]) == (missing, 0)


async def test_the_id_of_a_group_key_is_known_before_its_first_profile(
    empty: SandboxClient,
) -> None:
    assert await companies(empty) == {}
    known = await data_group_id(empty)

    await empty.post("/groups", json=[company(set={"a": 1})])

    assert await data_group_id(empty) == known
    assert int(known) != int(await data_group_id(empty, "team"))


async def test_groups_and_users_are_kept_apart(empty: SandboxClient) -> None:
    team = {**company(set={"of": "team"}), "$group_key": "team"}
    await empty.post("/groups", json=[company(set={"of": "company"}), team])
    await empty.engage(update("Acme", set={"of": "users"}, ignore_time=True))

    assert await companies(empty, distinct_id="Acme") == {"Acme": {"of": "company"}}
    assert (await empty.profiles())["Acme"]["of"] == "users"
    by_team = await empty.profiles(data_group_id=await data_group_id(empty, "team"))
    assert by_team == {"Acme": {"of": "team"}}


async def test_groups_are_paged_like_users(empty: SandboxClient) -> None:
    everyone = [company(f"{number:04d}", set={"n": number}) for number in range(1_001)]
    await empty.post("/groups", json=everyone)
    group = {"data_group_id": await data_group_id(empty)}

    first = (await empty.query_profiles(**group)).json()
    form = {**group, "session_id": first["session_id"], "page": "1"}
    second = (await empty.query_profiles(**form)).json()
    other = await empty.query_profiles(session_id=first["session_id"], page="1")

    assert (first["total"], len(first["results"]), len(second["results"])) == (1_001, 1_000, 1)
    assert other.status_code == 400


@pytest.mark.parametrize("wrong", ["-8123", "company", "9" * 20])
async def test_an_unknown_group_is_refused(empty: SandboxClient, wrong: str) -> None:
    answer = await empty.query_profiles(data_group_id=wrong)

    assert answer.status_code == 400
    assert "data" in answer.json()["error"]
