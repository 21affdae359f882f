"""A long export: day by day into files, each day whole and counted, none of them got twice."""

import gzip
import hashlib
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, BinaryIO

import pytest
from days import (
    A_DAY,
    DAYS,
    GZIP,
    PATH,
    SPAN,
    Faulty,
    body_of,
    day_of,
    event,
    expected,
    leftovers,
    lines,
    plain,
    read,
    whole,
)
from harness import Connect, Result, Waits
from upstream import Received, Reply, Upstream


def folder_of(answer: Result) -> Path:
    return Path(answer.data["path"])


def lock_of(answer: Result) -> BinaryIO:
    return (folder_of(answer) / ".lock").open("wb")


def files_of(folder: Path, ending: str) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file() and ending in path.name]


def manifest_of(answer: Result) -> dict[str, Any]:
    return json.loads((folder_of(answer) / "manifest.json").read_text())


def events_of(answer: Result) -> list[dict[str, Any]]:
    files = [each["file"] for each in manifest_of(answer)["slices"]]
    return [record for file in files for record in read(folder_of(answer) / file)]


@pytest.mark.parametrize("wire", [whole, plain], ids=["gzip", "identity"])
@pytest.mark.parametrize("kept", ["ndjson", "ndjson.gz"])
async def test_each_day_is_a_file_that_the_manifest_proves(
    connect: Connect, upstream: Upstream, tmp_path: Path, kept: str, wire: Any
) -> None:
    upstream.default = wire

    async with connect(files_root=tmp_path) as tools:
        answer = await tools.call("download_data", **SPAN, format=kept)

    assert (answer.status, answer.structured["complete"]) == ("ok", True)
    assert events_of(answer) == expected()
    assert answer.data["records"] == len(DAYS) * A_DAY
    slices = manifest_of(answer)["slices"]
    assert [each["key"] for each in slices] == DAYS
    for each in slices:
        content = (folder_of(answer) / each["file"]).read_bytes()
        assert each["sha256"] == hashlib.sha256(content).hexdigest()
        assert (each["bytes"], each["records"]) == (len(content), A_DAY)
    assert sorted(day_of(request) for request in upstream.requests) == DAYS
    assert all(dict(each.query)["time_in_ms"] == "true" for each in upstream.requests)
    assert leftovers(tmp_path) == []


async def test_the_gzip_is_kept_as_it_came_off_the_wire(
    connect: Connect, upstream: Upstream, tmp_path: Path
) -> None:
    members = gzip.compress(body_of(DAYS[0], 3)) + gzip.compress(body_of(DAYS[0], 2))
    upstream.default = Reply(
        pieces=[members[at : at + 7] for at in range(0, len(members), 7)], headers=GZIP
    )

    async with connect(files_root=tmp_path) as tools:
        answer = await tools.call(
            "download_data", from_date=DAYS[0], to_date=DAYS[0], format="ndjson.gz"
        )

    (file,) = files_of(tmp_path, ".gz")
    assert file.read_bytes() == members
    assert answer.data["records"] == 5


async def test_the_same_call_again_costs_no_export(
    connect: Connect, upstream: Upstream, tmp_path: Path
) -> None:
    upstream.default = whole

    async with connect(files_root=tmp_path) as tools:
        first = await tools.call("download_data", **SPAN, format="ndjson")
        again = await tools.call("download_data", **SPAN, format="ndjson")
        other = await tools.call("download_data", **SPAN, format="ndjson", where="true")

    assert first.data["id"] == again.data["id"] != other.data["id"]
    assert "cost no export" in again.notes
    assert len(upstream.to(PATH)) == 2 * len(DAYS)


BROKEN = {
    "cut": Reply(pieces=[gzip.compress(body_of(DAYS[1]))[:200]], headers=GZIP, cut=True),
    "early": Reply(body=body_of(DAYS[1], 3) + b"terminated early\n"),
}


@pytest.mark.parametrize("fault", BROKEN.values(), ids=BROKEN)
async def test_what_does_not_come_whole_is_missing_and_the_rest_is_kept(
    connect: Connect, upstream: Upstream, tmp_path: Path, fault: Reply
) -> None:
    upstream.default = answers = Faulty({DAYS[1]: [fault] * 3})

    async with connect(files_root=tmp_path) as tools:
        broken = await tools.call("download_data", **SPAN, format="ndjson")
        there = dict(answers.asked)
        mended = await tools.call("download_data", **SPAN, format="ndjson")

    assert (broken.status, broken.structured["complete"]) == ("partial", False)
    assert DAYS[1] in broken.data["missing_days"]
    assert "same arguments" in broken.text
    assert there[DAYS[1]] == 3
    assert (mended.status, events_of(mended)) == ("ok", expected())
    assert answers.asked[DAYS[0]] == 1
    assert leftovers(tmp_path) == []


