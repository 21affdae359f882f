"""What a client can offer while a person fills in a prompt's argument.

A source belongs to an argument's name. Those here know their values without a request; whoever
knows names and ids from Mixpanel adds sources of the same shape in `server.py`.
"""

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from datetime import timedelta

import mcp.types as t

from mixpanel_mcp.prompts.front_matter import PromptFile
from mixpanel_mcp.prompts.rendering import Today, invalid, utc_today
from mixpanel_mcp.sanitize import quoted

# Takes what was typed, and returns candidates, best first; they are sifted here.
Source = Callable[[str], Awaitable[Sequence[str]]]

# The protocol's bound for one answer.
_MOST_VALUES = 100
_MOST_DAYS = 31

_PERIODS = (
    "today",
    "yesterday",
    "last 7 days",
    "last 30 days",
    "this week",
    "last week",
    "this month",
    "last month",
)


def prompt_sources(today: Today = utc_today) -> dict[str, Source]:
    """The sources that need no request."""

    async def periods(typed: str) -> Sequence[str]:
        if not typed[:1].isdigit():
            return _PERIODS
        return [(today() - timedelta(days=back)).isoformat() for back in range(_MOST_DAYS)]

    return {"period": periods}


class Completions:
    """Answers `completion/complete` for prompts, and nothing for other references."""

    def __init__(self, prompts: Iterable[PromptFile], sources: Mapping[str, Source]) -> None:
        self._arguments = {
            prompt.name: [argument.name for argument in prompt.arguments] for prompt in prompts
        }
        self._sources = sources

    async def complete(
        self,
        ref: t.PromptReference | t.ResourceTemplateReference,
        argument: t.CompletionArgument,
        context: t.CompletionContext | None = None,
    ) -> t.Completion | None:
        """Candidates that begin with what was typed, in any letter case.

        Raises:
            MCPError: there is no such prompt, or it has no such argument.
        """
        del context  # no argument's values depend on another's yet
        if not isinstance(ref, t.PromptReference):
            return None
        if ref.name not in self._arguments:
            raise invalid(f"There is no prompt {quoted(ref.name)}.")
        if argument.name not in self._arguments[ref.name]:
            raise invalid(f"Prompt {ref.name} has no argument {quoted(argument.name)}.")
        source = self._sources.get(argument.name)
        return None if source is None else sifted(await source(argument.value), argument.value)


def sifted(candidates: Sequence[str], typed: str) -> t.Completion:
    """The candidates that begin with what was typed, in any letter case, and how many there are."""
    begun = typed.strip().casefold()
    fitting = [value for value in candidates if value.strip().casefold().startswith(begun)]
    return t.Completion(
        values=fitting[:_MOST_VALUES],
        total=len(fitting),
        has_more=len(fitting) > _MOST_VALUES,
    )
