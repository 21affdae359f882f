"""What a client can offer while somebody fills in a template: what is known, and at once."""

from collections.abc import Mapping, Sequence

import mcp.types as t

from mixpanel_mcp.prompts import Source, invalid, sifted
from mixpanel_mcp.resources.addresses import AddressError, Format
from mixpanel_mcp.resources.entries import (
    COLLECTIONS,
    FUNNEL_COLLECTION,
    PIPELINE_COLLECTION,
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
        known = [each for each in place.known(collection) if _is_plain(each, place)]
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
    """Candidates for the prompts' arguments that mean a funnel or a pipeline."""

    async def funnels(typed: str) -> Sequence[str]:
        place = library.place(None)
        known = [each for each in place.known(FUNNEL_COLLECTION) if _is_plain(each, place)]
        by_id = typed.strip().isdigit()
        return [each.key if by_id else each.name for each in known]

    async def pipelines(typed: str) -> Sequence[str]:
        del typed
        place = library.place(None)
        return [each.name for each in place.known(PIPELINE_COLLECTION) if _is_plain(each, place)]

    return {"funnel": funnels, "pipeline": pipelines}


def _is_plain(entry: Entry, place: Place) -> bool:
    """Whether a name can be offered as it is: what hides something is only in lists, defused."""
    return clean(entry.name) == entry.name and place.redact.text(entry.name) == entry.name
