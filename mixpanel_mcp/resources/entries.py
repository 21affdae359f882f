"""Pipelines and saved funnels: what answers say there is, and which URI each one has."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, NamedTuple

import mcp.types as t

from mixpanel_mcp.json_values import objects_in
from mixpanel_mcp.operation import Answer
from mixpanel_mcp.resources.addresses import Address, Format
from mixpanel_mcp.resources.kinds import EXPORT, EXPORTS, FUNNEL, FUNNELS, PIPELINE, PIPELINES, Kind
from mixpanel_mcp.resources.wording import title
from mixpanel_mcp.sanitize import Redactor

# A name beyond this is shown in tables, and has no entry and no link of its own.
_LONGEST_NAME = 500
# What completion knows; a list for people to look through has fewer.
_MOST_KNOWN = 10_000
MOST_LISTED = 500
_LONGEST_REMEMBERED = 200


class Entry(NamedTuple):
    """Something that has a resource of its own: `key` stands in its URI, `name` is shown."""

    key: str
    name: str


@dataclass(frozen=True, kw_only=True, eq=False)
class Collection:
    """Many things of a kind: the operation that lists them, and the fields of its records."""

    whole: Kind
    each: Kind
    operation: str
    key_field: str
    key_type: type
    noun: str
    about: str
    name_field: str = "name"

    @property
    def folder(self) -> str:
        return self.whole.path

    def entries(self, answer: Answer) -> list[Entry]:
        """What there is according to a listing, each once."""
        found = {entry.key: entry for entry in self._found(answer)}
        return list(found.values())[:_MOST_KNOWN]

    def entry(self, record: Mapping[str, Any]) -> Entry | None:
        key, name = record.get(self.key_field), record.get(self.name_field)
        if type(key) is not self.key_type or not isinstance(name, str):
            return None
        return entry(str(key), name)

    def _found(self, answer: Answer) -> Iterator[Entry]:
        for record in objects_in(answer.data):
            found = self.entry(record)
            if found is not None:
                yield found


def entry(key: str, name: str) -> Entry | None:
    """An entry, if its key can stand in a URI."""
    if not key or len(key) > _LONGEST_NAME:
        return None
    try:
        key.encode()
    except UnicodeEncodeError:
        return None
    return Entry(key, name)


PIPELINE_COLLECTION = Collection(
    whole=PIPELINES,
    each=PIPELINE,
    operation="list_pipelines",
    key_field="name",
    key_type=str,
    noun="Pipeline",
    about="Tasks of this data pipeline by state",
)
FUNNEL_COLLECTION = Collection(
    whole=FUNNELS,
    each=FUNNEL,
    operation="list_saved_funnels",
    key_field="funnel_id",
    key_type=int,
    noun="Funnel",
    about="Steps and conversion of this saved funnel in the last 30 days (one query)",
)
EXPORT_COLLECTION = Collection(
    whole=EXPORTS,
    each=EXPORT,
    operation="list_exports",
    key_field="id",
    key_type=str,
    noun="Export",
    about="Manifest of this export on the server's machine",
    name_field="id",
)
COLLECTIONS = (PIPELINE_COLLECTION, FUNNEL_COLLECTION, EXPORT_COLLECTION)


class Signs:
    """Entries as clients see them, in lists and as links in answers.

    What Mixpanel says goes into title and name alone, cleaned; never into a description. An entry
    whose URI would hold a secret is not shown.
    """

    def __init__(self, connection: str | None, redact: Redactor) -> None:
        """`connection` is named where there are several."""
        self.connection = connection
        self.redact = redact
        # Every listing leads to the same few again.
        self._remembered = lru_cache(maxsize=1_000)(self._link)

    def uri(self, collection: Collection, key: str) -> str | None:
        address = Address((collection.folder, key), Format.MARKDOWN, self.connection)
        unsafe = self.redact.text(key) != key or self.redact.text(address.uri) != address.uri
        return None if unsafe else address.uri

    def listed(self, collection: Collection, entries: Sequence[Entry]) -> list[t.Resource]:
        """The first `MOST_LISTED` entries."""
        return [
            t.Resource(uri=uri, **self._words(collection, entry))
            for entry in entries[:MOST_LISTED]
            if (uri := self.uri(collection, entry.key))
        ]

    def links(self, collection: Collection, entries: Sequence[Entry]) -> list[t.ResourceLink]:
        links = (
            self._remembered(collection, entry)
            if len(entry.name) <= _LONGEST_REMEMBERED
            else self._link(collection, entry)
            for entry in entries
        )
        return [link for link in links if link is not None]

    def _link(self, collection: Collection, entry: Entry) -> t.ResourceLink | None:
        uri = self.uri(collection, entry.key)
        return t.ResourceLink(uri=uri, **self._words(collection, entry)) if uri else None

    def _words(self, collection: Collection, entry: Entry) -> dict[str, Any]:
        name = self.redact.text(title(self.redact.text(entry.name)))
        place = f", in connection {self.connection}" if self.connection else ""
        return {
            "name": name or collection.noun,
            "title": f"{collection.noun}: {name}",
            "description": f"{collection.about}{place}.",
            "mime_type": Format.MARKDOWN.mime_type,
        }
