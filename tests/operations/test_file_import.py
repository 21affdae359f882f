"""A file goes in: judged whole, sent in batches, every row accounted for."""

import asyncio
import json
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from harness import CANARY_TOKEN, Connect, Person, Result, Waits
from upstream import Answer, Drop, Received, Reply, Upstream

NOON = 1_767_268_800_000  # 2026-01-01T12:00:00Z


def event(number: int, name: str = "Played", **properties: Any) -> dict[str, Any]:
    given = {"distinct_id": f"user-{number}", "time": NOON, "$insert_id": f"e-{number}"}
    return {"event": name, "properties": {**given, **properties}}


def write(path: Path, rows: Sequence[Any]) -> None:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")


def names_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def sent(request: Received) -> list[dict[str, Any]]:
    return [json.loads(line) for line in request.content.splitlines()]


def imported(request: Received) -> Reply:
    count = len(sent(request))
    return Reply(json={"code": 200, "num_records_imported": count, "status": "OK"})


def ids(upstream: Upstream) -> list[str]:
    return [
        each["properties"]["$insert_id"]
        for request in upstream.to("/import")
        for each in sent(request)
    ]


def refusing(*insert_ids: str) -> Callable[[Received], Reply]:
    """Take what is good, and name what is not, as strict imports do."""

    def answer(request: Received) -> Reply:
        records = sent(request)
        failed = [
            {"index": index, "field": "properties.song", "message": "is no song"}
            for index, record in enumerate(records)
            if record["properties"]["$insert_id"] in insert_ids
        ]
        if not failed:
            return imported(request)
        left = len(records) - len(failed)
        said = {"code": 400, "error": "some failed", "num_records_imported": left}
        return Reply(400, json={**said, "failed_records": failed})

    return answer


async def run(connect: Connect, folder: Path, waits: Waits | None = None, **more: Any) -> Result:
    pacing = (waits or Waits()).pacing()
    async with connect(files_root=folder, pacing=pacing) as tools:
        return await tools.call("import_events", **{"file": "events.ndjson", **more})


async def test_a_file_goes_in_by_the_batch(
    connect: Connect, upstream: Upstream, tmp_path: Path
) -> None:
    upstream.always("/import", imported)
    write(tmp_path / "events.ndjson", [event(n) for n in range(4_500)])

    answer = await run(connect, tmp_path)

    assert answer.status == "ok", answer.text
    assert (answer.data["read"], answer.data["accepted"], answer.data["sent"]) == (4500, 4500, 4500)
    assert sorted(ids(upstream)) == sorted(f"e-{n}" for n in range(4_500))
    request = upstream.last
    assert ("strict", "1") in request.query
    assert request.headers["content-type"] == "application/x-ndjson"
    assert request.headers["content-encoding"] == "gzip"
    assert names_in(tmp_path) == ["events.ndjson"]


async def test_a_row_gets_the_id_it_gets_as_an_argument(
    connect: Connect, upstream: Upstream, tmp_path: Path
) -> None:
    bare = {"event": "Played", "properties": {"time": "2026-01-01T12:00:00Z", "distinct_id": "ada"}}
    write(tmp_path / "events.ndjson", [bare])
    upstream.always("/import", imported)
    await run(connect, tmp_path)
    by_file = ids(upstream)
    upstream.always("/import", Reply(json={"code": 200, "num_records_imported": 1}))

    async with connect() as tools:
        await tools.call("import_events", events=[bare])

    assert [each["properties"]["$insert_id"] for each in upstream.last.json()] == by_file


async def test_a_dry_run_tells_and_sends_nothing(
    connect: Connect, upstream: Upstream, tmp_path: Path
) -> None:
    rows = [event(1), event(2, "Paused"), event(3, time=5), event(1), {"event": "x"}]
    write(tmp_path / "events.ndjson", rows)

    answer = await run(connect, tmp_path, dry_run=True)

    assert upstream.requests == []
    assert answer.data["would_send"] == 3
    assert answer.data["names"] == {"Played": 2, "Paused": 1}
    assert (answer.data["from"], answer.data["to"]) == ("2026-01-01T12:00:00Z",) * 2
    assert answer.data["repeated_insert_ids"] == 1
    assert [fault["line"] for fault in answer.data["first_faults"]] == [3, 5]
    assert names_in(tmp_path) == ["events.ndjson"]


