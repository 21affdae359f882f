"""Simplified ID Merge: events say themselves who acts, by `$device_id` and `$user_id`.

Sources: pages `identifying-users-simplified`, `id-management`. `distinct_id` is `$user_id`, else
`$device:` and `$device_id`, whatever the event says; without either of them it stands as it is. The
first event with both links the device to the user for ever. `$identify`, `$create_alias` and
`$merge` have no effect and no error. Where the pages are silent: a device that comes back with
another user stays with the first, while events that name the other user are that user's.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mixpanel_mcp.analytics.profiles import write_profiles
from mixpanel_mcp.sandbox.identities import checked_identity, identity_event
from mixpanel_mcp.sandbox.json_values import is_number, is_object
from mixpanel_mcp.sandbox.validation import LONGEST_TEXT

if TYPE_CHECKING:
    from mixpanel_mcp.analytics.events import Event
    from mixpanel_mcp.analytics.store import Store
    from mixpanel_mcp.sandbox.json_values import JsonObject

DEVICE_PREFIX = "$device:"


class SimplifiedIdentities:
    """The links that a batch of events makes."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._links: dict[str, str] = {}

    def event(self, record: object, now: int, *, importing: bool) -> Event:
        """Check an event of the other ID merge, which changes nothing here."""
        return identity_event(checked_identity(record, importing=importing), now)

    def identified(self, record: object) -> object:
        """Set the distinct_id that follows from the two ids."""
        properties = record.get("properties") if is_object(record) else None
        if not is_object(record) or not is_object(properties):
            return record
        distinct_id = _id(properties, "$user_id") or _device(properties)
        if distinct_id is None:
            return record
        return {**record, "properties": {**properties, "distinct_id": distinct_id}}

    def note(self, record: object, event: Event) -> None:
        properties = record.get("properties") if is_object(record) else None
        if not is_object(properties):
            return
        device = _device(properties)
        if device and _id(properties, "$user_id"):
            self._links.setdefault(device, event.distinct_id)

    def save(self) -> None:
        if not self._links:
            return
        self._store.run(
            "INSERT INTO canonical_ids"
            " SELECT unnest($devices::VARCHAR[]), unnest($users::VARCHAR[])"
            " ON CONFLICT DO NOTHING",
            {"devices": list(self._links), "users": list(self._links.values())},
        )
        # What was set on the device before it had a user is not preserved.
        write_profiles(self._store, dict.fromkeys(self._links))


def _device(properties: JsonObject) -> str | None:
    device_id = _id(properties, "$device_id")
    return f"{DEVICE_PREFIX}{device_id}"[:LONGEST_TEXT] if device_id else None


def _id(properties: JsonObject, name: str) -> str | None:
    value = properties.get(name)
    if is_number(value):
        return str(value)
    return value if isinstance(value, str) and value else None
