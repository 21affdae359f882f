"""What a client can offer while somebody fills in a template: what is known.

Only the first completion waits, and only a moment.
"""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from itertools import chain

import mcp.types as t

from mixpanel_mcp.prompts import Source, invalid, sifted
from mixpanel_mcp.resources.addresses import AddressError, Format
from mixpanel_mcp.resources.entries import (
    COLLECTIONS,
    FUNNEL_COLLECTION,
    PIPELINE_COLLECTION,
    Collection,
    Entry,
)
from mixpanel_mcp.resources.kinds import Kind
from mixpanel_mcp.resources.library import Library
from mixpanel_mcp.resources.place import Place
from mixpanel_mcp.sanitize import clean, quoted


class TemplateCompletions:
    """Answers `completion/complete` for templates of resources."""

    def __init__(self, library: Library) -> None:
        self._library = library

    async def complete(
        self,
        ref: t.ResourceTemplateReference,
        argument: t.CompletionArgument,
        context: t.CompletionContext | None = None,
    ) -> t.Completion:
        """Candidates that begin with what was typed; for a funnel's id also by its name.

        Raises:
            MCPError: there is no such template, or it has no such variable.
        """
        kind = self._template(ref.uri)
        if argument.name == "format":
            return sifted([each.value for each in Format], argument.value)
        if argument.name == "connection" and len(self._library.places) > 1:
            return sifted(list(self._library.places), argument.value)
        if argument.name != kind.variable:
            raise invalid(f"Template {kind.uri} has no variable {quoted(argument.name)}.")
        chosen = (context.arguments or {}).get("connection") if context else None
        try:
            place = self._library.place(chosen or None)
        except AddressError as error:
            raise invalid(str(error)) from error
        collection = next(each for each in COLLECTIONS if each.each is kind)
        known = await _offered(place, collection)
        if collection is FUNNEL_COLLECTION and not argument.value.strip().isdigit():
            # Ids are hard to remember: whoever types letters means a name.
            typed = argument.value.strip().casefold()
            return sifted([each.key for each in known if typed in each.name.casefold()], "")
        return sifted([each.key for each in known], argument.value)

    def _template(self, uri: str) -> Kind:
        for kind in self._library.kinds:
            if kind.variable and uri.partition("{?")[0] == kind.uri:
                return kind
        raise invalid(f"There is no template {quoted(uri)}.")


def listing_sources(library: Library) -> Mapping[str, Source]:
    """Candidates for the prompts' arguments that mean a funnel or a pipeline.

    A prompt has no argument for the connection, so it is offered what any of them has.
    """

    async def everywhere(collection: Collection) -> list[Entry]:
        places = library.places.values()
        found = await asyncio.gather(*(_offered(place, collection) for place in places))
        return list(chain.from_iterable(found))

    async def funnels(typed: str) -> Sequence[str]:
        by_id = typed.strip().isdigit()
        known = await everywhere(FUNNEL_COLLECTION)
        return _each_once(each.key if by_id else each.name for each in known)

    async def pipelines(typed: str) -> Sequence[str]:
        del typed
        return _each_once(each.name for each in await everywhere(PIPELINE_COLLECTION))

    return {"funnel": funnels, "pipeline": pipelines}


async def _offered(place: Place, collection: Collection) -> list[Entry]:
    """What is known and can be offered as it is.

    A name that hides something is only in lists, defused: there its URI tells it from others.
    """
    return [
        each
        for each in await place.known(collection)
        if clean(each.name) == each.name and place.redact.text(each.name) == each.name
    ]


def _each_once(values: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(values))
