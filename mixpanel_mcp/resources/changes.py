"""What a finished tool call means for resources: what it changed, and where its answer leads."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import mcp.types as t

from mixpanel_mcp.api.paths import readings
from mixpanel_mcp.api.request import Request
from mixpanel_mcp.json_values import is_list, is_object
from mixpanel_mcp.operation import Answer, Arguments, Status
from mixpanel_mcp.operations.pipelines import found_no_pipeline
from mixpanel_mcp.resources.entries import (
    COLLECTIONS,
    EXPORT_COLLECTION,
    FUNNEL_COLLECTION,
    PIPELINE_COLLECTION,
    Collection,
    Entry,
    entry,
)
from mixpanel_mcp.resources.library import Library
from mixpanel_mcp.resources.place import Place
from mixpanel_mcp.safety.judgement import pipeline_fields
from mixpanel_mcp.safety.payloads import read_payload
from mixpanel_mcp.sanitize import clean

# Each link costs the model some sixty tokens; the whole list is in the collection's resource.
_MOST_LINKS = 10

_CHANGES = re.compile(r"(/api/2\.0)?/nessie/pipeline/(create|edit|cancel)")


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
        self,
        tool: str,
        arguments: Arguments,
        answer: Answer | None,
        *,
        connection: str,
        permitted: Sequence[Request],
    ) -> list[t.ResourceLink]:
        """Take note of a call, and get the links that belong to its answer.

        Args:
            tool: the operation's name.
            arguments: what it ran with.
            answer: None where it is not known whether the call did something.
            connection: the name of the connection it ran on.
            permitted: what it sent, or may have.
        """
        place = self._library.place(connection)
        if not place.is_meant_by(arguments):
            return []
        change = change_of(permitted, answer)
        if change:
            await self._changed(place, change, certain=answer is not None)
        await self._exports_changed(tool, arguments, answer, place)
        if answer is None:
            return []
        collection, entries = _subjects(tool, arguments, answer, change, place)
        if tool == collection.operation:
            place.learn(collection, entries)
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
            # An edit changes what stands under the name, and no list of names.
            await self._library.announce(
                place, PIPELINE_COLLECTION, keys, list_changed=change.verb != "edit"
            )

    async def _exports_changed(
        self, tool: str, arguments: Arguments, answer: Answer | None, place: Place
    ) -> None:
        shelf, named = place.shelf(EXPORT_COLLECTION), _exported(tool, answer)
        if shelf is None:
            return
        if tool == "delete_export":
            named = _entries_of([str(arguments.given("id"))])
            done = answer is not None and answer.status is Status.OK
            shelf.amend(remove=[each.key for each in named] if done else ())
        elif named:
            shelf.amend(add=named)
        else:
            return
        await self._library.announce(place, EXPORT_COLLECTION, [each.key for each in named])


def _exported(tool: str, answer: Answer | None) -> list[Entry]:
    """The export that a call began or went on with."""
    if tool not in {"download_data", "query_profiles"} or answer is None:
        return []
    name = answer.data.get("id") if is_object(answer.data) else None
    return _entries_of([name]) if isinstance(name, str) else []


def _subjects(
    tool: str, arguments: Arguments, answer: Answer, change: Change | None, place: Place
) -> tuple[Collection, list[Entry]]:
    """What an answer is about, of the pipelines or of the funnels."""
    for each in COLLECTIONS:
        if tool == each.operation:
            return each, each.entries(answer)
    if tool == "query_funnel_saved_reports":
        return FUNNEL_COLLECTION, [_funnel(arguments, place)]
    if exported := _exported(tool, answer):
        return EXPORT_COLLECTION, exported
    names: Sequence[str] = ()
    if tool == "get_pipeline" and not found_no_pipeline(answer):
        names = [str(arguments.given("name"))]
    elif change and change.verb != "cancel":
        names = change.names
    return PIPELINE_COLLECTION, _entries_of(names)


def change_of(permitted: Sequence[Request], answer: Answer | None) -> Change | None:
    """What a call changed about pipelines, by what it sent: whichever tool it was."""
    for request in permitted:
        found = filter(None, map(_CHANGES.fullmatch, readings(request.path)))
        for verb in (each[2] for each in found):
            names = _created(answer) if verb == "create" else _named(request)
            return Change(verb, list(names))
    return None


def _created(answer: Answer | None) -> Iterator[str]:
    """The names that Mixpanel gave; untyped calls have its reply inside their data."""
    data = answer.data if answer else None
    if is_object(data):
        body = data["body"] if is_object(data.get("body")) else data
        names = body.get("pipeline_names")
        yield from (str(name) for name in (names if is_list(names) else []))


def _named(request: Request) -> Sequence[str]:
    """The pipelines that a request names, in its query or its body."""
    return pipeline_fields(read_payload(request)).get("name", [])


def _funnel(arguments: Arguments, place: Place) -> Entry:
    key = str(arguments.given("funnel_id"))
    return Entry(key, place.name_of(FUNNEL_COLLECTION, key) or key)
