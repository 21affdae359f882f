"""The files for hosts are what each host reads, and really start the server."""

import base64
import json
import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from harness import Era
from host_formats import FORMATS
from jsonschema import Draft202012Validator
from mcp import Client, MCPError, StdioServerParameters
from upstream import Reply, Upstream

from mixpanel_mcp.settings import CONNECTION_NAMES, CONNECTION_PREFIX

HOSTS = Path(__file__).parents[2] / "examples" / "hosts"
EXAMPLES = HOSTS.parent / "README.md"

# What a person has in their environment, or types when VS Code asks.
SECRETS = {"MIXPANEL_PASSWORD", "MIXPANEL_PROJECT_TOKEN"}
GIVEN = {
    "MIXPANEL_USERNAME": "robot",
    "MIXPANEL_PASSWORD": "canary-password-b1946ac9",
    "MIXPANEL_PROJECT_TOKEN": "canarytoken0123456789abcdef01234",
    "MIXPANEL_PROJECT_ID": "4242",
}
TYPED = {name.lower().replace("_", "-"): value for name, value in GIVEN.items()}

every_file = pytest.mark.parametrize("file", FORMATS)
files_of_projects = pytest.mark.parametrize(
    "file", [file for file in FORMATS if not file.startswith("sandbox")]
)


@dataclass(frozen=True)
class Start:
    """What a host would run."""

    command: str
    arguments: list[str]
    environment: dict[str, str]


def read(file: str) -> dict[str, Any]:
    return json.loads((HOSTS / file).read_text(encoding="utf-8"))


def server_in(file: str) -> dict[str, Any]:
    (server,) = read(file)[FORMATS[file].key].values()
    return server


def start_of(file: str) -> Start:
    """Do to a file what its host does before it starts a server."""
    server, expand = server_in(file), FORMATS[file].expand
    environment = {
        name: expand(value, {**GIVEN, **TYPED}) for name, value in server.get("env", {}).items()
    }
    return Start(server["command"], list(server["args"]), environment)


def here(start: Start, **more: str) -> StdioServerParameters:
    """The same start with this installation in the place of the one that a file names."""
    arguments = list(start.arguments)
    if start.command == "uvx":
        source, package, command = arguments.pop(0), arguments.pop(0), arguments.pop(0)
        assert (source, command) == ("--from", "mixpanel-mcp")
        assert re.fullmatch(r"/absolute/path/to/mixpanel-mcp\[sandbox\]", package)
    else:
        # Hosts start servers with little or no PATH.
        assert start.command == "/absolute/path/to/mixpanel-mcp/.venv/bin/mixpanel-mcp"
    return StdioServerParameters(
        command=sys.executable,
        args=["-m", "mixpanel_mcp", *arguments],
        env={**start.environment, **more},
    )


@every_file
def test_a_file_is_what_its_host_reads(file: str) -> None:
    validator: Any = Draft202012Validator(dict(FORMATS[file].schema))
    validator.validate(read(file))


@every_file
def test_a_file_names_the_host_s_own_place(file: str) -> None:
    """Hidden folders are part of it: copied as it is, each file lies where its host looks."""
    assert f"](hosts/{file})" in EXAMPLES.read_text(encoding="utf-8")


def test_there_is_no_other_file() -> None:
    there = {str(path.relative_to(HOSTS)) for path in HOSTS.rglob("*") if path.is_file()}
    assert there == set(FORMATS)


@files_of_projects
def test_a_file_sets_what_a_project_needs_and_nothing_unknown(file: str) -> None:
    names = set(server_in(file)["env"])
    assert set(GIVEN) <= names
    assert names <= {CONNECTION_PREFIX + name.upper() for name in CONNECTION_NAMES}


@files_of_projects
def test_no_secret_is_written_where_the_host_can_put_it_in(file: str) -> None:
    server = server_in(file)
    for name in SECRETS:
        written = server["env"][name]
        if FORMATS[file].knows_variables:
            assert written.startswith("$")
            assert start_of(file).environment[name] == GIVEN[name]
        else:
            assert " of your " in written  # says what belongs there, and is nothing like it
    assert "$" not in "".join(start_of(file).environment.values())


def test_vs_code_asks_for_every_value_once_and_hides_the_secrets() -> None:
    file = "vscode/.vscode/mcp.json"
    asked = {entry["id"]: entry.get("password", False) for entry in read(file)["inputs"]}
    used = {value[len("${input:") : -1] for value in server_in(file)["env"].values()}
    assert set(asked) == used
    hidden = {name.lower().replace("_", "-") for name in SECRETS}
    assert {name for name, password in asked.items() if password} == hidden


def basic(environment: Mapping[str, str]) -> str:
    account = f"{environment['MIXPANEL_USERNAME']}:{environment['MIXPANEL_PASSWORD']}"
    return "Basic " + base64.b64encode(account.encode()).decode()


@files_of_projects
async def test_a_file_starts_a_server_with_the_project_s_credentials(
    upstream: Upstream, file: str, era: Era
) -> None:
    upstream.default = Reply(json=[])
    start = start_of(file)
    # The base URL alone is ours: nothing of a test may reach Mixpanel.
    parameters = here(start, MIXPANEL_BASE_URL=upstream.url)
    async with Client(parameters, mode=era, read_timeout_seconds=20) as client:
        listed = await client.list_tools()
        await client.call_tool("list_saved_funnels", {})

    assert "list_saved_funnels" in {tool.name for tool in listed.tools}
    (request,) = upstream.requests
    assert request.headers["authorization"] == basic(start.environment)
    assert dict(request.query)["project_id"] == start.environment["MIXPANEL_PROJECT_ID"]


async def test_the_sandbox_s_file_needs_no_credentials(era: Era) -> None:
    start = start_of("sandbox/.mcp.json")
    assert start.environment == {}
    async with Client(here(start), mode=era, read_timeout_seconds=20) as client:
        listed = await client.list_tools()
        answer = await client.call_tool("list_pipelines", {})

    assert len(listed.tools) > 1
    assert answer.structured_content is not None
    assert answer.structured_content["scope"]["sandbox"] is True


@pytest.mark.parametrize(
    "wrong",
    [{"MIXPANEL_USER": "robot"}, {"MIXPANEL_MCP_READONLY": "1"}, {"MIXPANEL_PROJECT_ID": "${X}"}],
    ids=["near miss", "unknown setting", "a variable that nobody put in"],
)
async def test_a_file_with_a_wrong_setting_starts_nothing(wrong: dict[str, str]) -> None:
    """So a start in the tests above proves that the names and values of a file are right."""
    start = start_of("cursor/.cursor/mcp.json")
    with pytest.raises((MCPError, ExceptionGroup)):
        async with Client(here(start, **wrong), mode="legacy", read_timeout_seconds=20):
            pass
