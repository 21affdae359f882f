"""What counts with each arrival is never sent twice; what only sets is sent until it arrives."""

from typing import Any

import pytest
from harness import Connect, Waits
from upstream import Drop, Hang, Reply, Upstream

TAKEN = Reply(json={"status": 1, "error": None})

COUNTING: list[dict[str, Any]] = [{"$add": {"visits": 1}}, {"$append": {"songs": "Fado"}}]
SETTLING: list[dict[str, Any]] = [
    {"$set": {"plan": "pro"}},
    {"$set_once": {"plan": "pro"}},
    {"$union": {"tags": ["a"]}},
    {"$remove": {"tags": "a"}},
    {"$unset": ["plan"]},
    {"$delete": ""},
]


def verb_of(update: dict[str, Any]) -> str:
    return next(iter(update))


def for_ada(*updates: dict[str, Any]) -> dict[str, Any]:
    records = [{"$distinct_id": "ada", **update} for update in updates]
    return {"properties_to_update": records, "confirm": True}


@pytest.mark.parametrize("update", COUNTING, ids=verb_of)
@pytest.mark.parametrize("trouble", [Drop(), Reply(500), Reply(503)], ids=["drop", "500", "503"])
async def test_what_counts_goes_out_once_and_the_answer_says_it_may_have_happened(
    connect: Connect, upstream: Upstream, waits: Waits, update: Any, trouble: Drop | Reply
) -> None:
    upstream.on("/engage", trouble, TAKEN)

    async with connect(pacing=waits.pacing()) as tools:
        answer = await tools.call("update_multiple_profiles", **for_ada(update))

    assert (answer.status, answer.is_error) == ("failed", True)
    assert "may have happened" in answer.text
    assert len(upstream.requests) == 1
    assert waits.pauses == []


async def test_what_counts_is_not_taken_again_after_a_time_out(
    connect: Connect, upstream: Upstream
) -> None:
    upstream.on("/engage", Hang(), TAKEN)

    async with connect(write_seconds=0.1) as tools:
        answer = await tools.call("update_multiple_profiles", **for_ada(COUNTING[0]))

    assert (answer.status, answer.is_error) == ("failed", True)
    assert "may have happened" in answer.text
    assert len(upstream.requests) == 1


async def test_one_counting_update_holds_its_whole_batch_back(
    connect: Connect, upstream: Upstream
) -> None:
    upstream.on("/engage", Drop(), TAKEN)

    async with connect() as tools:
        answer = await tools.call("update_multiple_profiles", **for_ada(SETTLING[0], COUNTING[0]))

    assert answer.status == "failed"
    assert len(upstream.requests) == 1


@pytest.mark.parametrize("update", COUNTING, ids=verb_of)
async def test_a_429_was_refused_and_may_be_sent_again(
    connect: Connect, upstream: Upstream, waits: Waits, update: Any
) -> None:
    upstream.on("/engage", Reply(429, headers={"retry-after": "4"}), Reply(429), TAKEN)

    async with connect(pacing=waits.pacing()) as tools:
        answer = await tools.call("update_multiple_profiles", **for_ada(update))

    assert (answer.status, answer.data["accepted"]) == ("ok", 1)
    assert len(upstream.requests) == 3
    assert waits.pauses == [4, 5]


@pytest.mark.parametrize("update", SETTLING, ids=verb_of)
async def test_what_only_sets_is_sent_until_it_arrives(
    connect: Connect, upstream: Upstream, update: Any
) -> None:
    upstream.on("/engage", Drop(), Reply(500), Reply(429), TAKEN)

    async with connect() as tools:
        answer = await tools.call("update_multiple_profiles", **for_ada(update))

    assert (answer.status, answer.data["accepted"]) == ("ok", 1)
    assert len(upstream.requests) == 4


async def test_a_profile_that_never_arrives_may_safely_be_sent_again(
    connect: Connect, upstream: Upstream
) -> None:
    upstream.default = Drop()

    async with connect() as tools:
        answer = await tools.call("create_profile", properties={"$distinct_id": "ada", "a": 1})

    assert (answer.status, answer.is_error) == ("failed", True)
    assert "Sending the same again is safe" in answer.text


async def test_an_unclear_batch_is_told_apart_from_those_never_sent(
    connect: Connect, upstream: Upstream
) -> None:
    """Whoever goes on must skip the first, look up the second, and send the third."""
    upstream.on("/engage", TAKEN, Drop())
    counting = for_ada(*[COUNTING[0]] * 4100)

    async with connect() as tools:
        answer = await tools.call("update_multiple_profiles", **counting)

    assert (answer.status, answer.is_error) == ("partial", True)
    assert answer.data["accepted"] == 2000
    assert answer.data["unknown"] == [[2000, 3999]]
    assert answer.data["not_taken"] == [[4000, 4099]]
    statuses = [answer.data["records"][index]["status"] for index in (0, 2000, 4000)]
    assert statuses == ["accepted", "unknown", "not taken"]
    assert len(upstream.requests) == 2


async def test_it_is_told_apart_even_when_the_first_batch_is_the_unclear_one(
    connect: Connect, upstream: Upstream
) -> None:
    upstream.on("/engage", Drop(), TAKEN)
    counting = for_ada(*[COUNTING[0]] * 2100)

    async with connect() as tools:
        answer = await tools.call("update_multiple_profiles", **counting)

    assert (answer.status, answer.is_error) == ("failed", True)
    assert "may have happened" in answer.text
    assert answer.data["unknown"] == [[0, 1999]]
    assert answer.data["not_taken"] == [[2000, 2099]]
    assert len(upstream.requests) == 1


async def test_an_answer_that_cannot_be_read_leaves_its_batch_unclear(
    connect: Connect, upstream: Upstream
) -> None:
    """It was sent. Called unsent, it would be sent again, and counted twice."""
    upstream.on("/engage", TAKEN, Reply(body="<html>a proxy's page</html>"))
    counting = for_ada(*[COUNTING[0]] * 2001)

    async with connect() as tools:
        answer = await tools.call("update_multiple_profiles", **counting)

    assert (answer.status, answer.is_error) == ("partial", True)
    assert answer.data["unknown"] == [[2000, 2000]]
    assert answer.data["not_taken"] == []
    assert answer.data["records"][2000]["status"] == "unknown"