async def test_rejected_rows_are_mended_and_sent_again(
    connect: Connect, upstream: Upstream, tmp_path: Path
) -> None:
    rows = [event(n) for n in range(10)]
    rows[3] = event(3, time="yesterday")
    write(tmp_path / "events.ndjson", rows)
    upstream.always("/import", refusing("e-7"))

    answer = await run(connect, tmp_path)

    assert answer.status == "partial"
    assert (answer.data["accepted"], answer.data["rejected"]) == (8, 2)
    rejects = tmp_path / "events.ndjson.rejected.ndjson"
    kept = [json.loads(line) for line in rejects.read_text().splitlines()]
    assert [(row["line"], row["field"]) for row in kept] == [
        (4, "properties.time"),
        (8, "properties.song"),
    ]
    assert kept[1]["reason"] == "is no song"
    assert kept[1]["row"] == event(7)

    for row in kept:
        row["row"]["properties"]["time"] = NOON
    write(rejects, kept)
    upstream.always("/import", imported)
    upstream.requests.clear()
    again = await run(connect, tmp_path, file=rejects.name)

    assert again.status == "ok", again.text
    assert ids(upstream) == ["e-3", "e-7"]


async def test_what_is_final_is_asked_for_before_anything_leaves(
    connect: Connect, upstream: Upstream, tmp_path: Path
) -> None:
    upstream.always("/import", imported)
    merge = event(1, "$merge", **{"$distinct_ids": ["a", "b"]})
    write(tmp_path / "events.ndjson", [*(event(n) for n in range(5_000)), merge])

    answer = await run(connect, tmp_path)

    assert answer.status == "confirmation_required"
    assert '"a" and "b"' in answer.data["would"]
    assert upstream.requests == []
    assert names_in(tmp_path) == ["events.ndjson"]

    person = Person()
    async with connect(files_root=tmp_path, person=person) as tools:
        done = await tools.call("import_events", file="events.ndjson", confirm=True)
    assert done.status == "ok", done.text
    assert len(person.questions) == 1
    assert len(ids(upstream)) == 5_001


async def test_a_no_sends_nothing(connect: Connect, upstream: Upstream, tmp_path: Path) -> None:
    write(tmp_path / "events.ndjson", [event(1, "$merge", **{"$distinct_ids": ["a", "b"]})])

    async with connect(files_root=tmp_path, person=Person("decline")) as tools:
        answer = await tools.call("import_events", file="events.ndjson", confirm=True)

    assert answer.status == "refused"
    assert upstream.requests == []


async def test_a_yes_is_good_for_what_was_read_then(
    connect: Connect, upstream: Upstream, tmp_path: Path
) -> None:
    """The file is exchanged while the person thinks: what goes out is what they were asked."""
    upstream.always("/import", imported)
    path = tmp_path / "events.ndjson"
    write(path, [event(1, "$merge", **{"$distinct_ids": ["a", "b"]})])

    class Slow(Person):
        async def __call__(self, context: Any, params: Any) -> Any:
            write(path, [event(1, "$merge", **{"$distinct_ids": ["a", "evil"]})])
            return await super().__call__(context, params)

    async with connect(files_root=tmp_path, person=Slow()) as tools:
        answer = await tools.call("import_events", file="events.ndjson", confirm=True)

    assert all("evil" not in request.content.decode() for request in upstream.requests), answer.text


async def test_a_foreign_token_anywhere_stops_the_whole_file(
    connect: Connect, upstream: Upstream, tmp_path: Path
) -> None:
    rows = [event(n) for n in range(3_000)]
    rows[2_999] = event(1, Token="somebody else's")
    write(tmp_path / "events.ndjson", rows)

    answer = await run(connect, tmp_path)

    assert answer.status == "refused"
    assert "token" in answer.text
    assert upstream.requests == []


async def test_the_own_token_may_stand_in_a_row(
    connect: Connect, upstream: Upstream, tmp_path: Path
) -> None:
    upstream.always("/import", imported)
    write(tmp_path / "events.ndjson", [event(1, token=CANARY_TOKEN)])

    assert (await run(connect, tmp_path)).status == "ok"


