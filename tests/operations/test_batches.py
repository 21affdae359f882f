"""Many records in several requests: each is sent once, in order, and the answer names its rows."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from harness import Connect, Waits
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from upstream import Drop, Received, Reply, Upstream

from mixpanel_mcp.api.request import batches

NOON = 1_767_268_800_000  # 2026-01-01T12:00:00Z


def played(number: int, **properties: Any) -> dict[str, Any]:
    return {
        "event": "Played",
        "properties": {"distinct_id": "ada", "time": NOON + number, "n": number, **properties},
    }


def imported(request: Received) -> Reply:
    return Reply(json={"code": 200, "num_records_imported": len(request.json()), "status": "OK"})


def at_most(count: int, good: Callable[[Received], Reply] = imported) -> Callable[..., Reply]:
    """A Mixpanel that finds more than so many records too large."""

    def answer(request: Received) -> Reply:
        if len(request.json()) > count:
            return Reply(
                413,
                json={
                    "code": 413,
                    "error": "request exceeds max limit of 2097152 bytes",
                    "status": "Request Entity Too Large",
                },
            )
        return good(request)

    return answer


def numbers_in(request: Received) -> list[int]:
    return [event["properties"]["n"] for event in request.json()]


async def test_4500_events_go_out_in_three_batches(connect: Connect, upstream: Upstream) -> None:
    upstream.always("/import", imported)

    async with connect() as tools:
        answer = await tools.call("import_events", events=[played(n) for n in range(4500)])

    assert (answer.status, answer.data["accepted"]) == ("ok", 4500)
    assert "4500 of 4500 events" in answer.text
    sent = sorted(map(numbers_in, upstream.requests))
    assert [len(batch) for batch in sent] == [2000, 2000, 500]
    assert [number for batch in sent for number in batch] == list(range(4500))


async def test_tracked_events_are_split_as_well(connect: Connect, upstream: Upstream) -> None:
    upstream.default = Reply(body="1")
    events = [{"event": "Played", "properties": {"n": n}} for n in range(2001)]

    async with connect() as tools:
        answer = await tools.call("track_events", events=events)

    assert (answer.status, answer.data["accepted"]) == ("ok", 2001)
    assert sorted(len(request.json()) for request in upstream.to("/track")) == [1, 2000]


async def test_no_body_is_larger_than_mixpanel_takes(connect: Connect, upstream: Upstream) -> None:
    """10 MB uncompressed; compression comes after the limit, so it does not help."""
    upstream.always("/import", imported)
    events = [played(n, lyrics="la" * 450_000) for n in range(13)]

    async with connect() as tools:
        answer = await tools.call("import_events", events=events)

    assert (answer.status, answer.data["accepted"]) == ("ok", 13)
    assert len(upstream.requests) == 2
    assert all(len(request.content) <= 10_000_000 for request in upstream.requests)
    assert all(len(request.body) < 100_000 for request in upstream.requests)


async def test_a_batch_that_is_too_large_is_halved_until_it_fits(
    connect: Connect, upstream: Upstream
) -> None:
    upstream.always("/import", at_most(3))

    async with connect() as tools:
        answer = await tools.call("import_events", events=[played(n) for n in range(10)])

    assert (answer.status, answer.data["accepted"]) == ("ok", 10)
    taken = [numbers_in(request) for request in upstream.requests if len(request.json()) <= 3]
    assert sorted(number for batch in taken for number in batch) == list(range(10))


async def test_one_record_that_is_too_large_alone_is_rejected_by_its_index(
    connect: Connect, upstream: Upstream
) -> None:
    def answer_to(request: Received) -> Reply:
        return Reply(413) if 5 in numbers_in(request) else imported(request)

    upstream.always("/import", answer_to)

    async with connect() as tools:
        answer = await tools.call("import_events", events=[played(n) for n in range(8)])

    assert (answer.status, answer.is_error) == ("partial", True)
    assert answer.data["accepted"] == 7
    assert [row["index"] for row in answer.data["rejected"]] == [5]
    assert "too large" in answer.data["rejected"][0]["reason"]


async def test_what_a_later_failure_leaves_unsent_is_listed(
    connect: Connect, upstream: Upstream
) -> None:
    """Profile updates go out one batch after the other, so the rest was certainly not sent."""
    refusal = Reply(401, json={"code": 401, "error": "Invalid credentials"})
    upstream.on("/engage", Reply(body="1"), refusal)
    updates = [{"$distinct_id": f"u{n}", "$set": {"n": n}} for n in range(4500)]

    async with connect() as tools:
        answer = await tools.call("update_multiple_profiles", properties_to_update=updates)

    assert (answer.status, answer.is_error) == ("partial", True)
    assert answer.structured["complete"] is False
    assert answer.data["accepted"] == 2000
    assert answer.data["not_taken"] == [[2000, 4499]]
    assert "2000-4499" in answer.notes
    assert len(upstream.requests) == 2


async def test_events_that_a_failure_left_out_are_listed_too(
    connect: Connect, upstream: Upstream
) -> None:
    def answer_to(request: Received) -> Reply:
        return (
            Reply(403, json={"error": "no"}) if 2000 in numbers_in(request) else imported(request)
        )

    upstream.always("/import", answer_to)

    async with connect() as tools:
        answer = await tools.call("import_events", events=[played(n) for n in range(2500)])

    assert (answer.status, answer.is_error) == ("partial", True)
    assert (answer.data["accepted"], answer.data["not_taken"]) == (2000, [[2000, 2499]])


@pytest.mark.parametrize("trouble", [Reply(429), Reply(503, body="<html>"), Drop()])
@pytest.mark.parametrize("tool", ["track_events", "import_events"])
async def test_events_are_sent_again_until_they_arrive(
    connect: Connect, upstream: Upstream, waits: Waits, tool: str, trouble: Reply | Drop
) -> None:
    """`$insert_id` and `time` stay the same, so a second arrival changes nothing."""
    path = "/track" if tool == "track_events" else "/import"
    good = Reply(body="1") if tool == "track_events" else imported
    upstream.on(path, trouble, trouble, good)
    event = {"event": "Played", "properties": {"distinct_id": "ada"}}
    if tool == "import_events":
        event = played(0)

    async with connect(pacing=waits.pacing()) as tools:
        answer = await tools.call(tool, events=[event])

    assert (answer.status, answer.data["accepted"]) == ("ok", 1)
    assert waits.pauses == [3, 5]  # 2 s, doubled, and the least jitter
    first, second, third = (request.content for request in upstream.requests)
    assert first == second == third


@given(
    sizes=st.lists(st.integers(1, 30), max_size=60),
    count=st.integers(1, 20),
    size=st.integers(1, 80),
)
def test_batches_hold_everything_once_in_order_and_within_the_limits(
    sizes: list[int], count: int, size: int
) -> None:
    parts = list(batches(sizes, count=count, size=size))

    assert [index for part in parts for index in part] == list(range(len(sizes)))
    for part in parts:
        assert 1 <= len(part) <= count
        assert len(part) == 1 or sum(sizes[index] for index in part) <= size


# Each example is a call of its own; the fixtures are only doors.
@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(count=st.integers(1, 40), most=st.integers(1, 12), bad=st.sets(st.integers(0, 39)))
async def test_whatever_mixpanel_finds_too_large_or_bad_each_update_is_taken_once_in_order(
    connect: Connect, upstream: Upstream, count: int, most: int, bad: set[int]
) -> None:
    taken: list[int] = []

    def answer_to(request: Received) -> Reply:
        numbers = [update["$set"]["n"] for update in request.json()]
        taken.extend(n for n in numbers if n not in bad)
        failed = [
            {"index": place, "field": "$set.n", "message": "bad"}
            for place, n in enumerate(numbers)
            if n in bad
        ]
        return Reply(json={"status": 0, "error": "bad", "failed_records": failed}) if failed else ok

    ok = Reply(json={"status": 1, "error": None})
    upstream.always("/engage", at_most(most, answer_to))
    updates = [{"$distinct_id": "ada", "$set": {"n": n}} for n in range(count)]

    async with connect() as tools:
        answer = await tools.call("update_multiple_profiles", properties_to_update=updates)

    good = [n for n in range(count) if n not in bad]
    assert taken == good
    assert answer.data["accepted"] == len(good)
    assert [row["index"] for row in answer.data["rejected"]] == sorted(bad & set(range(count)))
    assert json.dumps(answer.data["not_taken"]) == "[]"
