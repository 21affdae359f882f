"""What a finished tool call means for resources: what it changed, and where its answer leads."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote

import mcp.types as t

from mixpanel_mcp.json_values import is_list, is_object
from mixpanel_mcp.operation import Answer, Arguments
from mixpanel_mcp.operations.pipelines import found_no_pipeline
from mixpanel_mcp.resources.entries import (
    COLLECTIONS,
    FUNNEL_COLLECTION,
    PIPELINE_COLLECTION,
    Collection,
    Entry,
    entry,
)
from mixpanel_mcp.resources.library import Library
from mixpanel_mcp.resources.place import Place
from mixpanel_mcp.sanitize import clean

# Each link costs the model some sixty tokens; the whole list is in the collection's resource.
_MOST_LINKS = 10

_TYPED = {"create_gcs_pipeline": "create", "edit_gcs_pipeline": "edit", "delete_pipeline": "cancel"}
_UNTYPED = {"create_generic_pipeline", "edit_generic_pipeline", "raw_request"}
_ENDPOINT = "nessie/pipeline/"


def _entries_of(names: Sequence[str]) -> list[Entry]:
    return [found for name in names if (found := entry(name, name))]


@dataclass(frozen=True)
class Change:
    """A pipeline was created, edited or cancelled (Mixpanel's verbs); names as far as known."""

    verb: str
    names: Sequence[str]

    @property
    def entries(self) -> list[Entry]:
        return _entries_of(self.names)


class Follower:
    """Follows tool calls, so that listings stay right and clients are told."""

    def __init__(self, library: Library) -> None:
        self._library = library

    async def after(
        self, tool: str, arguments: Arguments, answer: Answer | None, connection: str
    ) -> list[t.ResourceLink]:
        """Take note of a call, and get the links that belong to its answer.

        Args:
            tool: the operation's name.
            arguments: what it ran with.
            answer: None where it is not known whether the call did something.
            connection: the name of the connection it ran on.
        """
        place = self._library.place(connection)
        if not place.is_meant_by(arguments):
            return []
        change = change_of(tool, arguments, answer)
        if change:
            await self._changed(place, change, certain=answer is not None)
        if answer is None:
            return []
        collection, entries = _subjects(tool, arguments, answer, change, place)
        if tool == collection.operation:
            place.learn(collection, answer)
        if collection.each not in self._library.kinds:
            return []
        # First those whose names cannot be taken from the answer.
        entries = sorted(entries, key=lambda each: clean(each.name) == each.name)
        return place.signs.links(collection, entries[:_MOST_LINKS])

    async def _changed(self, place: Place, change: Change, *, certain: bool) -> None:
        if shelf := place.shelf(PIPELINE_COLLECTION):
            shelf.amend(
                add=change.entries if certain and change.verb == "create" else (),
                remove=change.names if certain and change.verb == "cancel" else (),
            )
        if PIPELINE_COLLECTION.whole in self._library.kinds:
            keys = [each.key for each in change.entries]
            await self._library.announce(place, PIPELINE_COLLECTION, keys)


def _subjects(
    tool: str, arguments: Arguments, answer: Answer, change: Change | None, place: Place
) -> tuple[Collection, list[Entry]]:
    """What an answer is about, of the pipelines or of the funnels."""
    for each in COLLECTIONS:
        if tool == each.operation:
            return each, each.entries(answer)
    if tool == "query_funnel_saved_reports":
        return FUNNEL_COLLECTION, [_funnel(arguments, place)]
    names: Sequence[str] = ()
    if tool == "get_pipeline" and not found_no_pipeline(answer):
        names = list(_named(arguments.model_dump()))
    elif change and change.verb != "cancel":
        names = change.names
    return PIPELINE_COLLECTION, _entries_of(names)


def change_of(tool: str, arguments: Arguments, answer: Answer | None) -> Change | None:
    """What a call changed about pipelines; of untyped calls as far as can be told."""
    given: dict[str, Any] = arguments.model_dump()
    if tool in _TYPED:
        verb = _TYPED[tool]
    elif tool in _UNTYPED:
        verb = _verb_in(str(given.get("url")))
    else:
        return None
    if verb == "create":
        return Change(verb, list(_created(answer)))
    return Change(verb, list(_named(given))) if verb in {"edit", "cancel"} else None


def _verb_in(url: str) -> str:
    _, found, rest = unquote(url).lower().partition(_ENDPOINT)
    return rest.partition("?")[0].strip("/") if found else ""


def _created(answer: Answer | None) -> Iterator[str]:
    """The names that Mixpanel gave; untyped calls have its reply inside their data."""
    data = answer.data if answer else None
    if is_object(data):
        body = data["body"] if is_object(data.get("body")) else data
        names = body.get("pipeline_names")
        yield from (str(name) for name in (names if is_list(names) else []))


def _named(given: dict[str, Any]) -> Iterator[str]:
    for fields in (given, *(given.get(part) for part in ("form_data", "data", "query_parameters"))):
        if is_object(fields) and isinstance(name := fields.get("name"), str):
            yield name


def _funnel(arguments: Arguments, place: Place) -> Entry:
    key = str(getattr(arguments, "funnel_id", ""))
    return Entry(key, place.name_of(FUNNEL_COLLECTION, key) or key)
