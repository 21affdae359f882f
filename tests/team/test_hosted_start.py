"""How a hosted server is started, and what keeps it from starting."""

import socket
import subprocess
import sys
from typing import Any

import pytest
from hosted_server import UNCLOSED_STREAMS, WAYS, Way, client_of
from processes import bare_environment
from serving import serving_process

pytestmark = UNCLOSED_STREAMS


def refused(*flags: str, **variables: str) -> str:
    """What a start says that fails."""
    ran = subprocess.run(  # noqa: S603 - our own interpreter
        [sys.executable, "-m", "mixpanel_mcp", "serve", *flags],
        env=bare_environment(variables),
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
        stdin=subprocess.DEVNULL,
    )
    assert ran.returncode == 2
    assert ran.stdout == ""
    return ran.stderr


async def test_it_says_once_where_it_listens_and_works_on_the_sandbox() -> None:
    async with serving_process("--sandbox", "--sse") as server:
        for way in WAYS:
            assert await _funnels(server.origin, way)

    assert server.url.startswith("http://127.0.0.1:")
    assert len([line for line in server.lines if "listens on" in line]) == 1
    assert f"{server.origin}/sse" in server.lines[-1]


async def _funnels(origin: str, way: Way) -> Any:
    async with client_of(origin, way) as client:
        answer: Any = await client.call_tool("list_saved_funnels", {})
    assert answer.structured_content["scope"]["sandbox"] is True
    return answer.structured_content["data"]


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "example.com", "127.1"])  # noqa: S104
def test_it_does_not_listen_to_other_machines_without_knowing_callers(host: str) -> None:
    said = refused("--transport", "http", "--host", host)

    assert "--host" in said
    assert "token_sha256" in said
    assert "127.0.0.1" in said


def test_the_same_holds_for_variables() -> None:
    said = refused(MIXPANEL_MCP_TRANSPORT="http", MIXPANEL_MCP_HOST="0.0.0.0")  # noqa: S104

    assert "MIXPANEL_MCP_HOST" in said


def test_flags_of_the_hosted_server_are_faults_without_it() -> None:
    said = refused("--sse", "--stateless", "--port", "0", "--allowed-host", "a.example")

    for flag in ("--sse", "--stateless", "--port", "--allowed-host"):
        assert f"{flag}: is for the hosted server alone; add --transport http" in said


def test_every_fault_is_listed_at_once() -> None:
    flags = ("--allowed-host", "https://a.example", "--allowed-origin", "*", "--port", "70000")
    said = refused("--transport", "http", *flags)

    for flag in ("--allowed-host", "--allowed-origin", "--port"):
        assert flag in said


def test_a_bad_value_hides_no_setting_that_does_not_fit_the_others() -> None:
    said = refused("--transport", "http", "--host", "192.0.2.1", "--port", "70000")

    assert "--port" in said
    assert "--host" in said


def test_a_port_that_is_taken_is_named() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        said = refused("--transport", "http", "--port", str(port))

    assert f"127.0.0.1:{port}" in said