async def test_a_refusal_is_not_asked_again(
    connect: Connect, upstream: Upstream, tmp_path: Path
) -> None:
    upstream.default = Reply(status=400, body="to_date cannot be later than today")

    async with connect(files_root=tmp_path) as tools:
        answer = await tools.call(
            "download_data", from_date=DAYS[0], to_date=DAYS[0], format="ndjson"
        )

    assert (answer.status, answer.is_error) == ("failed", True)
    assert "later than today" in answer.text
    assert len(upstream.requests) == 1


async def test_copies_are_left_out_by_mixpanels_key_and_the_latest_stays(
    connect: Connect, upstream: Upstream, tmp_path: Path
) -> None:
    day = DAYS[0]
    late = event(day, 1, mp_processing_time_ms=9_999_999_999_999, plan="late")
    other_user = event(day, 1, distinct_id="somebody else")
    upstream.default = Reply(
        body=lines([event(day, 0), late, event(day, 1), other_user, event(day, 0)])
    )

    async with connect(files_root=tmp_path) as tools:
        answers = [
            await tools.call(
                "download_data", from_date=day, to_date=day, format=kept, deduplicate=True
            )
            for kept in ("ndjson", "ndjson.gz")
        ]

    for answer in answers:
        assert events_of(answer) == [late, other_user, event(day, 0)]
        assert (answer.data["records"], answer.data["duplicates_left_out"]) == (3, 2)


async def test_a_day_that_was_not_over_is_fetched_again(
    connect: Connect, upstream: Upstream, tmp_path: Path
) -> None:
    today = datetime.now(UTC).date().isoformat()
    upstream.default = Reply(body=body_of(DAYS[0], 2))

    async with connect(files_root=tmp_path) as tools:
        first = await tools.call("download_data", from_date=today, to_date=today, format="ndjson")
        upstream.default = Reply(body=body_of(DAYS[0], 5))
        second = await tools.call("download_data", from_date=today, to_date=today, format="ndjson")

    assert "was not over yet" in first.notes
    assert (first.data["records"], second.data["records"]) == (2, 5)


async def test_more_days_than_mixpanel_allows_in_an_hour_stop_and_go_on(
    connect: Connect, upstream: Upstream, tmp_path: Path
) -> None:
    waits = Waits()
    upstream.default = Reply(body=lines([event(DAYS[0], 1)]))
    span = {"from_date": "2025-01-01", "to_date": "2025-03-05"}  # 64 days

    async with connect(files_root=tmp_path, pacing=waits.pacing()) as tools:
        first = await tools.call("download_data", **span, format="ndjson")
        waits.pass_time(3_700)
        second = await tools.call("download_data", **span, format="ndjson")

    assert first.status == "partial"
    assert len(first.data["missing_days"]) == 4
    assert first.data["next_slot"]
    assert "64 days to fetch" in first.data["plan"]
    assert "1 more hour" in first.data["plan"]
    assert (second.status, second.data["records"]) == ("ok", 64)
    assert len(upstream.requests) == 64


async def test_the_operators_limit_on_size_leaves_nothing_half_written(
    connect: Connect, upstream: Upstream, tmp_path: Path
) -> None:
    upstream.default = plain

    async with connect(files_root=tmp_path, export_max_bytes=1_000) as tools:
        answer = await tools.call("download_data", **SPAN, format="ndjson")

    assert (answer.status, answer.is_error) == ("failed", True)
    assert "EXPORT_MAX_BYTES" in answer.text
    assert files_of(tmp_path, ".ndjson") == []


async def test_exports_that_are_too_old_are_deleted(
    connect: Connect, upstream: Upstream, tmp_path: Path
) -> None:
    waits = Waits()
    upstream.default = whole

    async with connect(files_root=tmp_path, pacing=waits.pacing(), export_max_days=2) as tools:
        await tools.call("download_data", **SPAN, format="ndjson")
        young = await tools.call("list_exports")
        waits.pass_time(3 * 86_400)
        old = await tools.call("list_exports")

    assert (len(young.data), len(old.data)) == (1, 0)
    assert files_of(tmp_path, ".ndjson") == []


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"deduplicate": True}, "deduplicate: needs format"),
        ({"columns": {"plan": "text"}}, "columns: needs format"),
        ({"format": "ndjson", "columns": {"plan": "text"}}, "only parquet"),
        ({"format": "parquet", "columns": {"Time": "text"}}, "column of every export"),
        ({"format": "parquet", "columns": {"plan": "blob"}}, "columns"),
        ({"format": "ndjson", "limit": 5}, "limit"),
        ({"format": "csv"}, "format"),
    ],
)
async def test_arguments_that_make_no_sense_cost_no_export(
    connect: Connect, upstream: Upstream, tmp_path: Path, given: dict[str, Any], words: str
) -> None:
    async with connect(files_root=tmp_path) as tools:
        answer = await tools.call("download_data", **SPAN, **given)

    assert answer.status == "refused"
    assert words in answer.text
    assert upstream.requests == []


