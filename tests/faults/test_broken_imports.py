"""Every way in which a request of an import can fail: at the end each row is where it belongs."""

import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from days import read
from harness import Connect, Result
from upstream import Answer, Drop, Hang, Received, Reply, Upstream

NOON = 1_767_268_800_000
TAKEN = Reply(json={"status": 1, "error": None})
COUNT = 5_000
REJECTED = "rows.ndjson.rejected.ndjson"


def event(number: int) -> dict[str, Any]:
    known = {"distinct_id": f"user-{number}", "time": NOON, "$insert_id": f"e-{number}"}
    return {"event": "Played", "properties": known}


def named(number: int) -> dict[str, Any]:
    return {"$distinct_id": f"user-{number}", "$set": {"n": number}}


def added(number: int) -> dict[str, Any]:
    return {"$distinct_id": f"user-{number}", "$add": {"visits": 1}}


def write(folder: Path, rows: Sequence[Any]) -> None:
    text = "".join(json.dumps(row) + "\n" for row in rows)
    (folder / "rows.ndjson").write_text(text, encoding="utf-8")


def names_in(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir()]


async def call(connect: Connect, folder: Path, tool: str) -> Result:
    async with connect(files_root=folder, write_seconds=1.5) as tools:
        return await tools.call(tool, file="rows.ndjson")


def users(request: Received) -> list[str]:
    if request.path == "/import":
        rows = [json.loads(line) for line in request.content.splitlines()]
        return [row["properties"]["distinct_id"] for row in rows]
    return [row["$distinct_id"] for row in request.json()]


EVERYBODY = {f"user-{number}" for number in range(COUNT)}

FAULTS: dict[str, Answer] = {
    "no answer": Drop(),
    "a stall": Hang(),
    "cut": Reply(200, cut=True, body='{"code"'),
    "a longer content-length": Reply(200, body='{"code": 200}', length=99),
    "429": Reply(429, json={"error": "slow"}, headers={"retry-after": "3"}),
    "500": Reply(500, body="no"),
    "503 of a proxy": Reply(503, body="<html>"),
    "413": Reply(413),
    "a 200 that is no answer": Reply(200, body="<html>"),
    "401": Reply(401, json={"error": "no"}),
}


def imported(request: Received) -> Reply:
    count = len(users(request))
    return Reply(json={"code": 200, "num_records_imported": count, "status": "OK"})


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS)
async def test_each_event_arrives_and_what_arrives_twice_is_the_same(
    connect: Connect, upstream: Upstream, tmp_path: Path, fault: Answer
) -> None:
    upstream.on("/import", imported, fault)
    upstream.default = imported
    write(tmp_path, [event(number) for number in range(COUNT)])

    answer = await call(connect, tmp_path, "import_events")
    if answer.status != "ok":
        answer = await call(connect, tmp_path, "import_events")

    assert answer.data["accepted"] == COUNT
    lines = [line for request in upstream.requests for line in request.content.splitlines()]
    assert len(set(lines)) == COUNT
    assert {user for request in upstream.requests for user in users(request)} == EVERYBODY
    assert names_in(tmp_path) == ["rows.ndjson"]


def some_bad(request: Received) -> Reply:
    """Every hundredth user is refused."""
    bad = [index for index, user in enumerate(users(request)) if user.endswith("00")]
    failed = [
        {"index": index, "insert_id": "x", "field": "properties.n", "message": "is odd"}
        for index in bad
    ]
    left = len(users(request)) - len(bad)
    said = {"code": 400, "error": "some failed", "num_records_imported": left}
    return Reply(400, json={**said, "failed_records": failed})


@pytest.mark.parametrize("fault", ["401", "413", "429", "500"])
async def test_bad_rows_are_named_once_whatever_else_happens(
    connect: Connect, upstream: Upstream, tmp_path: Path, fault: str
) -> None:
    upstream.on("/import", some_bad, FAULTS[fault])
    upstream.default = some_bad
    write(tmp_path, [event(number) for number in range(COUNT)])

    answer = await call(connect, tmp_path, "import_events")
    if answer.data["files"][0]["not_sent"]:
        answer = await call(connect, tmp_path, "import_events")

    bad = [number + 1 for number in range(COUNT) if str(number).endswith("00")]
    assert [row["line"] for row in read(tmp_path / REJECTED)] == bad
    assert (answer.data["accepted"], answer.data["rejected"]) == (COUNT - len(bad), len(bad))


# What these answer was not taken in, and so may be sent again.
NOT_TAKEN = {"429", "413", "401"}


@pytest.mark.parametrize("fault", FAULTS)
async def test_what_counts_each_time_is_taken_once_or_named(
    connect: Connect, upstream: Upstream, tmp_path: Path, fault: str
) -> None:
    taken: Counter[str] = Counter()

    def take(request: Received) -> Reply:
        taken.update(users(request))
        return TAKEN

    def fail(request: Received) -> Reply:
        """Take it in where the answer does not say that it was not."""
        answer = FAULTS[fault]
        assert isinstance(answer, Reply)
        if fault not in NOT_TAKEN:
            taken.update(users(request))
        return answer

    failing = fail if isinstance(FAULTS[fault], Reply) else FAULTS[fault]
    upstream.on("/engage", take, failing)
    upstream.default = take
    write(tmp_path, [added(number) for number in range(COUNT)])

    answers = [await call(connect, tmp_path, "update_multiple_profiles") for _ in range(3)]

    unclear = read(tmp_path / REJECTED) if (tmp_path / REJECTED).exists() else []
    assert all("may have arrived" in row["reason"] for row in unclear)
    people = [row["row"]["$distinct_id"] for row in unclear]
    assert len(people) == len(set(people)) == (0 if fault in NOT_TAKEN else 2_000)
    assert max(taken.values()) == 1
    assert taken.keys() | set(people) == EVERYBODY
    assert answers[-1].data["accepted"] == COUNT - len(people)


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS)
async def test_what_can_be_repeated_arrives_in_the_files_order(
    connect: Connect, upstream: Upstream, tmp_path: Path, fault: Answer
) -> None:
    last: dict[str, int] = {}

    def take(request: Received) -> Reply:
        for row in request.json():
            last[row["$distinct_id"]] = row["$set"]["n"]
        return TAKEN

    upstream.on("/engage", take, fault)
    upstream.default = take
    # Everybody is set twice; the second one has to win.
    rows = [named(number) for number in range(COUNT)]
    rows += [{**row, "$set": {"n": -1}} for row in rows]
    write(tmp_path, rows)

    answer = await call(connect, tmp_path, "update_multiple_profiles")
    if answer.status != "ok":
        answer = await call(connect, tmp_path, "update_multiple_profiles")

    assert answer.data["accepted"] == 2 * COUNT
    assert last == dict.fromkeys(EVERYBODY, -1)
    assert names_in(tmp_path) == ["rows.ndjson"]
