"""`/engage` and `/groups`: the verbs, what they refuse, and whose profile they change."""

from __future__ import annotations

import gzip
import json
from typing import TYPE_CHECKING, Any

import pytest
from sandbox_client import TOKEN, event, update

if TYPE_CHECKING:
    from sandbox_client import SandboxClient

STORIES: list[tuple[list[dict[str, Any]], dict[str, Any]]] = [
    ([update(set={"a": 1}), update(set={"a": 2, "b": [1]})], {"a": 2, "b": [1]}),
    ([update(set_once={"a": 1}), update(set_once={"a": 2, "b": 3})], {"a": 1, "b": 3}),
    ([update(add={"n": 2}), update(add={"n": -5, "m": 0.5})], {"n": -3, "m": 0.5}),
    ([update(append={"l": "x"}), update(append={"l": "x"})], {"l": ["x", "x"]}),
    ([update(union={"l": [1, "a", 1]}), update(union={"l": ["a", "b"]})], {"l": [1, "a", "b"]}),
    ([update(set={"l": ["a", "b", "a"]}), update(remove={"l": "a"})], {"l": ["b"]}),
    ([update(set={"a": 1, "b": 2}), update(unset=["a", "never there"])], {"b": 2}),
    ([update(set={"a": "text"}), update(add={"a": 1})], {"a": "text"}),
    ([update(set={"a": 5}), update(append={"a": 1})], {"a": 5}),
    ([update(set={"a": 5}), update(union={"a": [1]})], {"a": 5}),
    ([update(set={"a": 5}), update(delete=""), update(set={"b": 1})], {"b": 1}),
]


@pytest.mark.parametrize(("updates", "profile"), STORIES)
async def test_verbs_do_what_they_say(
    empty: SandboxClient, updates: list[dict[str, Any]], profile: dict[str, Any]
) -> None:
    assert (await empty.engage(*updates)).text == "1"

    properties = (await empty.profiles())["ada"]
    assert properties.pop("$last_seen").startswith("2026-03-10T")
    assert properties == profile


@pytest.mark.parametrize("verb", [{"unset": ["a"]}, {"remove": {"a": 1}}, {"delete": None}])
async def test_some_verbs_never_make_a_profile(empty: SandboxClient, verb: dict[str, Any]) -> None:
    assert (await empty.engage(update(**verb))).text == "1"
    assert await empty.profiles() == {}


async def test_delete_removes_the_profile_and_not_the_events(empty: SandboxClient) -> None:
    await empty.import_events(event())
    await empty.engage(update(set={"a": 1}), update("ben", set={"a": 1}))

    await empty.engage(update(delete="null"))

    assert set(await empty.profiles()) == {"ben"}
    assert len(await empty.exported()) == 1


async def test_last_seen_stays_where_time_is_ignored(empty: SandboxClient) -> None:
    await empty.engage({**update(set={"a": 1}), "$ignore_time": True, "$ip": "0"})

    assert await empty.profiles() == {"ada": {"a": 1}}


async def test_a_duplicate_is_deleted_only_with_ignore_alias(empty: SandboxClient) -> None:
    """By its alias the original would go, as the page on deletion warns."""
    alias = {"token": TOKEN, "distinct_id": "ada", "alias": "ada@example.com"}
    await empty.engage(update("ada", set={"a": 1}), update("ada@example.com", set={"b": 2}))
    await empty.track({"event": "$create_alias", "properties": alias})

    await empty.engage({**update("ada@example.com", delete=""), "$ignore_alias": True})
    assert set(await empty.profiles()) == {"ada"}

    await empty.engage(update("ada@example.com", set={"c": 3}))
    assert (await empty.profiles())["ada"]["c"] == 3

    await empty.engage(update("ada@example.com", delete=""))
    assert await empty.profiles() == {}


FAULTS: list[tuple[Any, str]] = [
    ("text", ""),
    ({"$token": TOKEN, "$set": {"a": 1}}, "$distinct_id"),
    ({"$token": TOKEN, "$distinct_id": "", "$set": {"a": 1}}, "$distinct_id"),
    ({"$distinct_id": "ada", "$set": {"a": 1}}, "$token"),
    ({"$token": TOKEN, "$distinct_id": "ada", "plan": "pro"}, ""),
    (update(set={"a": 1}, add={"n": 1}), "$add"),
    (update(set=["a"]), "$set"),
    (update(add={"n": "1"}), "$add.n"),
    (update(add={"n": True}), "$add.n"),
    (update(append={"l": [1]}), "$append.l"),
    (update(remove={"l": [1]}), "$remove.l"),
    (update(union={"l": []}), "$union.l"),
    (update(union={"l": "a"}), "$union.l"),
    (update(unset={"a": 1}), "$unset"),
    (update(set={"l": ["x" * 250] * 254 * 2}), "$set.l"),
    (update(set={"deep": {"a": {"b": {"c": {}}}}}), "$set.deep"),
    (update(set={f"p{n}": "x" * 250 for n in range(5_000)}), ""),
]


@pytest.mark.parametrize(("record", "field"), FAULTS)
async def test_strict_names_the_bad_record(empty: SandboxClient, record: Any, field: str) -> None:
    answer = await empty.engage(update("ben", set={"a": 1}), record, strict="1")

    assert answer.status_code == 200
    body = answer.json()
    assert (body["status"], body["num_good_events"]) == (0, 1)
    (failure,) = body["failed_records"]
    assert (failure["index"], failure["field"]) == (1, field)
    assert set(await empty.profiles()) == {"ben"}


async def test_strict_and_all_good(empty: SandboxClient) -> None:
    answer = await empty.engage(update(set={"a": 1}), strict="1", verbose="1")

    assert answer.json() == {
        "error": None,
        "status": 1,
        "num_good_events": 1,
        "failed_records": [],
    }


async def test_without_strict_a_bad_record_hides_behind_a_good_one(empty: SandboxClient) -> None:
    assert (await empty.engage(update(set={"a": 1}), {"plan": "pro"})).text == "1"
    assert (await empty.engage({"plan": "pro"})).text == "0"


async def test_a_foreign_token_is_ignored(empty: SandboxClient) -> None:
    foreign = {**update(set={"a": 1}), "$token": "another-project"}

    assert (await empty.engage(foreign)).text == "1"
    assert await empty.profiles() == {}


async def test_forms_and_queries_work_and_gzip_does_not(empty: SandboxClient) -> None:
    one, two = json.dumps(update("ada", set={"a": 1})), json.dumps([update("ben", set={"a": 1})])
    packed = gzip.compress(two.encode())

    assert (await empty.post("/engage", data={"data": one})).text == "1"
    assert (await empty.get("/engage", params={"data": two})).text == "1"
    refused = await empty.post("/engage", content=packed, headers={"Content-Encoding": "gzip"})

    assert refused.status_code == 400
    assert set(await empty.profiles()) == {"ada", "ben"}


async def test_2000_updates_are_the_most(empty: SandboxClient) -> None:
    updates = [update(f"user-{n}", set={"n": n}) for n in range(2_001)]

    assert (await empty.engage(*updates)).status_code == 413
    assert (await empty.engage(*updates[:2_000])).text == "1"
    assert (await empty.query_profiles()).json()["total"] == 2_000
