"""The files of one connection cannot be read, replaced or reached through another."""

import json
import os
import stat
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from doors import YESTERDAY
from harness import Era, Result, Tools
from two_projects import Pair, Project
from upstream import Reply

from mixpanel_mcp.operation import OPERATIONS

DAYS = {"from_date": YESTERDAY, "to_date": YESTERDAY}
BLOB: dict[str, Any] = {"url": "/api/app/blob", "method": "GET", "response_type": "binary"}
SEND: dict[str, Any] = {"url": "/api/app/me", "method": "POST", "confirm": True}


def play(project: Project) -> None:
    event = json.dumps({"event": project.canary, "properties": {"time": 1}})
    project.upstream.always("/api/2.0/export", Reply(body=f"{event}\n" * 201))
    project.upstream.always("/api/app/blob", Reply(body=project.canary.encode() * 10_000))


@pytest.fixture
def playing(pair: Pair) -> Pair:
    play(pair.shop)
    play(pair.blog)
    return pair


def files_in(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def names_in(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


async def both_kinds(tools: Tools, project: Project) -> list[Result]:
    name = project.name
    return [
        await tools.call("download_data", **DAYS, connection=name),
        await tools.call("raw_request", **BLOB, connection=name),
    ]


async def test_each_connection_writes_into_a_folder_of_its_own(
    playing: Pair, tmp_path: Path, era: Era
) -> None:
    old_mask = os.umask(0)
    try:
        async with playing.opened(era=era, files_root=tmp_path) as tools:
            for project in (playing.shop, playing.blog):
                for answer in await both_kinds(tools, project):
                    assert answer.status == "ok"
                    assert Path(answer.data["path"]).parent == tmp_path / project.name
    finally:
        os.umask(old_mask)

    assert names_in(tmp_path) == {"shop", "blog"}
    for project in (playing.shop, playing.blog):
        folder = tmp_path / project.name
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
        assert len(names_in(folder)) == 2
        for name, content in files_in(folder).items():
            assert project.canary.encode() in content
            assert playing.other(project).canary.encode() not in content
            assert stat.S_IMODE((folder / name).stat().st_mode) == 0o600


async def test_what_one_writes_leaves_the_others_files_alone(playing: Pair, tmp_path: Path) -> None:
    async with playing.opened(files_root=tmp_path) as tools:
        await both_kinds(tools, playing.shop)
        before = files_in(tmp_path / "shop")
        await both_kinds(tools, playing.blog)
        await both_kinds(tools, playing.blog)

    assert files_in(tmp_path / "shop") == before


async def test_a_connection_reads_its_own_files(playing: Pair, tmp_path: Path) -> None:
    async with playing.opened(files_root=tmp_path) as tools:
        (tmp_path / "blog" / "table.csv").write_text("id,name\n1,Ada\n")
        answer = await tools.call(
            "raw_request", **SEND, file_data={"f": "table.csv"}, connection="blog"
        )

    assert answer.status == "ok", answer.text
    assert b"1,Ada" in playing.blog.upstream.last.body
    assert playing.shop.upstream.requests == []


def ways_to(folder: Path, own: Path) -> Mapping[str, str]:
    """Paths by which `secret.csv` of another connection might be read, links put in place."""
    (own / "sub").mkdir()
    (own / "link").symlink_to("../blog")
    (own / "sub" / "up").symlink_to("../../blog")
    (own / "absolute").symlink_to(folder)
    (own / "file.csv").symlink_to(folder / "secret.csv")
    os.link(folder / "secret.csv", own / "hard.csv")
    return {
        "as its own": "secret.csv",
        "from the root": "blog/secret.csv",
        "up": "../blog/secret.csv",
        "up from a folder": "sub/../../blog/secret.csv",
        "escaped": "..%2fblog%2fsecret.csv",
        "backslash": "..\\blog\\secret.csv",
        "whole path": str(folder / "secret.csv"),
        "as address": f"file://{folder}/secret.csv",
        "link to the folder": "link/secret.csv",
        "link further down": "sub/up/secret.csv",
        "link by its whole path": "absolute/secret.csv",
        "link to the file": "file.csv",
        "second name": "hard.csv",
    }


async def test_no_path_leads_to_the_files_of_another(
    playing: Pair, tmp_path: Path, era: Era
) -> None:
    async with playing.opened(era=era, files_root=tmp_path) as tools:
        (tmp_path / "blog" / "secret.csv").write_text(f"id\n{playing.blog.canary}\n")
        ways = ways_to(tmp_path / "blog", tmp_path / "shop")
        answers = {
            way: await tools.call("raw_request", **SEND, file_data={"f": path}, connection="shop")
            for way, path in ways.items()
        }

    assert {way: answer.status for way, answer in answers.items()} == dict.fromkeys(ways, "refused")
    assert not [way for way, answer in answers.items() if playing.blog.canary in answer.text]
    assert playing.arrived == (0, 0)


async def test_a_folder_that_is_a_link_to_anothers_stops_the_start(
    playing: Pair, tmp_path: Path
) -> None:
    """Else both would have the same files."""
    (tmp_path / "shop").mkdir(mode=0o700)
    (tmp_path / "blog").symlink_to("shop")
    with pytest.raises(OSError, match="blog"):
        async with playing.opened(files_root=tmp_path):
            pass


async def test_a_folder_that_became_a_link_meanwhile_is_not_followed(
    playing: Pair, tmp_path: Path
) -> None:
    async with playing.opened(files_root=tmp_path) as tools:
        (tmp_path / "blog" / "secret.csv").write_text(f"id\n{playing.blog.canary}\n")
        (tmp_path / "shop").rmdir()
        (tmp_path / "shop").symlink_to("blog")
        read = await tools.call("raw_request", **SEND, file_data={"f": "secret.csv"})
        written = await tools.call("raw_request", **BLOB)

    assert (read.status, written.is_error) == ("refused", True)
    assert names_in(tmp_path / "blog") == {"secret.csv"}


async def test_a_folder_that_cannot_be_made_stops_the_start(playing: Pair, tmp_path: Path) -> None:
    (tmp_path / "blog").write_text("a file")
    with pytest.raises(OSError, match="blog") as stopped:
        async with playing.opened(files_root=tmp_path):
            pass
    assert str(stopped.value.filename) == str(tmp_path / "blog")


async def test_a_folder_of_an_earlier_start_is_used_again(playing: Pair, tmp_path: Path) -> None:
    for _ in range(2):
        async with playing.opened(files_root=tmp_path) as tools:
            await tools.call("raw_request", **BLOB, connection="blog")
    assert len(files_in(tmp_path / "blog")) == 2


async def test_a_folder_that_others_could_read_is_closed_to_them_or_refused(
    playing: Pair, tmp_path: Path
) -> None:
    (tmp_path / "blog").mkdir()
    (tmp_path / "blog").chmod(0o777)
    started = False
    with suppress(OSError):
        async with playing.opened(files_root=tmp_path):
            started = True
    assert not started or stat.S_IMODE((tmp_path / "blog").stat().st_mode) == 0o700


async def test_without_a_files_root_no_connection_has_files(playing: Pair) -> None:
    async with playing.opened() as tools:
        blob = await tools.call("raw_request", **BLOB, connection="blog")
        sent = await tools.call("raw_request", **SEND, file_data={"f": "a"}, connection="blog")

    assert (blob.status, sent.status) == ("partial", "refused")


def test_no_other_tool_takes_a_path() -> None:
    """Those above are all ways into the folders: a new one belongs among them."""
    with_files = {
        row.name for row in OPERATIONS.values() if "file_data" in row.arguments.model_fields
    }
    assert with_files == {"raw_request", "create_generic_pipeline", "edit_generic_pipeline"}
