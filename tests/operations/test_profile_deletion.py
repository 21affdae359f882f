"""Deleting profiles: bare ids or objects, always agreed to first, the original kept if asked."""

from typing import Any

import pytest
from harness import CANARY_TOKEN, Connect, Era, Person
from upstream import Drop, Reply, Upstream

TAKEN = Reply(json={"status": 1, "error": None})


async def test_nothing_is_deleted_before_somebody_agreed(
    connect: Connect, upstream: Upstream, era: Era
) -> None:
    async with connect(era=era) as tools:
        answer = await tools.call("delete_profile", delete_profiles=["ada", "grace"])

    assert (answer.status, answer.is_error) == ("confirmation_required", False)
    assert "permanently delete 2 profiles" in answer.text
    assert '"ada", "grace"' in answer.text
    assert answer.structured["next"] == {"arguments": {"confirm": True}}
    assert upstream.requests == []


async def test_the_scale_of_a_deletion_is_not_hidden_by_its_batches(
    connect: Connect, upstream: Upstream
) -> None:
    person = Person("decline")
    ids = [f"u{number}" for number in range(4500)]

    async with connect(person=person) as tools:
        answer = await tools.call("delete_profile", delete_profiles=ids, confirm=True)

    assert answer.status == "refused"
    assert "4500" in person.questions[0]
    assert '"u0"' in person.questions[0]
    assert upstream.requests == []


async def test_a_yes_deletes_once(connect: Connect, upstream: Upstream, era: Era) -> None:
    upstream.default = TAKEN
    person = Person()

    async with connect(era=era, person=person) as tools:
        answer = await tools.call("delete_profile", delete_profiles=["ada"], confirm=True)

    assert answer.status == "ok"
    assert len(person.questions) == 1
    assert upstream.last.json() == [{"$token": CANARY_TOKEN, "$distinct_id": "ada", "$delete": ""}]
    assert len(upstream.requests) == 1


@pytest.mark.parametrize(
    ("given", "ids"),
    [
        ("ada", ["ada"]),
        (["ada", "grace"], ["ada", "grace"]),
        ('["ada", "grace"]', ["ada", "grace"]),
        ({"$distinct_id": "ada"}, ["ada"]),
        (["ada", {"$distinct_id": "grace"}], ["ada", "grace"]),
        (["[ada]"], ["[ada]"]),
    ],
)
async def test_profiles_to_delete_may_be_bare_ids(
    connect: Connect, upstream: Upstream, given: Any, ids: list[str]
) -> None:
    upstream.default = TAKEN

    async with connect() as tools:
        answer = await tools.call("delete_profile", delete_profiles=given, confirm=True)

    assert answer.status == "ok"
    assert [sent["$distinct_id"] for sent in upstream.last.json()] == ids
    assert [record["distinct_id"] for record in answer.data["records"]] == ids


async def test_a_duplicate_is_deleted_by_its_alias(connect: Connect, upstream: Upstream) -> None:
    """Without `$ignore_alias` the id is resolved first, and the original profile is gone."""
    upstream.default = TAKEN
    duplicate = {"$distinct_id": "ada@example.com", "$ignore_alias": True}

    async with connect() as tools:
        await tools.call("delete_profile", delete_profiles=[duplicate], confirm=True)

    assert upstream.last.json() == [{"$token": CANARY_TOKEN, "$delete": "", **duplicate}]


@pytest.mark.parametrize(
    ("record", "place"),
    [
        ({}, "$distinct_id"),
        ("", "$distinct_id"),
        ("null", "$distinct_id"),
        (0, "$distinct_id"),
        ({"$distinct_id": "ada", "$ignore_alias": "true"}, "$ignore_alias"),
        ({"$distinct_id": "ada", "$set": {"plan": "pro"}}, "$set"),
        ({"$distinct_id": "ada", "$ip": "1"}, "$ip"),
        ({"distinct_id": "ada"}, "distinct_id"),
    ],
)
async def test_a_deletion_that_is_unclear_is_refused(
    connect: Connect, upstream: Upstream, record: Any, place: str
) -> None:
    async with connect() as tools:
        answer = await tools.call("delete_profile", delete_profiles=["ada", record], confirm=True)

    assert (answer.status, answer.is_error) == ("refused", True)
    assert f"delete_profiles[1].{place}: " in answer.text
    assert upstream.requests == []


async def test_a_deletion_is_sent_again_when_its_answer_is_lost(
    connect: Connect, upstream: Upstream
) -> None:
    """Gone twice is gone: the end is the same."""
    upstream.on("/engage", Drop(), Reply(502), TAKEN)

    async with connect() as tools:
        answer = await tools.call("delete_profile", delete_profiles=["ada"], confirm=True)

    assert answer.status == "ok"
    assert len(upstream.requests) == 3
