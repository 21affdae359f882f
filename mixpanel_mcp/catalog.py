"""Views of the table of operations: for the terminal, for programs, for the README."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mixpanel_mcp.operation import Operation
from mixpanel_mcp.prompts import PromptFile, offered_prompts
from mixpanel_mcp.resources import KINDS
from mixpanel_mcp.safety.hints import hints_of
from mixpanel_mcp.schemas import schema_of
from mixpanel_mcp.settings import (
    CONNECTION_NAMES,
    CONNECTION_PREFIX,
    HOSTING_NAMES,
    POLICY_NAMES,
    POLICY_PREFIX,
    Connection,
    Hosting,
    Policy,
    Settings,
)

_WRITTEN_BY = "written by `mixpanel-mcp tools --write-readme`"


def as_text(rows: Sequence[Operation]) -> str:
    """Columns for a terminal."""
    cells = [("tool", "toolset", "effect", "what it does")]
    cells += [(row.name, row.toolset, row.effect.name.lower(), _first_line(row)) for row in rows]
    widths = [max(len(cell[column]) for cell in cells) for column in range(3)]
    lines = [
        "  ".join([*(cell[column].ljust(widths[column]) for column in range(3)), cell[3]])
        for cell in cells
    ]
    return "\n".join(lines)


def as_json(rows: Sequence[Operation], settings: Settings) -> str:
    """What a client sees of each tool, and where it comes from."""
    return json.dumps([_described(row, settings) for row in rows], indent=2)


def as_markdown(rows: Sequence[Operation]) -> str:
    lines = ["| toolset | tool | effect | what it does |", "| --- | --- | --- | --- |"]
    lines += [
        f"| {row.toolset} | `{row.name}` | {row.effect.name.lower()} | {_first_line(row)} |"
        for row in rows
    ]
    return "\n".join(lines)


def prompts_as_markdown(rows: Sequence[Operation]) -> str:
    """The prompts that get by with these tools."""
    lines = ["| prompt | arguments | what it does |", "| --- | --- | --- |"]
    lines += [
        f"| `{prompt.name}` | {_arguments(prompt)} | {prompt.description} |"
        for prompt in offered_prompts({row.name for row in rows})
    ]
    return "\n".join(lines)


def resources_as_markdown(rows: Sequence[Operation]) -> str:
    """The resources of which these tools leave something to read."""
    lines = ["| resource | what it shows |", "| --- | --- |"]
    lines += [
        f"| `{kind.uri}` | {kind.description} |"
        for kind in KINDS
        if kind.is_offered({row.name for row in rows})
    ]
    return "\n".join(lines)


_Described = tuple[str, type[Connection | Policy | Hosting], Sequence[str]]


def settings_as_markdown() -> str:
    """What every server may be told."""
    return _settings(
        (CONNECTION_PREFIX, Connection, CONNECTION_NAMES), (POLICY_PREFIX, Policy, POLICY_NAMES)
    )


def hosting_as_markdown() -> str:
    """What a hosted server may be told besides."""
    return _settings((POLICY_PREFIX, Hosting, HOSTING_NAMES))


def _settings(*kinds: _Described) -> str:
    """Settings, with what they mean and what holds without them."""
    lines = ["| setting | meaning | if unset |", "| --- | --- | --- |"]
    for prefix, model, names in kinds:
        for name in names:
            field = model.model_fields[name]
            default = "" if field.default in (None, (), "", False) else f"`{field.default}`"
            lines.append(f"| `{prefix}{name.upper()}` | {field.description} | {default} |")
    return "\n".join(lines)


def with_tables(readme: str, rows: Sequence[Operation]) -> str:
    """A README whose parts between marks are what the code says."""
    readme = _between(readme, "tools", as_markdown(rows))
    readme = _between(readme, "resources", resources_as_markdown(rows))
    readme = _between(readme, "prompts", prompts_as_markdown(rows))
    readme = _between(readme, "hosting", hosting_as_markdown())
    return _between(readme, "settings", settings_as_markdown())


def write_readme(path: Path, rows: Sequence[Operation]) -> None:
    path.write_text(with_tables(path.read_text(encoding="utf-8"), rows), encoding="utf-8")


def _between(readme: str, name: str, table: str) -> str:
    begin, end = f"<!-- {name}: {_WRITTEN_BY} -->", f"<!-- /{name} -->"
    if begin not in readme or end not in readme:
        raise ValueError(f"it has no {begin} ... {end}")
    before, _, rest = readme.partition(begin)
    _, _, after = rest.partition(end)
    return f"{before}{begin}\n{table}\n{end}{after}"


def _first_line(row: Operation) -> str:
    return " ".join(row.description.split("\n\n")[0].split())


def _arguments(prompt: PromptFile) -> str:
    return ", ".join(
        f"`{argument.name}`" if argument.required else f"`{argument.name}` (optional)"
        for argument in prompt.arguments
    )


def _described(row: Operation, settings: Settings) -> dict[str, Any]:
    hints = hints_of(row, read_only=settings.policy.read_only)
    return {
        "name": row.name,
        "title": row.title,
        "toolset": row.toolset,
        "effect": row.effect.name.lower(),
        "docs": row.docs,
        "description": row.description,
        "annotations": hints.model_dump(mode="json", by_alias=True, exclude_none=True),
        "inputSchema": schema_of(row.arguments, settings.choice),
    }
