"""Profile updates from a file: in order, and what counts each time never twice."""

import asyncio
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from harness import CANARY_TOKEN, Connect, Result
from upstream import Answer, Drop, Held, Reply, Upstream

TAKEN = Reply(json={"status": 1, "error": None})


def write(path: Path, rows: Sequence[Any]) -> None:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")


def added(number: int) -> dict[str, Any]:
    return {"$distinct_id": f"user-{number}", "$add": {"visits": 1}}


def named(number: int) -> dict[str, Any]:
    return {"$distinct_id": f"user-{number}", "$set": {"$name": f"User {number}"}}


def arrived(upstream: Upstream) -> list[str]:
    return [each["$distinct_id"] for request in upstream.requests for each in request.json()]


async def run(connect: Connect, folder: Path, **more: Any) -> Result:
    async with connect(files_root=folder) as tools:
        return await tools.call("update_multiple_profiles", file="updates.ndjson", **more)


async def test_updates_go_out_in_the_files_order(
    connect: Connect, upstream: Upstream, tmp_path: Path
) -> None:
    upstream.always("/engage", TAKEN)
    write(tmp_path / "updates.ndjson", [named(n) for n in range(5_000)])

    answer = await run(connect, tmp_path)

    assert answer.status == "ok", answer.text
    assert arrived(upstream) == [f"user-{n}" for n in range(5_000)]
    assert [len(request.json()) for request in upstream.requests] == [2_000, 2_000, 1_000]
    assert upstream.last.json()[0]["$token"] == CANARY_TOKEN
    assert ("ip", "0") in upstream.last.query
    assert "content-encoding" not in upstream.last.headers


async def test_flat_rows_set_their_properties(
    connect: Connect, upstream: Upstream, tmp_path: Path
) -> None:
    upstream.always("/engage", TAKEN)
    (tmp_path / "users.csv").write_text("$distinct_id,$name,age\n007,Ada,36\n")

    async with connect(files_root=tmp_path) as tools:
        answer = await tools.call("update_multiple_profiles", file="users.csv")

    assert answer.status == "ok", answer.text
    (update,) = upstream.last.json()
    assert update["$distinct_id"] == "007"
    assert update["$set"] == {"$name": "Ada", "age": 36}


async def test_a_lost_answer_stops_what_counts_each_time(
    connect: Connect, upstream: Upstream, tmp_path: Path
) -> None:
    upstream.on("/engage", TAKEN, Drop())
    upstream.always("/engage", TAKEN)
    write(tmp_path / "updates.ndjson", [added(n) for n in range(6_000)])

    stopped = await run(connect, tmp_path)

    assert stopped.status == "partial"
    (file,) = stopped.data["files"]
    assert (file["accepted"], file["unclear"], file["not_sent"]) == (2_000, 2_000, 2_000)
    kept = [
        json.loads(line)
        for line in (tmp_path / "updates.ndjson.rejected.ndjson").read_text().splitlines()
    ]
    assert [row["line"] for row in kept] == list(range(2_001, 4_001))
    assert "may have arrived" in kept[0]["reason"]

    done = await run(connect, tmp_path)

    assert done.data["files"][0]["accepted"] == 4_000
    assert done.data["files"][0]["unclear"] == 2_000
    counts = arrived(upstream)
    assert len(counts) == len(set(counts)) == 6_000


async def test_rows_that_were_under_way_when_the_process_died_are_not_sent_again(
    connect: Connect, upstream: Upstream, tmp_path: Path
) -> None:
    """What a killed process leaves: a checkpoint that says what it was about to send."""
    upstream.on("/engage", TAKEN)
    upstream.always("/engage", Reply(401, json={"status": 0, "error": "no"}))
    write(tmp_path / "updates.ndjson", [added(n) for n in range(6_000)])
    await run(connect, tmp_path)
    path = tmp_path / "updates.ndjson.checkpoint"
    checkpoint = json.loads(path.read_text())
    assert (checkpoint["standing"]["done"], checkpoint["standing"]["begun"]) == (2_000, 2_000)
    checkpoint["standing"]["begun"] = 4_000
    path.write_text(json.dumps(checkpoint))
    upstream.requests.clear()
    upstream.always("/engage", TAKEN)

    done = await run(connect, tmp_path)

    assert arrived(upstream) == [f"user-{n}" for n in range(4_000, 6_000)]
    assert done.data["files"][0]["unclear"] == 2_000
    kept = (tmp_path / "updates.ndjson.rejected.ndjson").read_text().splitlines()
    assert [json.loads(line)["line"] for line in kept] == list(range(2_001, 4_001))


