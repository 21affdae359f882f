"""Events as Mixpanel takes them: checked here first, so that a fault names its row and field.

The rules are those of the import page and the data-type page; the times of `/track` reach back
five days, those of `/import` to 1971.
"""

import hashlib
import json
import re
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, cast

from mixpanel_mcp.api.errors import InvalidArgumentsError
from mixpanel_mcp.api.request import compact_json, is_number
from mixpanel_mcp.json_values import is_list, is_object
from mixpanel_mcp.operations.arguments import BANNED_IDS, require_id
from mixpanel_mcp.sanitize import counted

_MOST_PROPERTIES = 254
_MOST_ITEMS = 254
_DEEPEST = 3
_LARGEST_EVENT = 1_000_000
_LARGEST_VALUE = 8 * 1024
_LONGEST_TEXT = 255
_INSERT_ID = re.compile(r"[A-Za-z0-9-]{1,36}")
_EARLIEST = 31_536_000  # 1971-01-01
_TRACK_DAYS = 5
_LEAST_MILLISECONDS = 10**11
# `1e15` is written anew with 18 bytes, and nothing grows more.
_MOST_GROWTH = 6
_SIMPLE = frozenset({str, int, bool, type(None)})
_NOT_CONTENT = {"token", "$insert_id"}


@dataclass(frozen=True)
class Prepared:
    """Events ready to be sent. `notes` say what was filled in or will be shortened."""

    events: list[dict[str, Any]]
    notes: list[str]


def prepare_events(
    events: Sequence[Mapping[str, Any]], *, token: str | None, importing: bool
) -> Prepared:
    """Complete and check events.

    A missing time is now when tracking, and a fault when importing. A missing `$insert_id` is
    derived from the event's content, so that sending it again does not count it twice.

    Args:
        events: as given: `event` and `properties` each.
        token: goes into each event's properties (`/track` reads it there), None leaves it out.
        importing: whether the rules are those of `/import`.

    Raises:
        InvalidArgumentsError: with every fault's row and field; nothing may be sent then.
    """
    now_ms = int(time.time() * 1000)
    soon_ms = now_ms + 3_600_000
    faults: list[str] = []
    ready: list[dict[str, Any]] = []
    filled: Counter[str] = Counter()
    seen: Counter[str] = Counter()
    for index, event in enumerate(events):
        found = list(_shape_faults(event))
        if not found:
            completed = _completed(event, token, None if importing else now_ms, filled)
            found = list(_faults(completed, importing=importing, now_ms=now_ms))
            if not found:
                _identify(completed, filled, seen, dated="time" in event["properties"])
                filled["long"] += _long_texts(completed["properties"])
                filled["ignored"] += bool(completed["properties"].get("$ignore"))
                filled["future"] += in_milliseconds(completed["properties"]["time"]) > soon_ms
            ready.append(completed)
        faults += [f"events[{index}].{fault}" for fault in found]
    if faults:
        raise InvalidArgumentsError(faults)
    return Prepared(ready, _notes(filled))


def imported_event(
    event: Mapping[str, Any], now_ms: int, *, written: int
) -> tuple[dict[str, Any], list[str]]:
    """One event as `/import` takes it, with its `$insert_id`; or the faults that forbid it.

    `written` is how many bytes of JSON it was.
    """
    faults = list(_shape_faults(event))
    if faults:
        return {}, faults
    completed = _completed(event, None, None, Counter())
    most = written * _MOST_GROWTH
    faults = list(_faults(completed, importing=True, now_ms=now_ms, most_bytes=most))
    if not faults and not completed["properties"].get("$insert_id"):
        completed["properties"]["$insert_id"] = insert_id(completed)
    return completed, faults


def _shape_faults(event: Mapping[str, Any]) -> Iterator[str]:
    name, properties = event.get("event"), event.get("properties")
    if not isinstance(name, str) or not name:
        yield "event: must be the event's name"
    if not is_object(properties):
        yield "properties: must be an object with the event's properties"
    for extra in sorted(set(event) - {"event", "properties"}):
        yield f"{extra[:60]}: does not belong beside event and properties; put it into properties"