async def test_read_only_means_files_too(
    connect: Connect, upstream: Upstream, tmp_path: Path
) -> None:
    write(tmp_path / "events.ndjson", [event(1)])
    async with connect(files_root=tmp_path, read_only=True) as tools:
        listed = await tools.client.list_tools()
    assert "import_events" not in {tool.name for tool in listed.tools}
    assert upstream.requests == []


async def test_a_429_slows_all_requests_and_loses_nothing(
    connect: Connect, upstream: Upstream, tmp_path: Path, waits: Waits
) -> None:
    refused = Reply(429, json={"error": "slow down"}, headers={"retry-after": "7"})
    upstream.on("/import", *[refused] * 3)
    upstream.always("/import", imported)
    write(tmp_path / "events.ndjson", [event(n) for n in range(9_000)])

    answer = await run(connect, tmp_path, waits)

    assert answer.status == "ok", answer.text
    assert answer.data["accepted"] == 9_000
    # Whatever was under way together waits once, for as long as Mixpanel asked.
    assert max(waits.pauses) >= 6.5


async def test_a_413_is_halved_until_it_fits(
    connect: Connect, upstream: Upstream, tmp_path: Path
) -> None:
    def small_only(request: Received) -> Reply:
        return imported(request) if len(sent(request)) <= 300 else Reply(413)

    upstream.always("/import", small_only)
    write(tmp_path / "events.ndjson", [event(n) for n in range(2_000)])

    answer = await run(connect, tmp_path)

    assert answer.status == "ok", answer.text
    taken = [request for request in upstream.requests if len(sent(request)) <= 300]
    assert sum(len(sent(request)) for request in taken) == 2_000


FAULTS: list[Answer] = [
    Reply(500),
    Drop(),
    Reply(503, body="<html>"),
    Reply(200, cut=True, body='{"code"'),
]


@pytest.mark.parametrize("fault", FAULTS, ids=["500", "drop", "503", "cut"])
async def test_a_failure_on_the_way_is_repeated(
    connect: Connect, upstream: Upstream, tmp_path: Path, fault: Answer
) -> None:
    upstream.on("/import", fault, fault)
    upstream.always("/import", imported)
    write(tmp_path / "events.ndjson", [event(n) for n in range(5_000)])

    answer = await run(connect, tmp_path)

    assert answer.status == "ok", answer.text
    assert set(ids(upstream)) == {f"e-{n}" for n in range(5_000)}


async def test_an_import_that_stopped_goes_on_where_it_was(
    connect: Connect, upstream: Upstream, tmp_path: Path
) -> None:
    rows = [event(n) for n in range(20_000)]
    rows[5] = event(5, time=1)
    write(tmp_path / "events.ndjson", rows)
    upstream.on("/import", *[imported] * 6)
    upstream.always("/import", Reply(401, json={"error": "no"}))

    stopped = await run(connect, tmp_path)

    assert stopped.status == "partial"
    assert stopped.data["files"][0]["not_sent"] > 0
    assert (tmp_path / "events.ndjson.checkpoint").exists()
    first = set(ids(upstream)[:12_000])
    upstream.requests.clear()
    upstream.always("/import", imported)

    done = await run(connect, tmp_path)

    assert done.data["accepted"] == 19_999
    assert done.data["rejected"] == 1
    assert done.data["files"][0]["continued"] is True
    assert len(ids(upstream)) < 20_000
    assert first | set(ids(upstream)) >= {f"e-{n}" for n in range(20_000) if n != 5}
    assert not (tmp_path / "events.ndjson.checkpoint").exists()
    kept = (tmp_path / "events.ndjson.rejected.ndjson").read_text().splitlines()
    assert [json.loads(line)["line"] for line in kept] == [6]


