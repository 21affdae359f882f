"""Views of the table of operations: for the terminal, for programs, for the README."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mixpanel_mcp.operation import Operation
from mixpanel_mcp.safety.hints import hints_of
from mixpanel_mcp.schemas import schema_of

_BEGIN = "<!-- tools: written by `mixpanel-mcp tools --write-readme` -->"
_END = "<!-- /tools -->"


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


def as_json(rows: Sequence[Operation], *, read_only: bool) -> str:
    """What a client sees of each tool, and where it comes from."""
    return json.dumps([_described(row, read_only=read_only) for row in rows], indent=2)


def as_markdown(rows: Sequence[Operation]) -> str:
    lines = ["| toolset | tool | effect | what it does |", "| --- | --- | --- | --- |"]
    lines += [
        f"| {row.toolset} | `{row.name}` | {row.effect.name.lower()} | {_first_line(row)} |"
        for row in rows
    ]
    return "\n".join(lines)


def with_table(readme: str, rows: Sequence[Operation]) -> str:
    """A README whose part between the two marks is the table."""
    before, _, rest = readme.partition(_BEGIN)
    _, _, after = rest.partition(_END)
    return f"{before}{_BEGIN}\n{as_markdown(rows)}\n{_END}{after}"


def write_readme(path: Path, rows: Sequence[Operation]) -> None:
    path.write_text(with_table(path.read_text(encoding="utf-8"), rows), encoding="utf-8")


def _first_line(row: Operation) -> str:
    return " ".join(row.description.split("\n\n")[0].split())


def _described(row: Operation, *, read_only: bool) -> dict[str, Any]:
    hints = hints_of(row, read_only=read_only)
    return {
        "name": row.name,
        "title": row.title,
        "toolset": row.toolset,
        "effect": row.effect.name.lower(),
        "docs": row.docs,
        "description": row.description,
        "annotations": hints.model_dump(mode="json", by_alias=True, exclude_none=True),
        "inputSchema": schema_of(row.arguments),
    }
