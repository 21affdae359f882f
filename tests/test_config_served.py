"""A server of several projects as a host starts it: a file, a process, and two Mixpanels."""

import os
import subprocess
import sys
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from config_files import SECRET, write_private
from harness import Era, Tools
from mcp import Client, StdioServerParameters
from two_projects import Pair
from upstream import Reply

EVENT = {"event": "A", "properties": {"distinct_id": "ada"}}


@asynccontextmanager
async def served(
    *flags: str, era: Era, environment: Mapping[str, str] | None = None
) -> AsyncGenerator[Tools]:
    parameters = StdioServerParameters(
        command=sys.executable,
        args=["-m", "mixpanel_mcp", "serve", *flags],
        env=dict(environment or {}),
    )
    async with Client(parameters, mode=era, read_timeout_seconds=20) as client:
        yield Tools(client)


def start(*flags: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Start a server whose host is gone already: it ends at once, if it comes up at all."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("MIXPANEL")}
    return subprocess.run(  # noqa: S603 - our own command
        [sys.executable, "-m", "mixpanel_mcp", "serve", *flags],
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
        stdin=subprocess.DEVNULL,
        env={**kept, **environment},
    )


@pytest.fixture
def config(pair: Pair, tmp_path: Path) -> Path:
    """Secrets in all three ways: in the file, in a variable, in files beside it."""
    write_private(tmp_path / "keys" / "blog", pair.blog.password + "\n")
    write_private(tmp_path / "keys" / "blog-token", pair.blog.token)
    text = (
        f"{pair.shop.table()}password = 'env:SHOP_PASSWORD'\nproject_token = '{pair.shop.token}'\n"
        f"{pair.blog.table()}password = 'file:keys/blog'\nproject_token = 'file:keys/blog-token'\n"
    )
    return write_private(tmp_path / "mixpanel.toml", text)


async def test_a_file_makes_a_server_of_two_projects(pair: Pair, config: Path, era: Era) -> None:
    for project in (pair.shop, pair.blog):
        funnels = Reply(json=[{"funnel_id": 1, "name": project.canary}])
        project.upstream.always("/api/query/funnels/list", funnels)
        project.upstream.default = Reply(json={"status": 1, "error": None})
    environment = {"MIXPANEL_MCP_CONFIG": str(config), "SHOP_PASSWORD": pair.shop.password}

    async with served(era=era, environment=environment) as tools:
        listed = await tools.client.list_tools()
        for name in ("shop", "blog"):
            read = await tools.call("list_saved_funnels", connection=name)
            write = await tools.call("track_events", events=[EVENT], connection=name)
            assert (read.status, write.status) == ("ok", "ok")
            assert f"canary-data-{name}" in read.text
        wrong = await tools.call("list_saved_funnels", connection="app")

    for tool in listed.tools:
        assert tool.input_schema["properties"]["connection"]["enum"] == ["shop", "blog"]
    assert (wrong.status, wrong.is_error) == ("refused", True)
    assert pair.arrived == (2, 2)
    for project in (pair.shop, pair.blog):
        read, write = project.upstream.requests
        assert read.headers["authorization"] == project.authorizations[0]
        assert project.token in write.content.decode()


async def test_the_sandbox_stands_in_for_all_of_them(
    pair: Pair, config: Path, tmp_path: Path, era: Era
) -> None:
    flags = ("--sandbox", "--config", str(config), "--files-root", str(tmp_path))
    environment = {"SHOP_PASSWORD": pair.shop.password}
    async with served(*flags, era=era, environment=environment) as tools:
        listed = await tools.client.list_tools()
        read = await tools.call("list_saved_funnels")
        named = await tools.call("list_saved_funnels", connection="blog")
        write = await tools.call("track_events", events=[EVENT])

    assert all("connection" not in tool.input_schema["properties"] for tool in listed.tools)
    assert (read.status, named.status, write.status) == ("ok", "refused", "ok")
    for answer in (read, write):
        assert answer.structured["scope"]["sandbox"] is True
        assert answer.structured["scope"]["project"] == 1_000_001
    assert pair.arrived == (0, 0)


def test_a_file_that_is_right_starts_a_server_that_says_nothing(pair: Pair, config: Path) -> None:
    ran = start("--config", str(config), SHOP_PASSWORD=pair.shop.password)
    assert (ran.returncode, ran.stdout, ran.stderr) == (0, "", "")


def test_a_file_that_is_wrong_stops_the_start_with_every_fault(tmp_path: Path) -> None:
    text = (
        f"[connections.shop]\npassword = '{SECRET}'\nregion = 'mars'\n"
        "[connections.blog]\nproject_token = 'env:NOT_THERE'\nprojectid = 5\n"
    )
    config = write_private(tmp_path / "mixpanel.toml", text, 0o644)
    ran = start("--config", str(config), MIXPANEL_USER=SECRET)
    assert (ran.returncode, ran.stdout) == (2, "")
    first, *faults = ran.stderr.splitlines()
    assert first == "mixpanel-mcp did not start:"
    assert len(faults) == 5, ran.stderr
    assert SECRET not in ran.stderr


def test_a_pipe_for_a_file_does_not_keep_the_start_waiting(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    ran = start("--config", str(tmp_path / "pipe"))
    assert ran.returncode == 2
    assert ran.stderr.splitlines()[1:] == ["  --config: is no file that exists"]


@pytest.mark.parametrize("flag", ["--files-root", "MIXPANEL_MCP_FILES_ROOT"])
def test_a_folder_that_cannot_be_made_is_said_by_the_setting_it_came_from(
    pair: Pair, config: Path, tmp_path: Path, flag: str
) -> None:
    root = tmp_path / "files"
    write_private(root / "blog", "a file where a folder should be")
    by_flag = flag.startswith("--")
    given = (flag, str(root)) if by_flag else ()
    environment = {} if by_flag else {flag: str(root)}
    ran = start("--config", str(config), *given, SHOP_PASSWORD=pair.shop.password, **environment)
    assert (ran.returncode, ran.stdout) == (2, "")
    (fault,) = ran.stderr.splitlines()[1:]
    assert fault.startswith(f"  {flag}: {root / 'blog'} cannot be written")
