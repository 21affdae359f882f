"""Original ID Merge: `$identify`, `$create_alias` and `$merge`.

Sources: `identity.openapi.yaml`, reference pages `create-identity`, `identity-create-alias`,
`identity-merge`, page `identifying-users-original`. A merge that cannot be made is still answered
with success; the event then says `$failure_reason`. What the pages leave open: two profiles of one
person stay two until one is deleted with `$ignore_alias`; updates reach the canonical one.
"""

from __future__ import annotations

import re
from contextlib import suppress
from typing import TYPE_CHECKING, NamedTuple

from mixpanel_mcp.sandbox.canonical_ids import LARGEST_CLUSTER, Clusters
from mixpanel_mcp.sandbox.json_values import JsonObject, is_list_of_text, is_object, is_utf8
from mixpanel_mcp.sandbox.validation import (
    LONGEST_TEXT,
    InvalidRecordError,
    checked_text,
    event_parts,
    event_time,
    invalid,
    stored_event,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

    from mixpanel_mcp.analytics.events import Event
    from mixpanel_mcp.analytics.store import Store

IDENTITY_EVENTS = frozenset(("$identify", "$create_alias", "$merge"))

SCHEMA = """
CREATE TABLE IF NOT EXISTS sandbox_merges (
    event VARCHAR NOT NULL,
    distinct_id VARCHAR NOT NULL,
    merged_id VARCHAR NOT NULL,
    failure_reason VARCHAR
)
"""

_UUID_4 = re.compile(
    r"[0-9a-f]{8}-?[0-9a-f]{4}-?4[0-9a-f]{3}-?[89ab][0-9a-f]{3}-?[0-9a-f]{12}", re.IGNORECASE
)


class Merge(NamedTuple):
    event: str
    distinct_id: str
    """The id that was known before."""
    merged_id: str
    """The anonymous id, the alias, or the second of two."""
    failure_reason: str | None


class Identity(NamedTuple):
    """What an identity event says."""

    event: str
    distinct_id: str
    merged_id: str
    properties: JsonObject


class OriginalIdentities:
    """The merges that a batch of events makes."""

    def __init__(self, store: Store, records: Iterable[object]) -> None:
        self._store = store
        self._known: dict[str, str] = {}
        self._new: list[Merge] = []
        identities = [identity for record in records if (identity := _understood(record))]
        if identities:
            merged = [each.merged_id for each in identities]
            self._known = merged_ids(store, merged, ("$identify", "$create_alias"))
        involved = {each for identity in identities for each in identity[1:3]}
        self._clusters = Clusters(store, {*involved, *self._known.values()})

    def event(self, record: object, now: int, *, importing: bool) -> Event:
        """Check an identity event and note its merge.

        Raises:
            InvalidRecordError: it lacks an id, or came to the wrong endpoint.
        """
        identity = checked_identity(record, importing=importing)
        failure = self._failure(identity)
        event = identity_event(identity, now, failure)
        self._note(Merge(*identity[:3], failure))
        return event

    def identified(self, record: object) -> object:
        """Return the event as it is: here it needs a distinct_id of its own."""
        return record

    def note(self, record: object, event: Event) -> None:
        """Other events merge nothing here."""

    def save(self) -> None:
        for merge in self._new:
            self._store.run(
                "INSERT INTO sandbox_merges VALUES"
                " ($event, $distinct_id, $merged_id, $failure_reason)",
                merge._asdict(),
            )
        self._clusters.save()

    def _failure(self, identity: Identity) -> str | None:
        name, distinct_id, merged_id, _ = identity
        if distinct_id == merged_id:
            return "the two ids are the same"
        if name == "$identify" and not _UUID_4.fullmatch(merged_id):
            return "$anon_id is not a UUID v4"
        if name != "$merge" and self._is_of_another(merged_id, distinct_id):
            return f"{merged_id} is already merged with another id"
        if not self._clusters.can_merge(distinct_id, merged_id):
            return f"the merge would make a cluster of more than {LARGEST_CLUSTER} ids"
        return None

    def _is_of_another(self, merged_id: str, distinct_id: str) -> bool:
        """Whether an anonymous id or an alias belongs to somebody else."""
        known = self._known.get(merged_id)
        if known is None:
            return False
        return self._clusters.canonical(known) != self._clusters.canonical(distinct_id)

    def _note(self, merge: Merge) -> None:
        self._new.append(merge)
        if merge.failure_reason is None:
            self._clusters.merge(merge.distinct_id, merge.merged_id)
            if merge.event != "$merge":
                self._known[merge.merged_id] = merge.distinct_id


def is_identity(record: object) -> bool:
    name = record.get("event") if is_object(record) else None
    return isinstance(name, str) and name in IDENTITY_EVENTS


def checked_identity(record: object, *, importing: bool) -> Identity:
    """Check an event of the original ID merge, whatever it will do.

    Raises:
        InvalidRecordError: it lacks an id, or came to the wrong endpoint.
    """
    name, properties = event_parts(record)
    if name == "$merge" and not importing:
        raise invalid("event", "$merge is only accepted by /import")
    return Identity(name, *_ids(name, properties), properties)


def identity_event(identity: Identity, now: int, failure: str | None = None) -> Event:
    properties = identity.properties
    owner = properties.get("distinct_id")
    return stored_event(
        identity.event,
        {**properties, "$failure_reason": failure} if failure else properties,
        time=event_time(properties, now) if "time" in properties else now,
        distinct_id=owner if isinstance(owner, str) else identity.distinct_id,
        now=now,
    )


def merged_ids(store: Store, ids: Iterable[str], events: Iterable[str]) -> dict[str, str]:
    """Map those of the ids that were merged into another one to that one."""
    rows = store.rows(
        "SELECT merged_id, distinct_id FROM sandbox_merges"
        " WHERE failure_reason IS NULL"
        " AND event IN (SELECT unnest($events::VARCHAR[]))"
        " AND merged_id IN (SELECT unnest($ids::VARCHAR[]))",
        {"ids": list(ids), "events": list(events)},
    )
    return dict(rows)


def all_merges(store: Store) -> list[Merge]:
    rows = store.rows("SELECT event, distinct_id, merged_id, failure_reason FROM sandbox_merges")
    return [Merge(*row) for row in rows]


def _ids(name: str, properties: JsonObject) -> tuple[str, str]:
    if name == "$merge":
        pair = properties.get("$distinct_ids")
        if not is_list_of_text(pair) or len(pair) != 2 or not all(map(_is_usable, pair)):
            raise invalid("properties.$distinct_ids", "must be a list of exactly two ids")
        return pair[0][:LONGEST_TEXT], pair[1][:LONGEST_TEXT]
    if name == "$identify":
        return _id(properties, "$identified_id"), _id(properties, "$anon_id")
    return _id(properties, "distinct_id"), _id(properties, "alias")


def _is_usable(text: str) -> bool:
    return bool(text) and is_utf8(text)


def _id(properties: JsonObject, name: str) -> str:
    value = properties.get(name)
    if not isinstance(value, str) or not value:
        raise invalid(f"properties.{name}", "must be a non-empty string")
    return checked_text(f"properties.{name}", value)


def _understood(record: object) -> Identity | None:
    if not is_identity(record):
        return None
    with suppress(InvalidRecordError):
        return checked_identity(record, importing=True)
    return None
