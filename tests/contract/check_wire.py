"""Check what the 21 tools send against Mixpanel's own OpenAPI files.

    python tests/contract/check_wire.py [FOLDER]

The folder is `../shared/openapi` beside the repository; where it is not there, the check says so
and passes. Every tool is driven with all its inputs by a real MCP client against an upstream that
records. The exit code tells.
"""

import asyncio
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

TESTS = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(TESTS), str(TESTS.parent)]

import mcp.types as t  # noqa: E402
from mcp import Client  # noqa: E402
from pydantic import SecretStr  # noqa: E402
from scenarios import SCENARIOS, Scenario  # noqa: E402
from seed_inputs import SEED_INPUTS  # noqa: E402
from upstream import Reply, Upstream, running_upstream  # noqa: E402
from wire import Spec, faults  # noqa: E402

from mixpanel_mcp.server import create_server  # noqa: E402
from mixpanel_mcp.settings import Connection, Policy, Settings  # noqa: E402

SPECS = ("ingestion", "identity", "query", "export", "data-pipelines")
# A region changes the host alone, a base URL too; files and a second body exclude what is checked.
UNCHECKED = {"region", "base_url", "project_token", "file_data", "file_data_file_names"}


async def check(folder: Path) -> list[str]:
    """Send everything, and list what no specification allows."""
    specs = {name: Spec(folder / f"{name}.openapi.yaml") for name in SPECS}
    found: list[str] = list(_unused_inputs())
    async with running_upstream() as upstream, _client(upstream) as client:
        for scenario in SCENARIOS:
            upstream.requests.clear()
            text = isinstance(scenario.reply, str)
            upstream.default = Reply(body=scenario.reply) if text else Reply(json=scenario.reply)
            place = f"{scenario.tool} -> {scenario.spec} {scenario.label}"
            answer = await client.call_tool(scenario.tool, _arguments(scenario))
            if len(upstream.requests) != 1:
                said = _text(answer)[:300]
                found.append(f"{place}: {len(upstream.requests)} requests instead of one: {said}")
                continue
            spec = specs[scenario.spec]
            wrong = faults(spec, scenario.label, scenario.method, upstream.last)
            found.extend(f"{place}: {fault}" for fault in wrong)
    await asyncio.sleep(0.05)  # the upstream hears that its client left
    return found


def _arguments(scenario: Scenario) -> dict[str, Any]:
    return {**scenario.arguments, **({"confirm": True} if scenario.confirm else {})}


def _text(answer: object) -> str:
    if not isinstance(answer, t.CallToolResult):
        return repr(answer)
    return "".join(block.text for block in answer.content if block.type == "text")


def _unused_inputs() -> list[str]:
    """Inputs that no scenario gives: the check would say nothing of them."""
    given: dict[str, set[str]] = {}
    for scenario in SCENARIOS:
        given.setdefault(scenario.tool, set()).update(scenario.arguments)
    passthrough = {name for names in given.values() for name in names}
    unused: list[str] = []
    for tool, (required, optional) in SEED_INPUTS.items():
        generic = tool in {"raw_request", "create_generic_pipeline", "edit_generic_pipeline"}
        seen = passthrough if generic else given.get(tool, set())
        unused += [
            f"{tool}: no scenario gives {name}"
            for name in (*required, *optional)
            if name not in seen | UNCHECKED
        ]
    return unused


@asynccontextmanager
async def _client(upstream: Upstream) -> AsyncGenerator[Client]:
    connection = Connection(
        username="robot",
        password=SecretStr("secret"),
        project_token=SecretStr("0123456789abcdef0123456789abcdef"),
        project_id=4242,
        base_url=upstream.url,
    )
    async with Client(create_server(Settings(connection, Policy()))) as client:
        yield client


def main() -> int:
    given = sys.argv[1:]
    folder = Path(given[0]) if given else TESTS.parent.parent / "shared" / "openapi"
    if not folder.is_dir():
        print(f"contract: {folder} is not there, so the wire is not checked")  # noqa: T201
        return 0
    found = asyncio.run(check(folder))
    for line in found:
        print(f"contract: {line}")  # noqa: T201
    checked = len({scenario.tool for scenario in SCENARIOS})
    verdict = f"{len(found)} faults" if found else "all as Mixpanel specifies it"
    print(f"contract: {len(SCENARIOS)} requests of {checked} tools: {verdict}")  # noqa: T201
    return 1 if found else 0


if __name__ == "__main__":
    raise SystemExit(main())
