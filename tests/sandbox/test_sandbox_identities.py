"""`$identify`, `$create_alias` and `$merge`: checked, kept, and cheerful about failures."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from sandbox_client import TOKEN, update

from mixpanel_mcp.sandbox.canonical_ids import LARGEST_CLUSTER, canonical_ids
from mixpanel_mcp.sandbox.identities import Merge, all_merges

if TYPE_CHECKING:
    from sandbox_client import SandboxClient

ANONYMOUS = "5b3d4f6e-8d0c-4a8e-9c1f-2e7b6a5d4c3b"


def identity(name: str, **properties: Any) -> dict[str, Any]:
    return {"event": name, "properties": {"token": TOKEN, **properties}}


def identify(identified_id: str, anon_id: str) -> dict[str, Any]:
    return identity("$identify", **{"$identified_id": identified_id, "$anon_id": anon_id})


async def test_a_form_makes_an_identity(empty: SandboxClient) -> None:
    form = {"data": json.dumps(identify("ada", ANONYMOUS)), "strict": "1"}
    answer = await empty.post("/track", data=form)

    assert answer.json()["status"] == 1
    assert all_merges(empty.project.store) == [Merge("$identify", "ada", ANONYMOUS, None)]
    (exported,) = await empty.exported()
    assert exported["event"] == "$identify"
    assert exported["properties"]["distinct_id"] == "ada"


async def test_merges_that_fail_are_still_a_1(empty: SandboxClient) -> None:
    answer = await empty.track(
        identify("ada", ANONYMOUS),
        identify("ben", ANONYMOUS),
        identify("carla", "no-uuid"),
        identity("$create_alias", distinct_id="ada", alias="ada"),
    )

    assert answer.text == "1"
    reasons = [merge.failure_reason for merge in all_merges(empty.project.store)]
    assert reasons == [
        None,
        f"{ANONYMOUS} is already merged with another id",
        "$anon_id is not a UUID v4",
        "the two ids are the same",
    ]
    failed = [each["properties"].get("$failure_reason") for each in await empty.exported()]
    assert failed == reasons


async def test_an_alias_points_to_one_id_for_ever(empty: SandboxClient) -> None:
    await empty.track(identity("$create_alias", distinct_id="ada", alias="a@example.com"))
    await empty.track(identity("$create_alias", distinct_id="ben", alias="a@example.com"))
    await empty.track(identity("$create_alias", distinct_id="ada", alias="a@example.com"))

    reasons = [merge.failure_reason for merge in all_merges(empty.project.store)]
    assert reasons == [None, "a@example.com is already merged with another id", None]


async def test_aliases_are_followed_to_their_end_and_never_in_a_circle(
    empty: SandboxClient,
) -> None:
    for alias, distinct_id in (("c", "b"), ("b", "a"), ("x", "y"), ("y", "x")):
        await empty.track(identity("$create_alias", distinct_id=distinct_id, alias=alias))

    assert canonical_ids(empty.project.store, ["c", "b", "a", "x", "y", "unknown"]) == {
        "c": "a",
        "b": "a",
        "x": "y",
    }


async def test_clusters_merge_as_a_whole(empty: SandboxClient) -> None:
    first, second = ANONYMOUS, ANONYMOUS.replace("5b", "6c")
    await empty.track(identify("ada", first), identify("ben", second))
    merge = identity("$merge", **{"$distinct_ids": [second, first]})
    await empty.import_events(merge)

    people = canonical_ids(empty.project.store, ["ada", "ben", first, second])

    assert people == {"ada": "ben", first: "ben", second: "ben"}


async def test_an_anonymous_id_may_be_identified_by_any_id_of_its_person(
    empty: SandboxClient,
) -> None:
    await empty.track(identity("$create_alias", distinct_id="ada", alias="a@example.com"))
    await empty.track(identify("ada", ANONYMOUS), identify("a@example.com", ANONYMOUS))

    assert [merge.failure_reason for merge in all_merges(empty.project.store)] == [None] * 3


async def test_a_cluster_has_500_ids_at_most(empty: SandboxClient) -> None:
    aliases = [f"alias-{number}" for number in range(LARGEST_CLUSTER)]
    await empty.track(
        *(identity("$create_alias", distinct_id="ada", alias=alias) for alias in aliases)
    )

    *made, failed = [merge.failure_reason for merge in all_merges(empty.project.store)]
    assert set(made) == {None}
    assert failed == "the merge would make a cluster of more than 500 ids"
    again = identity("$create_alias", distinct_id="ada", alias="one more")
    inside = identity("$merge", **{"$distinct_ids": ["alias-1", "alias-2"]})
    await empty.import_events(again, inside)
    assert [merge.failure_reason for merge in all_merges(empty.project.store)][-2:] == [
        failed,
        None,
    ]


async def test_a_batch_and_single_calls_make_the_same_clusters(empty: SandboxClient) -> None:
    pairs = [("a", "b"), ("c", "d"), ("b", "c"), ("e", "f"), ("d", "f"), ("a", "e")]
    merges = [identity("$merge", **{"$distinct_ids": list(pair)}) for pair in pairs]
    await empty.import_events(*merges)
    together = canonical_ids(empty.project.store, list("abcdef"))

    await empty.control("reset", {"demo": False})
    for merge in merges:
        await empty.import_events(merge)

    assert canonical_ids(empty.project.store, list("abcdef")) == together
    assert together == dict.fromkeys("bcdef", "a")


async def test_profiles_are_set_on_any_id_of_a_person(empty: SandboxClient) -> None:
    await empty.track(identify("ada", ANONYMOUS))
    await empty.engage(update(ANONYMOUS, set={"plan": "pro"}, ignore_time=True))

    assert await empty.profiles() == {"ada": {"plan": "pro"}}


async def test_a_reset_forgets_who_was_who(empty: SandboxClient) -> None:
    await empty.track(identify("ada", ANONYMOUS))
    await empty.control("reset", {"demo": False})

    assert canonical_ids(empty.project.store, [ANONYMOUS]) == {}


async def test_merge_is_for_import_only(empty: SandboxClient) -> None:
    merge = identity("$merge", **{"$distinct_ids": ["ada", "ben"]})

    assert (await empty.track(merge)).text == "0"
    assert (await empty.import_events(merge)).status_code == 200
    assert all_merges(empty.project.store) == [Merge("$merge", "ada", "ben", None)]


@pytest.mark.parametrize(
    "incomplete",
    [
        identity("$identify", **{"$identified_id": "ada"}),
        identity("$identify", **{"$anon_id": ANONYMOUS}),
        identity("$create_alias", alias="a"),
        identity("$create_alias", distinct_id="ada", alias=5),
        identity("$merge", **{"$distinct_ids": ["ada"]}),
        identity("$merge", **{"$distinct_ids": ["ada", "ben", "carla"]}),
        {"event": "$identify"},
    ],
)
async def test_an_identity_needs_both_ids(empty: SandboxClient, incomplete: dict[str, Any]) -> None:
    assert (await empty.track(incomplete)).text == "0"
    assert (await empty.import_events(incomplete)).status_code == 400
    assert all_merges(empty.project.store) == []


async def test_a_foreign_token_merges_nothing(empty: SandboxClient) -> None:
    foreign = identify("ada", ANONYMOUS)
    foreign["properties"]["token"] = "another-project"

    assert (await empty.track(foreign)).text == "1"
    assert all_merges(empty.project.store) == []
    assert await empty.exported() == []
