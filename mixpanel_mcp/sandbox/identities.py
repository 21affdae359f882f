"""`$identify`, `$create_alias` and `$merge`: checked, stored, not yet resolved in queries.

Sources: `identity.openapi.yaml`, reference pages `create-identity`, `identity-create-alias`. A
merge that cannot be made is still answered with success; the event then says `$failure_reason`.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from mixpanel_mcp.sandbox.json_values import is_list_of_text, is_utf8
from mixpanel_mcp.sandbox.validation import (
    InvalidRecordError,
    event_parts,
    event_time,
    invalid,
    stored_event,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

    from mixpanel_mcp.analytics.events import Event
    from mixpanel_mcp.analytics.store import Store
    from mixpanel_mcp.sandbox.json_values import JsonObject

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


class Identities:
    """The merges of a project. Reads what is known once for a whole batch."""

    def __init__(self, store: Store, records: Iterable[object]) -> None:
        self._store = store
        self._known: dict[str, str] = {}
        self._new: list[Merge] = []
        ids = [merged_id for record in records if (merged_id := _merged_id(record))]
        if ids:
            self._known = merged_ids(store, ids, ("$identify", "$create_alias"))

    def event(self, record: object, now: int, *, importing: bool) -> Event:
        """Check an identity event and note its merge.

        Raises:
            InvalidRecordError: it lacks an id, or came to the wrong endpoint.
        """
        name, properties = event_parts(record)
        if name == "$merge" and not importing:
            raise invalid("event", "$merge is only accepted by /import")
        distinct_id, merged_id = _ids(name, properties)
        time = event_time(properties, now) if "time" in properties else now
        failure = self._failure(name, distinct_id, merged_id)
        if failure:
            properties = {**properties, "$failure_reason": failure}
        owner = properties.get("distinct_id")
        event = stored_event(
            name,
            properties,
            time=time,
            distinct_id=owner if isinstance(owner, str) else distinct_id,
            now=now,
        )
        self._note(Merge(name, distinct_id, merged_id, failure))
        return event

    def save(self) -> None:
        for merge in self._new:
            self._store.run(
                "INSERT INTO sandbox_merges VALUES"
                " ($event, $distinct_id, $merged_id, $failure_reason)",
                merge._asdict(),
            )

    def _failure(self, name: str, distinct_id: str, merged_id: str) -> str | None:
        if distinct_id == merged_id:
            return "the two ids are the same"
        if name == "$identify" and not _UUID_4.fullmatch(merged_id):
            return "$anon_id is not a UUID v4"
        if name != "$merge" and self._known.get(merged_id, distinct_id) != distinct_id:
            return f"{merged_id} is already merged with another id"
        return None

    def _note(self, merge: Merge) -> None:
        self._new.append(merge)
        if merge.failure_reason is None and merge.event != "$merge":
            self._known[merge.merged_id] = merge.distinct_id


def original_ids(store: Store, ids: Iterable[str]) -> dict[str, str]:
    """Map those of the ids that are aliases to the id at the end of their chain."""
    links: dict[str, str] = {}
    step = merged_ids(store, ids, ("$create_alias",))
    while step:
        links |= step
        unknown = [each for each in step.values() if each not in links]
        step = merged_ids(store, unknown, ("$create_alias",))
    return {alias: _end(alias, links) for alias in links}


def _end(alias: str, links: dict[str, str]) -> str:
    # Aliases may run in a circle; each link is followed once.
    followed: set[str] = set()
    while alias in links and alias not in followed:
        followed.add(alias)
        alias = links[alias]
    return alias


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
        return pair[0], pair[1]
    if name == "$identify":
        return _id(properties, "$identified_id"), _id(properties, "$anon_id")
    return _id(properties, "distinct_id"), _id(properties, "alias")


def _is_usable(text: str) -> bool:
    return bool(text) and is_utf8(text)


def _id(properties: JsonObject, name: str) -> str:
    value = properties.get(name)
    if not isinstance(value, str) or not value:
        raise invalid(f"properties.{name}", "must be a non-empty string")
    if not is_utf8(value):
        raise invalid(f"properties.{name}", "string should be valid utf8")
    return value


def _merged_id(record: object) -> str | None:
    try:
        name, properties = event_parts(record)
        return _ids(name, properties)[1] if name in IDENTITY_EVENTS else None
    except InvalidRecordError:
        return None
