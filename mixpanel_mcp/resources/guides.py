"""Guides for a model, as Markdown files in this package."""

import re
from functools import cache
from importlib.resources import files

from mixpanel_mcp.operations import OPERATIONS
from mixpanel_mcp.resources.kinds import Kind

_TOOL = re.compile(rf"`({'|'.join(OPERATIONS)})`")


def guide(kind: Kind, tool_prefix: str = "") -> str:
    """A guide's text, with tools under the names they have on this server."""
    return _TOOL.sub(rf"`{tool_prefix}\1`", _read(f"{kind.path}.md"))


@cache
def _read(path: str) -> str:
    """The file of a guide.

    Raises:
        FileNotFoundError: this installation lacks a part.
    """
    name = path.removeprefix("guide/")
    return (files("mixpanel_mcp.resources") / "guides" / name).read_text(encoding="utf-8")
