"""From `mixpanel-mcp token new` to a call: the hosted server as an operator starts it."""

import asyncio
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import httpx2
from config_files import write_private
from processes import bare_environment, connection_to
from team_house import NO_TLS, House, bearer
from upstream import Reply, Upstream


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(  # noqa: S603 - our own command
        [sys.executable, "-m", "mixpanel_mcp", *arguments],
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
        env=bare_environment(),
    )


async def answered(house: House) -> None:
    """Wait until somebody listens; the test's own limit ends it otherwise."""
    async with httpx2.AsyncClient(verify=NO_TLS) as http:
        while True:
            try:
                await http.get(f"{house.origin}/healthz")
            except httpx2.TransportError:
                await asyncio.sleep(0.05)
            else:
                return


async def test_a_new_token_lets_its_caller_in_and_shows_up_nowhere(
    upstream: Upstream, tmp_path: Path, unused_port: Callable[[], int]
) -> None:
    upstream.default = Reply(json=[{"funnel_id": 1, "name": "F"}])
    made = json.loads(run("token", "new", "analytics", "--json").stdout)
    config = write_private(tmp_path / "mixpanel.toml", f'{made["toml"]}\ntoolsets = ["reports"]\n')
    port = unused_port()
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "mixpanel_mcp", "serve", "--transport", "http"),
        *("--port", str(port), "--config", str(config), "--log-level", "debug"),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env=bare_environment(connection_to(upstream)),
    )
    house = House(f"http://127.0.0.1:{port}")
    try:
        await answered(house)
        assert (await house.post(bearer(made["token_sha256"]))).status_code == 401
        async with house.opened(headers=bearer(made["token"])) as tools:
            names = {tool.name for tool in (await tools.client.list_tools()).tools}
            assert "list_saved_funnels" in names
            assert "track_events" not in names
            assert (await tools.call("list_saved_funnels")).status == "ok"
    finally:
        process.terminate()
        output, errors = await asyncio.wait_for(process.communicate(), 20)
    assert len(upstream.requests) == 1
    said = (output + errors).decode()
    assert made["token"] not in said
    assert made["token_sha256"] not in said


def test_a_caller_who_could_do_nothing_stops_the_start(tmp_path: Path) -> None:
    lines = f'token_sha256 = "{"1" * 64}"\nread_only = true\ntoolsets = ["identities"]'
    config = write_private(tmp_path / "mixpanel.toml", f"[callers.idle]\n{lines}\n")
    ran = run("serve", "--transport", "http", "--config", str(config))
    assert ran.returncode == 2
    assert "callers.idle: what the policy leaves of its toolsets is no tool at all" in ran.stderr
