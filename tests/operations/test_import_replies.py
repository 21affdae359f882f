"""What `/import` says of its rows: a 400 took some of them, and a 200 may have taken fewer."""

from typing import Any

import pytest
from harness import Connect
from upstream import Received, Reply, Upstream

NOON = 1_767_268_800_000  # 2026-01-01T12:00:00Z


def played(number: int, **properties: Any) -> dict[str, Any]:
    return {
        "event": "Played",
        "properties": {"distinct_id": "ada", "time": NOON + number, "n": number, **properties},
    }


def imported(request: Received) -> Reply:
    return Reply(json={"code": 200, "num_records_imported": len(request.json()), "status": "OK"})


def numbers_in(request: Received) -> list[int]:
    return [event["properties"]["n"] for event in request.json()]


@pytest.mark.parametrize("spelling", ["insert_id", "$insert_id"])
async def test_rejected_rows_have_the_indices_of_the_callers_array(
    connect: Connect, upstream: Upstream, spelling: str
) -> None:
    """The specification and the page spell the id in two ways; the index counts per request."""

    def answer_to(request: Received) -> Reply:
        bad = [place for place, number in enumerate(numbers_in(request)) if number % 1500 == 7]
        failed = [
            {
                "index": place,
                spelling: request.json()[place]["properties"]["$insert_id"],
                "field": "properties.song",
                "message": "song is a cover",
            }
            for place in bad
        ]
        body = {
            "code": 400,
            "error": "some data points in the request failed validation",
            "status": "Bad Request",
            "num_records_imported": len(request.json()) - len(bad),
            "failed_records": failed,
        }
        return Reply(400, json=body) if bad else imported(request)

    upstream.always("/import", answer_to)
    events = [played(n, **{"$insert_id": f"i-{n}"}) for n in range(4100)]

    async with connect() as tools:
        answer = await tools.call("import_events", events=events)

    assert (answer.status, answer.is_error) == ("partial", True)
    assert answer.structured["complete"] is False
    assert answer.data["accepted"] == 4097
    assert answer.data["rejected"] == [
        {
            "index": n,
            "field": "properties.song",
            "reason": "song is a cover",
            "insert_id": f"i-{n}",
        }
        for n in (7, 1507, 3007)
    ]
    assert "1507,properties.song,song is a cover" in answer.text


async def test_indices_survive_the_halving_of_a_batch(connect: Connect, upstream: Upstream) -> None:
    def answer_to(request: Received) -> Reply:
        if len(request.json()) > 3:
            return Reply(413)
        if 6 not in numbers_in(request):
            return imported(request)
        place = numbers_in(request).index(6)
        failed = [{"index": place, "insert_id": "", "field": "event", "message": "no"}]
        imported_count = len(request.json()) - 1
        return Reply(400, json={"num_records_imported": imported_count, "failed_records": failed})

    upstream.always("/import", answer_to)

    async with connect() as tools:
        answer = await tools.call("import_events", events=[played(n) for n in range(9)])

    assert [row["index"] for row in answer.data["rejected"]] == [6]
    assert answer.data["accepted"] == 8


async def test_a_400_without_failed_records_is_a_failure(
    connect: Connect, upstream: Upstream
) -> None:
    upstream.on("/import", Reply(400, json={"code": 400, "error": "Invalid JSON", "status": "no"}))

    async with connect() as tools:
        answer = await tools.call("import_events", events=[played(0)])

    assert (answer.status, answer.is_error) == ("failed", True)
    assert answer.data["mixpanel_says"] == "Invalid JSON"


async def test_fewer_imported_than_sent_is_not_called_complete(
    connect: Connect, upstream: Upstream
) -> None:
    upstream.on("/import", Reply(json={"code": 200, "num_records_imported": 2, "status": "OK"}))

    async with connect() as tools:
        answer = await tools.call("import_events", events=[played(n) for n in range(3)])

    assert (answer.status, answer.is_error) == ("partial", True)
    assert answer.data["accepted"] == 2
    assert "nothing of 1 record" in answer.notes


async def test_a_failure_of_the_only_batch_is_told_as_what_it_is(
    connect: Connect, upstream: Upstream
) -> None:
    upstream.on("/import", Reply(401, json={"code": 401, "error": "Invalid credentials"}))

    async with connect() as tools:
        answer = await tools.call("import_events", events=[played(0)])

    assert (answer.status, answer.is_error) == ("failed", True)
    assert answer.data == {"http_status": 401, "mixpanel_says": "Invalid credentials"}


@pytest.mark.parametrize(
    "body",
    ["1", '{"status":1,"error":null}', '{"code":200,"status":"OK"}'],
)
async def test_the_answers_of_a_lenient_import_are_understood_too(
    connect: Connect, upstream: Upstream, body: str
) -> None:
    """No page promises that strict=1 is always answered in full."""
    upstream.on("/import", Reply(body=body))

    async with connect() as tools:
        answer = await tools.call("import_events", events=[played(0)])

    assert (answer.status, answer.is_error) == ("ok", False)


@pytest.mark.parametrize("count", [-5, "1", None, 0.5, [1]])
async def test_a_count_that_makes_no_sense_is_not_believed(
    connect: Connect, upstream: Upstream, count: Any
) -> None:
    upstream.on("/import", Reply(json={"code": 200, "num_records_imported": count, "status": "OK"}))

    async with connect() as tools:
        answer = await tools.call("import_events", events=[played(0)])

    assert (answer.status, answer.is_error) == ("failed", True)
    assert answer.data["accepted"] == 0
