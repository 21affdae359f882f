"""Finds the files: in the package in a wheel, at the top of the repository in a checkout."""

from collections.abc import Collection, Sequence
from functools import cache
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path

from mixpanel_mcp.prompts.front_matter import PromptFile, read_prompt

_PACKAGE = "mixpanel_mcp.prompts"
_CHECKOUT = Path(__file__).parents[2] / "prompts"


@cache
def read_prompts() -> Sequence[PromptFile]:
    """All prompts, by name; what a server may offer of them says `offered_prompts`.

    Raises:
        PromptFileError: a file is not as it should be.
        FileNotFoundError: there are none, so this installation lacks a part.
    """
    found = _markdown(files(_PACKAGE) / "files") or _markdown(_CHECKOUT)
    if not found:
        raise FileNotFoundError("mixpanel-mcp is installed without its prompts: install it again")
    return [read_prompt(file.name, file.read_text(encoding="utf-8")) for file in found]


def offered_prompts(tools: Collection[str]) -> list[PromptFile]:
    """The prompts that get by with these tools."""
    return [prompt for prompt in read_prompts() if prompt.tools <= set(tools)]


def _markdown(folder: Traversable) -> list[Traversable]:
    if not folder.is_dir():
        return []
    return sorted(
        (file for file in folder.iterdir() if file.name.endswith(".md")),
        key=lambda file: file.name,
    )