def _completed(
    event: Mapping[str, Any], token: str | None, now_ms: int | None, filled: Counter[str]
) -> dict[str, Any]:
    """Fill in token and time; `now_ms` is the time of events that have none."""
    properties: dict[str, Any] = dict(event["properties"])
    if "time" not in properties and now_ms is not None:
        properties["time"] = now_ms
        filled["time"] += 1
    elif "time" in properties:
        properties["time"] = _milliseconds(properties["time"])
    if token is not None and properties.get("token") is None:
        properties["token"] = token
    if is_number(properties.get("distinct_id")):
        properties["distinct_id"] = str(properties["distinct_id"])
    if event["event"] == "$merge":
        properties.setdefault("distinct_id", "")
    return {"event": event["event"], "properties": properties}


def _milliseconds(value: object) -> object:
    """ISO text and fractions of seconds as whole milliseconds; everything else as it is."""
    if isinstance(value, str):
        try:
            moment = datetime.fromisoformat(value.strip())
        except ValueError:
            return value
        aware = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
        return round(aware.timestamp() * 1000)
    return in_milliseconds(value) if isinstance(value, float) and is_number(value) else value


def in_milliseconds(value: float) -> int:
    """A time of more than eleven digits is in milliseconds already."""
    return round(value * 1000) if abs(value) < _LEAST_MILLISECONDS else round(value)


def _identify(
    event: dict[str, Any], filled: Counter[str], seen: Counter[str], *, dated: bool
) -> None:
    properties = event["properties"]
    if properties.get("$insert_id"):
        return
    digest = insert_id(event)
    # Two equal events of one call that got their time from us are two events.
    if not dated:
        seen[digest] += 1
        if seen[digest] > 1:
            digest = insert_id(event, occurrence=seen[digest])
    properties["$insert_id"] = digest
    filled["$insert_id"] += 1


def insert_id(event: Mapping[str, Any], *, occurrence: int = 1) -> str:
    """Derive the id from name, time, user and properties: same content, same id, everywhere.

    Version 1 of the derivation: the first 36 hex digits of the SHA-256 of a JSON list, without
    spaces, in UTF-8 and with sorted names: the event's name; its properties but for `token` and
    `$insert_id`, the time in milliseconds; and, from the second on, the occurrence. Another
    derivation would count what was imported before a second time, so this one stays.
    """
    properties: dict[str, Any] = event["properties"]
    content = {name: properties[name] for name in properties if name not in _NOT_CONTENT}
    # One moment is one event, in whichever unit it was written.
    content["time"] = in_milliseconds(properties["time"])
    canonical = _canonical([event["event"], content, *([occurrence] if occurrence > 1 else [])])
    return hashlib.sha256(canonical.encode(errors="surrogatepass")).hexdigest()[:36]


_canonical = json.JSONEncoder(
    ensure_ascii=False, allow_nan=False, sort_keys=True, separators=(",", ":")
).encode


def _faults(
    event: Mapping[str, Any], *, importing: bool, now_ms: int, most_bytes: int = _LARGEST_EVENT
) -> Iterator[str]:
    """`most_bytes`: the event is known to have no more, and what fits anyway is not measured."""
    properties = cast("dict[str, Any]", event["properties"])
    yield from _time_faults(properties, importing=importing, now_ms=now_ms)
    yield from _id_faults(event["event"], properties, importing=importing)
    most = _MOST_PROPERTIES - ("$insert_id" not in properties)
    if len(properties) > most:
        yield f"properties: has {len(properties)} of at most {most} (token and $insert_id count)"
    for name, value in properties.items():
        if type(value) not in _SIMPLE:
            found = value_faults(value, most_bytes=most_bytes)
            yield from (f"properties.{name[:60]}: {fault}" for fault in found)
    if most_bytes < _LARGEST_EVENT:
        return
    try:
        size = len(compact_json(event).encode(errors="surrogatepass"))
    except ValueError:
        return  # NaN and infinities were named above
    if size >= _LARGEST_EVENT:
        yield f"properties: the event has {size} bytes, and less than 1 MB is allowed"


def _long_texts(properties: Mapping[str, Any]) -> int:
    texts = (value for value in properties.values() if isinstance(value, str))
    return sum(len(text) > _LONGEST_TEXT for text in texts)


