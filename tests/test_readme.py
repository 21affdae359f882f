"""The README's derived parts are what the code says now."""

import json
import re
from pathlib import Path

from mixpanel_mcp.catalog import with_tables
from mixpanel_mcp.operations import OPERATIONS
from mixpanel_mcp.prompts import read_prompts

README = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")


def test_the_tables_are_those_the_code_writes() -> None:
    written = with_tables(README, list(OPERATIONS.values()))
    assert written == README, "run `mixpanel-mcp tools --write-readme`"
    assert all(f"| `{prompt.name}` |" in README for prompt in read_prompts())


def test_the_configuration_examples_are_json() -> None:
    blocks: list[str] = re.findall(r"```json\n(.*?)```", README, re.DOTALL)
    assert blocks
    for block in blocks:
        server = json.loads(block)["mcpServers"]["mixpanel"]
        assert server["command"].startswith("/")


def test_the_first_commands_are_in_the_makefile() -> None:
    makefile = (Path(__file__).parents[1] / "Makefile").read_text(encoding="utf-8")
    first_block = README.split("```sh\n")[1].split("```")[0]
    for line in first_block.strip().splitlines():
        target = line.split()[1]
        assert f"\n{target}:" in makefile
