"""What somebody plants below the files root, before a call or in the middle, leads nowhere."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from days import DAYS, SPAN, whole
from harness import Connect
from upstream import Received, Reply, Upstream

from mixpanel_mcp.files.root import FilesRoot, OutsideError

PROFILES = Reply(json={"page": 0, "page_size": 10, "session_id": "s", "results": [{}], "total": 1})

EXPORTS: dict[str, tuple[str, dict[str, Any]]] = {
    "ndjson": ("download_data", {**SPAN, "format": "ndjson"}),
    "parquet": ("download_data", {**SPAN, "format": "parquet"}),
    "copies": ("download_data", {**SPAN, "format": "ndjson", "deduplicate": True}),
    "profiles": ("query_profiles", {"to_file": True}),
}
DAY = f"day={DAYS[0]}"
PLANTED = {
    "the lock": ("ndjson", ".lock", False),
    "the manifest's part": ("ndjson", "manifest.json.part", False),
    "a day": ("ndjson", DAY, True),
    "a day's part": ("ndjson", f"{DAY}/events.ndjson.part", False),
    "a day's columns": ("parquet", f"{DAY}/events.parquet.part", False),
    "a day without copies": ("copies", f"{DAY}/events.ndjson.part", False),
    "the pages": ("profiles", "pages", True),
    "a page's part": ("profiles", "pages/page-000000.ndjson.part", False),
}


def answered(request: Received) -> Reply:
    return whole(request) if request.method == "GET" else PROFILES


@pytest.mark.parametrize(("kind", "place", "folder"), PLANTED.values(), ids=PLANTED)
async def test_a_link_in_an_exports_folder_is_not_written_through(
    connect: Connect, upstream: Upstream, tmp_path: Path, kind: str, place: str, *, folder: bool
) -> None:
    upstream.default = answered
    root, outside = tmp_path / "root", tmp_path / "outside"
    root.mkdir()
    outside.mkdir()
    secret = outside / "secret.txt"
    secret.write_text("planted secret")
    tool, given = EXPORTS[kind]

    async with connect(files_root=root) as tools:
        made = await tools.call(tool, **given)
        export = Path(made.data["path"])
        # The id of an export can be foretold, so all of it may be planted.
        (export / "manifest.json").unlink()
        planted = export / place
        if folder:
            planted.rename(tmp_path / "moved")
        planted.unlink(missing_ok=True)
        planted.symlink_to(outside if folder else secret)
        again = await tools.call(tool, **given)

    assert secret.read_text() == "planted secret"
    assert [path.name for path in outside.iterdir()] == ["secret.txt"]
    assert again.status in {"ok", "partial", "failed"}
    assert again.status == "ok" or "could not be written" in again.text


def swapped_for_a_link(root: Path, secret: Path) -> None:
    (root / "deep" / "events.ndjson").unlink()
    (root / "deep" / "events.ndjson").symlink_to(secret)


def swapped_for_a_linked_folder(root: Path, secret: Path) -> None:
    (root / "deep").rename(root / "moved")
    (root / "deep").symlink_to(secret.parent)


def swapped_for_a_second_name(root: Path, secret: Path) -> None:
    (root / "deep" / "events.ndjson").unlink()
    (root / "deep" / "events.ndjson").hardlink_to(secret)


@pytest.mark.parametrize(
    "swap", [swapped_for_a_link, swapped_for_a_linked_folder, swapped_for_a_second_name]
)
def test_a_file_that_is_swapped_after_it_was_found_is_not_opened(
    tmp_path: Path, swap: Callable[[Path, Path], None]
) -> None:
    root, outside = tmp_path / "root", tmp_path / "outside"
    (root / "deep").mkdir(parents=True)
    outside.mkdir()
    secret = outside / "events.ndjson"
    secret.write_text("planted secret")
    (root / "deep" / "events.ndjson").write_text("{}\n")
    files = FilesRoot(root)
    (found,) = files.matching("*/*.ndjson")

    swap(root, secret)

    with pytest.raises(OutsideError), files.folder_of(found) as (folder, name):
        folder.read(name)


def test_a_folder_that_is_swapped_while_it_is_held_is_still_the_one_that_was_found(
    tmp_path: Path,
) -> None:
    root, outside = tmp_path / "root", tmp_path / "outside"
    (root / "deep").mkdir(parents=True)
    outside.mkdir()
    (outside / "events.ndjson").write_text("planted secret")
    (root / "deep" / "events.ndjson").write_text("own")

    with FilesRoot(root).folder_of("deep/events.ndjson") as (folder, name):
        swapped_for_a_linked_folder(root, outside / "events.ndjson")
        with folder.read(name) as file:
            content = file.read()
        folder.replace(f"{name}.checkpoint", b"{}")

    assert content == b"own"
    assert [path.name for path in outside.iterdir()] == ["events.ndjson"]
    assert (root / "moved" / "events.ndjson.checkpoint").read_bytes() == b"{}"


async def test_what_a_killed_import_leaves_is_not_meant_by_a_pattern(
    connect: Connect, upstream: Upstream, tmp_path: Path
) -> None:
    upstream.default = Reply(json={"code": 200, "num_records_imported": 1, "status": "OK"})
    known = {"distinct_id": "ada", "time": 1_767_268_800_000, "$insert_id": "e-1"}
    row = {"event": "Played", "properties": known}
    (tmp_path / "events.ndjson").write_text(json.dumps(row) + "\n")
    for left in (".checkpoint", ".checkpoint.incomplete", ".rejected.ndjson"):
        (tmp_path / f"events.ndjson{left}").write_text('{"version')

    async with connect(files_root=tmp_path) as tools:
        answer = await tools.call("import_events", file="events*")

    assert (answer.status, answer.data["read"]) == ("ok", 1)