def _time_faults(properties: Mapping[str, Any], *, importing: bool, now_ms: int) -> Iterator[str]:
    if "time" not in properties:
        yield "properties.time: is missing; an import needs it (ISO time, or seconds or ms UTC)"
        return
    value = properties["time"]
    if not isinstance(value, int) or isinstance(value, bool):
        yield "properties.time: must be an ISO time, or seconds or milliseconds since 1970, UTC"
        return
    seconds = value / 1000 if value >= _LEAST_MILLISECONDS else value
    if seconds < _EARLIEST:
        yield "properties.time: is before 1971"
    elif not importing and seconds < now_ms / 1000 - _TRACK_DAYS * 86_400:
        yield (
            f"properties.time: is older than {_TRACK_DAYS} days, which /track drops; use "
            "import_events"
        )


def _id_faults(name: str, properties: Mapping[str, Any], *, importing: bool) -> Iterator[str]:
    distinct_id = properties.get("distinct_id")
    if distinct_id is None:
        # Without one, Mixpanel may still tell the user from the two ids of Simplified ID Merge.
        if importing and not ({"$user_id", "$device_id", "$distinct_ids"} & set(properties)):
            yield (
                'properties.distinct_id: is missing (the text "" says on purpose that the event '
                "belongs to nobody)"
            )
    elif distinct_id != "" and (fault := require_id(distinct_id, "distinct_id")):
        yield f"properties.distinct_id: {fault}"
    given = properties.get("$insert_id")
    if given is not None:
        if not isinstance(given, str) or not _INSERT_ID.fullmatch(given):
            yield "properties.$insert_id: must be 1 to 36 of A-Z, a-z, 0-9 and -"
        elif given.lower() in BANNED_IDS:
            yield f"properties.$insert_id: is {given!r}, which Mixpanel refuses as an id"
    if len(name) > _LONGEST_TEXT:
        yield f"event: has {len(name)} of at most {_LONGEST_TEXT} characters"


def value_faults(
    value: object,
    *,
    depth: int = 1,
    largest: int = _LARGEST_VALUE,
    top: bool = True,
    most_bytes: int = _LARGEST_EVENT,
) -> Iterator[str]:
    """Say what Mixpanel would not take of a property's value, which has `most_bytes` at most."""
    if isinstance(value, float) and not is_number(value):
        yield "NaN and infinities are not JSON"
    if not is_list(value) and not is_object(value):
        return
    children: list[Any] = list(value.values()) if is_object(value) else list(value)
    if depth > _DEEPEST and is_object(value):
        yield f"is nested more than {_DEEPEST} levels deep"
        return
    if len(children) > _MOST_ITEMS:
        yield f"has {len(children)} of at most {_MOST_ITEMS} items"
    for child in children:
        # Only objects count as levels: a list of objects is one level with its objects.
        if type(child) not in _SIMPLE:
            deeper = depth + is_object(value)
            yield from value_faults(child, depth=deeper, largest=largest, top=False)
    if (
        top
        and most_bytes > largest
        and all(not isinstance(child, float) or is_number(child) for child in children)
    ):
        yield from _size_faults(value, largest)


def _size_faults(value: object, largest: int) -> Iterator[str]:
    try:
        size = len(compact_json(value).encode(errors="surrogatepass"))
    except ValueError:
        return
    if size > largest:
        yield f"has {size} bytes, and a list or object may have {largest}"


def _notes(filled: Counter[str]) -> list[str]:
    notes: list[str] = []
    if filled["time"]:
        notes.append(f"{counted(filled['time'], 'event')} without time got the time of this call")
    if filled["$insert_id"]:
        notes.append(
            f"{counted(filled['$insert_id'], 'event')} without $insert_id got one derived from "
            "the content: the same event with the same time is counted once, however often it "
            "is sent"
        )
    if filled["ignored"]:
        notes.append(
            f"{counted(filled['ignored'], 'event')} with a true $ignore: Mixpanel drops it"
        )
    if filled["future"]:
        notes.append(
            f"{counted(filled['future'], 'event')} more than an hour ahead: Mixpanel refuses it or "
            "takes the time it arrives"
        )
    if filled["long"]:
        notes.append(
            f"{counted(filled['long'], 'text')} longer than {_LONGEST_TEXT} characters: Mixpanel "
            "keeps the beginning"
        )
    return notes
