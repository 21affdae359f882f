"""Prompts: instructions in Markdown files that a person starts from, for a model with our tools."""

from mixpanel_mcp.prompts.completions import Completions, Source, prompt_sources, sifted
from mixpanel_mcp.prompts.files import offered_prompts, read_prompts
from mixpanel_mcp.prompts.front_matter import Argument, PromptFile, PromptFileError
from mixpanel_mcp.prompts.rendering import PromptServer, add_prompts, invalid

__all__ = [
    "Argument",
    "Completions",
    "PromptFile",
    "PromptFileError",
    "PromptServer",
    "Source",
    "add_prompts",
    "invalid",
    "offered_prompts",
    "prompt_sources",
    "read_prompts",
    "sifted",
]