async def test_a_checkpoint_of_another_file_counts_for_nothing(
    connect: Connect, upstream: Upstream, tmp_path: Path
) -> None:
    write(tmp_path / "events.ndjson", [event(n) for n in range(9_000)])
    upstream.on("/import", imported)
    upstream.always("/import", Reply(401, json={"error": "no"}))
    await run(connect, tmp_path)
    write(tmp_path / "events.ndjson", [event(n) for n in range(9_000, 10_000)])
    upstream.requests.clear()
    upstream.always("/import", imported)

    answer = await run(connect, tmp_path)

    assert answer.data["accepted"] == 1_000
    assert answer.data["files"][0]["continued"] is False


async def test_a_pattern_means_several_files(
    connect: Connect, upstream: Upstream, tmp_path: Path
) -> None:
    upstream.always("/import", imported)
    (tmp_path / "day").mkdir()
    for n in range(3):
        write(tmp_path / "day" / f"{n}.ndjson", [event(n)])
    write(tmp_path / "day" / "0.ndjson.rejected.ndjson", [event(99)])

    answer = await run(connect, tmp_path, file="d*/*.ndjson")

    assert [file["file"] for file in answer.data["files"]] == ["0.ndjson", "1.ndjson", "2.ndjson"]
    assert sorted(ids(upstream)) == ["e-0", "e-1", "e-2"]


OUTSIDE = [
    "../events.ndjson",
    "/etc/passwd",
    "link.ndjson",
    "out/events.ndjson",
    "*/../x",
    "no.csv",
]


@pytest.mark.parametrize("path", OUTSIDE)
async def test_no_path_leads_out_of_the_root(
    connect: Connect, upstream: Upstream, tmp_path: Path, path: str
) -> None:
    root = tmp_path / "root"
    root.mkdir()
    write(tmp_path / "events.ndjson", [event(1)])
    (root / "link.ndjson").symlink_to(tmp_path / "events.ndjson")
    (root / "out").symlink_to(tmp_path)

    answer = await run(connect, root, file=path)

    assert answer.status == "refused"
    assert upstream.requests == []


WRONG: list[dict[str, Any]] = [
    {},
    {"events": [event(1)], "file": "events.ndjson"},
    {"events": [event(1)], "dry_run": True},
    {"file": "events.ndjson", "mapping": {"user": "who"}},
]


@pytest.mark.parametrize("arguments", WRONG, ids=["neither", "both", "dry run", "mapping"])
async def test_arguments_that_do_not_go_together_are_refused(
    connect: Connect, upstream: Upstream, tmp_path: Path, arguments: dict[str, Any]
) -> None:
    async with connect(files_root=tmp_path) as tools:
        answer = await tools.call("import_events", **arguments)

    assert answer.status == "refused"
    assert upstream.requests == []


async def test_without_a_files_root_no_file_is_read(connect: Connect, upstream: Upstream) -> None:
    async with connect() as tools:
        answer = await tools.call("import_events", file="events.ndjson")

    assert "FILES_ROOT" in answer.text
    assert upstream.requests == []


async def test_other_calls_are_answered_meanwhile(
    connect: Connect, upstream: Upstream, tmp_path: Path
) -> None:
    """Rows that have to be read in full keep a thread busy, and nobody else."""
    upstream.always("/import", imported)
    rows = [event(n, place={"lat": n}) for n in range(20_000)]
    write(tmp_path / "events.ndjson", rows)
    waits: list[float] = []

    async with connect(files_root=tmp_path) as tools:
        importing = asyncio.create_task(tools.call("import_events", file="events.ndjson"))
        while not importing.done():
            began = time.perf_counter()
            await tools.client.list_tools()
            waits.append(time.perf_counter() - began)
        answer = await importing

    assert answer.status == "ok", answer.text
    # The goal is 0.1 s. Where a machine has other things to do, a few waits tell of those.
    assert sum(wait > 0.1 for wait in waits) <= len(waits) // 20
    assert max(waits) < 0.5


async def test_the_pace_is_mixpanels_own(
    connect: Connect, upstream: Upstream, tmp_path: Path, waits: Waits
) -> None:
    upstream.always("/import", imported)
    write(tmp_path / "events.ndjson", [event(n) for n in range(20_000)])

    async with connect(files_root=tmp_path, pacing=waits.pacing(), import_rate=1_000) as tools:
        await tools.call("import_events", file="events.ndjson")

    # 20,000 events at 1,000 a second, but for the first batches.
    assert sum(waits.pauses) > 12