async def test_without_a_folder_nothing_is_sent(connect: Connect, upstream: Upstream) -> None:
    async with connect() as tools:
        for tool, given in (
            ("download_data", {**SPAN, "format": "ndjson"}),
            ("query_profiles", {"to_file": True}),
        ):
            answer = await tools.call(tool, **given)
            assert answer.status == "refused"
            assert "MIXPANEL_MCP_FILES_ROOT" in answer.text
    assert upstream.requests == []


async def test_exports_are_listed_shown_browsed_and_deleted(
    connect: Connect, upstream: Upstream, tmp_path: Path
) -> None:
    upstream.default = whole

    async with connect(files_root=tmp_path) as tools:
        made = await tools.call("download_data", **SPAN, format="ndjson.gz")
        name = made.data["id"]
        listed = await tools.call("list_exports")
        shown = await tools.call("get_export", id=name)
        page = await tools.client.read_resource(f"mixpanel://exports/{name}")
        asked = await tools.call("delete_export", id=name)
        still = await tools.call("get_export", id=name)
        await tools.call("delete_export", id=name, confirm=True)
        gone = await tools.call("get_export", id=name)

    assert [each["id"] for each in listed.data] == [name]
    assert shown.data["first"] == expected()[:10]
    assert [each["key"] for each in shown.data["files"]] == DAYS
    assert DAYS[1] in page.contents[0].model_dump_json()
    assert asked.status == "confirmation_required"
    assert still.status == "ok"
    assert gone.status == "refused"
    assert "no export" in gone.text
    assert files_of(tmp_path, ".gz") == []


@pytest.mark.parametrize("name", ["..", "../exports", "a/b", "", ".", "x" * 200, "\x00", "e\u0000"])
async def test_an_id_is_no_path(connect: Connect, tmp_path: Path, name: str) -> None:
    (tmp_path / "manifest.json").write_text("{}")

    async with connect(files_root=tmp_path) as tools:
        for tool in ("get_export", "describe_export"):
            answer = await tools.call(tool, id=name)
            assert answer.status == "refused"


async def test_exports_of_projects_out_of_bounds_are_not_there(
    connect: Connect, upstream: Upstream, tmp_path: Path
) -> None:
    upstream.default = whole
    async with connect(files_root=tmp_path) as tools:
        made = await tools.call("download_data", **SPAN, format="ndjson", project_id=77)

    async with connect(files_root=tmp_path, allowed_projects=(4242,)) as tools:
        listed = await tools.call("list_exports")
        shown = await tools.call("get_export", id=made.data["id"])

    assert listed.data == []
    assert shown.status == "refused"


async def test_progress_says_what_it_will_take_first(
    connect: Connect, upstream: Upstream, tmp_path: Path
) -> None:
    upstream.default = whole
    said: list[str] = []

    async def hear(progress: float, total: float | None, message: str | None) -> None:
        del progress, total
        said.append(message or "")

    async with connect(files_root=tmp_path) as tools:
        await tools.client.call_tool(
            "download_data", {**SPAN, "format": "ndjson"}, progress_callback=hear
        )

    assert said[0].startswith("3 days to fetch, one export each (60 left this hour)")
    assert any(f"3 of 3 days, {3 * A_DAY} events" in each for each in said)


async def test_two_calls_for_one_export_do_not_meet(
    connect: Connect, upstream: Upstream, tmp_path: Path
) -> None:
    import fcntl  # noqa: PLC0415 - absent on Windows

    upstream.default = whole
    async with connect(files_root=tmp_path) as tools:
        made = await tools.call("download_data", **SPAN, format="ndjson")
        with lock_of(made) as held:
            fcntl.flock(held, fcntl.LOCK_EX)
            second = await tools.call("download_data", **SPAN, format="ndjson")
            deleted = await tools.call("delete_export", id=made.data["id"], confirm=True)

    assert (second.status, deleted.status) == ("refused", "refused")
    assert "another call works" in second.text


async def test_a_full_disk_keeps_what_is_whole_and_nothing_half(
    connect: Connect, upstream: Upstream, tmp_path: Path
) -> None:
    """A folder stands where the second day's file should go: it cannot be made."""
    upstream.default = whole
    async with connect(files_root=tmp_path) as tools:
        first = await tools.call(
            "download_data", from_date=DAYS[0], to_date=DAYS[0], format="ndjson"
        )
        blocked = tmp_path / "exports"
        upstream.default = lambda request: _blocked(request, blocked)
        answer = await tools.call("download_data", **SPAN, format="ndjson")

    assert first.status == "ok"
    assert answer.status in {"partial", "failed"}
    assert "could not be written" in answer.text


def _blocked(request: Received, exports: Path) -> Reply:
    (export,) = [
        each for each in exports.iterdir() if each.name.startswith("events-2026-01-01-2026-01-03")
    ]
    (export / f"day={DAYS[1]}" / "events.ndjson").mkdir(parents=True, exist_ok=True)
    return whole(request)
