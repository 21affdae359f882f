"""`$identify`, `$create_alias` and `$merge`: checked, kept, and cheerful about failures."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from sandbox_client import TOKEN

from mixpanel_mcp.sandbox.identities import Merge, all_merges, original_ids

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

    originals = original_ids(empty.project.store, ["c", "b", "a", "x", "unknown"])

    assert (originals["c"], originals["b"]) == ("a", "a")
    assert originals["x"] in ("x", "y")
    assert "unknown" not in originals


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