async def test_what_counts_each_time_is_not_sent_again_by_the_same_call(
    connect: Connect, upstream: Upstream, tmp_path: Path
) -> None:
    """The answer may be lost although all of it arrived: whoever asked will ask again."""
    upstream.always("/engage", TAKEN)
    write(tmp_path / "updates.ndjson", [added(n) for n in range(3_000)])

    answers = [await run(connect, tmp_path) for _ in range(3)]

    assert arrived(upstream) == [f"user-{n}" for n in range(3_000)]
    for answer in answers:
        assert (answer.status, answer.data["accepted"]) == ("ok", 3_000)
        assert "updates.ndjson.checkpoint" in answer.notes

    (tmp_path / "updates.ndjson.checkpoint").unlink()
    await run(connect, tmp_path)
    assert len(arrived(upstream)) == 6_000


async def test_two_calls_for_one_file_do_not_meet(
    connect: Connect, upstream: Upstream, tmp_path: Path
) -> None:
    """A host that loses its patience calls again, and the first call goes on."""
    go_on = asyncio.Event()
    upstream.on("/engage", Held(go_on, TAKEN))
    upstream.always("/engage", TAKEN)
    write(tmp_path / "updates.ndjson", [added(n) for n in range(3_000)])

    first = asyncio.ensure_future(run(connect, tmp_path))
    await upstream.opened(1)
    second = await run(connect, tmp_path)
    looked = await run(connect, tmp_path, dry_run=True)
    go_on.set()

    assert (await first).status == "ok"
    assert second.status == "refused"
    assert "another import of it" in second.text
    assert looked.status == "ok"
    assert arrived(upstream) == [f"user-{n}" for n in range(3_000)]


async def test_what_can_be_repeated_leaves_no_checkpoint(
    connect: Connect, upstream: Upstream, tmp_path: Path
) -> None:
    upstream.always("/engage", TAKEN)
    write(tmp_path / "updates.ndjson", [named(n) for n in range(10)])

    await run(connect, tmp_path)
    await run(connect, tmp_path)

    assert len(arrived(upstream)) == 20
    assert not (tmp_path / "updates.ndjson.checkpoint").exists()


SECOND_HALF: dict[str, tuple[Answer, str]] = {
    "refused": (Reply(401, json={"status": 0, "error": "no"}), "was not sent"),
    "lost": (Drop(), "may have arrived"),
}


@pytest.mark.parametrize(("fault", "reason"), SECOND_HALF.values(), ids=SECOND_HALF)
async def test_half_of_a_body_that_was_too_large_is_not_sent_twice(
    connect: Connect, upstream: Upstream, tmp_path: Path, fault: Answer, reason: str
) -> None:
    upstream.on("/engage", Reply(413), TAKEN, fault)
    upstream.always("/engage", TAKEN)
    write(tmp_path / "updates.ndjson", [added(n) for n in range(4_000)])

    stopped = await run(connect, tmp_path)
    done = await run(connect, tmp_path)

    assert (stopped.status, stopped.data["accepted"]) == ("partial", 1_000)
    kept = (tmp_path / "updates.ndjson.rejected.ndjson").read_text().splitlines()
    assert [json.loads(line)["line"] for line in kept] == list(range(1_001, 2_001))
    assert all(reason in json.loads(line)["reason"] for line in kept)
    # What was too large, the first half, the second, and what came behind.
    assert [len(request.json()) for request in upstream.requests] == [2_000, 1_000, 1_000, 2_000]
    assert done.data["accepted"] == 3_000


async def test_a_deletion_in_a_file_has_to_be_confirmed(
    connect: Connect, upstream: Upstream, tmp_path: Path
) -> None:
    upstream.always("/engage", TAKEN)
    rows = [*(named(n) for n in range(3_000)), {"$distinct_id": "ada", "$delete": ""}]
    write(tmp_path / "updates.ndjson", rows)

    answer = await run(connect, tmp_path)

    assert answer.status == "confirmation_required"
    assert "ada" in answer.text
    assert upstream.requests == []
    assert (await run(connect, tmp_path, confirm=True)).status == "ok"


WRONG: dict[str, Any] = {
    "no verb": {"$distinct_id": "a", "$set": {}, "$add": {"n": 1}},
    "no id": {"$set": {"a": 1}},
    "a banned id": {"$distinct_id": "null", "$set": {"a": 1}},
    "a text to add": {"$distinct_id": "a", "$add": {"n": "1"}},
}


@pytest.mark.parametrize("row", WRONG.values(), ids=WRONG)
async def test_wrong_rows_stay_behind(
    connect: Connect, upstream: Upstream, tmp_path: Path, row: dict[str, Any]
) -> None:
    upstream.always("/engage", TAKEN)
    write(tmp_path / "updates.ndjson", [named(1), row, named(2)])

    answer = await run(connect, tmp_path)

    assert (answer.data["accepted"], answer.data["rejected"]) == (2, 1)
    assert arrived(upstream) == ["user-1", "user-2"]


async def test_a_foreign_token_stops_all(
    connect: Connect, upstream: Upstream, tmp_path: Path
) -> None:
    write(tmp_path / "updates.ndjson", [named(1), {**named(2), "$token": "another"}])

    assert (await run(connect, tmp_path)).status == "refused"
    assert upstream.requests == []
