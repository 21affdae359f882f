"""What makes an event valid, and what of it is stored.

Sources: reference page `import-events` (the rules and their messages), `track-event` (5 days),
`events-and-properties` and `data-type` (limits). Where they are silent:

- `fewer than 255 properties` is taken by the word: 254 are the most.
- A time up to an hour ahead becomes now, as `ingestion.openapi.yaml` says; `/import` refuses a
  later one, as the prose says; `/track` takes now for it.
- `/track` lets pass what only `/import` is documented to refuse: an unfit `$insert_id` is replaced
  (such an event is never de-duplicated), a banned `distinct_id` loses the event silently.
"""

from __future__ import annotations

import re
import uuid
from typing import TYPE_CHECKING, Any

from mixpanel_mcp.analytics.events import Event
from mixpanel_mcp.sandbox.clock import DAY, HOUR, SECOND
from mixpanel_mcp.sandbox.json_values import (
    JsonObject,
    is_list,
    is_number,
    is_object,
    is_utf8,
    write_json,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

BANNED_IDS = frozenset(
    [
        "00000000-0000-0000-0000-000000000000",
        "anon",
        "anonymous",
        "nil",
        "none",
        "null",
        "n/a",
        "na",
        "undefined",
        "unknown",
        "<nil>",
        "0",
        "-1",
        "true",
        "false",
        "[]",
        "{}",
    ]
)
LONGEST_TEXT = 255

_LARGEST_EVENT = 1024 * 1024
_LARGEST_VALUE = 8 * 1024
_TOO_MANY = 255
_DEEPEST = 3
_INSERT_ID = re.compile(r"[A-Za-z0-9-]{1,36}")
_EARLIEST = 365 * DAY
_FIRST_MILLISECONDS = 10**11
_FIRST_NONSENSE = 10**14
_TRACK_WINDOW = 5 * DAY
# They have a column of their own, identify the project, or are used up on arrival.
_NOT_STORED = frozenset(("token", "time", "distinct_id", "$insert_id", "ip"))


class InvalidRecordError(Exception):
    def __init__(self, field: str, message: str) -> None:
        super().__init__(message)
        self.field = field
        self.message = message


def invalid(field: str, rule: str) -> InvalidRecordError:
    return InvalidRecordError(field, f"'{field}' is invalid: {rule}")


def imported_event(record: object, now: int) -> Event:
    """Check an event by the rules of `/import?strict=1`."""
    name, properties = event_parts(record)
    time = event_time(properties, now, whole=True)
    if time > now + HOUR:
        raise invalid("properties.time", "must not be more than 1 hour in the future")
    distinct_id = _known_id(properties, "distinct_id")
    insert_id = _known_id(properties, "$insert_id")
    if not _INSERT_ID.fullmatch(insert_id):
        raise invalid("properties.$insert_id", "must be at most 36 characters, alphanumeric or '-'")
    return stored_event(name, properties, time=time, distinct_id=distinct_id, now=now)


def leniently_imported_event(record: object, now: int) -> Event:
    """Check an event by what `/import?strict=0` cannot do without: a name and a time."""
    name, properties = event_parts(record)
    time = event_time(properties, now)
    return stored_event(name, properties, time=time, distinct_id=loose_id(properties), now=now)


def tracked_event(record: object, now: int, caller: str | None) -> Event | None:
    """Check an event by the rules of `/track`; None means that Mixpanel loses it silently.

    `caller` stands in for a missing distinct_id (`ip=1`).
    """
    name, properties = event_parts(record)
    time = event_time(properties, now) if "time" in properties else now
    distinct_id = loose_id(properties)
    if distinct_id in BANNED_IDS or time < now - _TRACK_WINDOW:
        return None
    if "distinct_id" not in properties and caller:
        distinct_id = caller
    return stored_event(name, properties, time=time, distinct_id=distinct_id, now=now)


def event_parts(record: object) -> tuple[str, JsonObject]:
    if not is_object(record):
        raise InvalidRecordError("", "the record is invalid: must be a JSON object")
    name = record.get("event")
    if not isinstance(name, str) or not name:
        raise invalid("event", "must be a non-empty string")
    properties = record.get("properties")
    if not is_object(properties):
        raise invalid("properties", "must be a JSON object")
    return name, properties


def event_time(properties: JsonObject, now: int, *, whole: bool = False) -> int:
    """Read `time` as milliseconds. Ahead of now by up to an hour, it is now.

    The official client for Python tracks parts of a second; where `whole`, they are refused.
    """
    value = properties.get("time")
    if value is None:
        raise invalid("properties.time", "is required")
    if not is_number(value) or not 0 <= value < _FIRST_NONSENSE or (whole and value != int(value)):
        raise invalid("properties.time", "must be specified as seconds since epoch")
    time = int(value) if value >= _FIRST_MILLISECONDS else int(value * SECOND)
    if time < _EARLIEST:
        raise invalid("properties.time", "must not be before 1971-01-01")
    return now if now < time <= now + HOUR else time


def loose_id(properties: JsonObject) -> str:
    """Read a distinct_id as older clients send it: numbers count, anything else is nobody."""
    value = properties.get("distinct_id", "")
    if is_number(value):
        return str(value)
    return value if isinstance(value, str) else ""


def insert_id_of(record: object) -> str:
    """Return the id by which a failed record can be found again."""
    properties = record.get("properties") if is_object(record) else None
    value = properties.get("$insert_id") if is_object(properties) else None
    return value if isinstance(value, str) else ""


def stored_event(
    name: str, properties: JsonObject, *, time: int, distinct_id: str, now: int
) -> Event:
    insert_id = properties.get("$insert_id")
    fit = isinstance(insert_id, str) and _INSERT_ID.fullmatch(insert_id)
    return Event(
        event=checked_text("event", name),
        distinct_id=checked_text("properties.distinct_id", distinct_id),
        time=min(time, now),
        insert_id=str(insert_id) if fit else uuid.uuid4().hex,
        processed=now,
        properties=_stored_properties(properties),
    )


def checked_text(field: str, text: str) -> str:
    """Cut a text as Mixpanel does."""
    if not text.isascii() and not is_utf8(text):
        raise invalid(field, "string should be valid utf8")
    return text[:LONGEST_TEXT]


def _known_id(properties: JsonObject, name: str) -> str:
    field = f"properties.{name}"
    value = properties.get(name)
    if value is None:
        raise invalid(field, "is required")
    if not isinstance(value, str):
        raise invalid(field, "must be a string")
    if value in BANNED_IDS:
        raise invalid(field, f"must not be {value!r}")
    return value


def _stored_properties(properties: JsonObject) -> str:
    if len(properties) >= _TOO_MANY:
        raise invalid("properties", "must have fewer than 255 properties")
    kept = {
        checked_text(f"properties.{name}", name): _stored_value(f"properties.{name}", value)
        for name, value in properties.items()
        if name not in _NOT_STORED
    }
    text = write_json(kept)
    if len(text) > _LARGEST_EVENT or len(text.encode()) > _LARGEST_EVENT:
        raise invalid("properties", "event must be smaller than 1MB")
    return text


def _stored_value(field: str, value: Any) -> Any:
    if isinstance(value, str):
        return checked_text(field, value)
    if isinstance(value, list | dict):
        nested: Any = nested_value(field, value, depth=1)  # pyright: ignore[reportUnknownArgumentType]
        if len(write_json(nested).encode()) > _LARGEST_VALUE:
            raise invalid(field, "list or object must be at most 8 KB")
        return nested
    return finite(field, value)


def nested_value(field: str, value: Any, depth: int) -> Any:
    """Check what lies in a list or object; only objects count as a level."""
    if isinstance(value, str):
        return checked_text(field, value)
    if is_list(value):
        _check_size(field, value, "array must have fewer than 255 elements")
        return [nested_value(field, item, depth) for item in value]
    if is_object(value):
        if depth > _DEEPEST:
            raise invalid(field, "must not be nested more than 3 levels deep")
        _check_size(field, value, "object must have fewer than 255 keys")
        return {
            checked_text(field, name): nested_value(field, item, depth + 1)
            for name, item in value.items()
        }
    return finite(field, value)


def finite(field: str, value: Any) -> Any:
    # `1e400` is valid JSON, and infinite once read.
    if isinstance(value, float) and value in (float("inf"), float("-inf")):
        raise invalid(field, "number is out of range")
    return value


def _check_size(field: str, items: Iterable[Any], rule: str) -> None:
    if len(list(items)) >= _TOO_MANY:
        raise invalid(field, rule)
