"""Rows of files become events: a flat row by a mapping, a whole event as it is."""

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mixpanel_mcp.api.request import json_body
from mixpanel_mcp.files.event_lines import Completed
from mixpanel_mcp.files.records import unwrapped
from mixpanel_mcp.files.unpacking import LONGEST_LINE
from mixpanel_mcp.json_values import is_object
from mixpanel_mcp.operation import TOKEN_NAMES
from mixpanel_mcp.operations.arguments import MAPPED_FIELDS
from mixpanel_mcp.operations.event_records import imported_event

USUAL_COLUMNS = {
    "event": ("event",),
    "time": ("time", "timestamp"),
    "distinct_id": ("distinct_id",),
    "insert_id": ("$insert_id", "insert_id"),
}
"""Columns that are taken for a field where the mapping does not say otherwise."""

_PROPERTY = {"time": "time", "distinct_id": "distinct_id", "insert_id": "$insert_id"}

Faults = Sequence[tuple[str, str]]


class RepeatedNameError(ValueError):
    """A JSON object has a name twice: which of the two counts depends on who reads it."""


@dataclass(frozen=True)
class EventRows:
    """Reads one row in full.

    Args:
        mapping: which column is the event, the time, the distinct_id, the insert_id.
        default_event: the name of rows that have none.
    """

    mapping: Mapping[str, str]
    default_event: str | None

    def completed(self, line: bytes) -> Completed | Faults | None:
        """One line as an event that can be sent, or its faults, or nothing for a blank line."""
        if not line.strip():
            return None
        row, unreadable = parsed(line)
        if unreadable:
            return unreadable
        now_ms = int(time.time() * 1000)
        event, faults = imported_event(self._event(row), now_ms, written=len(line))
        if not faults:
            try:
                return _as_line(event)
            except (UnicodeEncodeError, RecursionError):
                faults = [": has half of a character, or is nested without end"]
        return [as_field_and_reason(fault) for fault in faults]

    def _event(self, row: dict[str, Any]) -> dict[str, Any]:
        if is_object(row.get("properties")):
            if self.default_event is not None and not row.get("event"):
                return {**row, "event": self.default_event}
            return row
        properties = dict(row)
        event: dict[str, Any] = {}
        for field in MAPPED_FIELDS:
            column = self.mapping.get(field) or _first(USUAL_COLUMNS[field], row)
            value = properties.pop(column, None) if column is not None else None
            if value is None or value == "":
                continue
            if field == "event":
                event["event"] = value
            else:
                properties[_PROPERTY[field]] = value
        if "event" not in event and self.default_event is not None:
            event["event"] = self.default_event
        return {**event, "properties": properties}


def parsed(line: bytes) -> tuple[dict[str, Any], Faults]:
    """The JSON object on a line, or why there is none."""
    if len(line) >= LONGEST_LINE:
        return {}, [("", "is longer than the 1 MB that a record may have")]
    try:
        row = unwrapped(_decoder.decode(line.decode()))
    except UnicodeDecodeError:
        return {}, [("", "is not UTF-8; write the file in UTF-8")]
    except RepeatedNameError as error:
        return {}, [("", str(error))]
    except RecursionError:
        return {}, [("", "is nested too deeply")]
    except ValueError as error:
        return {}, [("", f"is not JSON: {error}")]
    return (row, ()) if is_object(row) else ({}, [("", "is no JSON object")])


def as_field_and_reason(fault: str) -> tuple[str, str]:
    """Take `properties.time: is before 1971` apart."""
    field, _, reason = fault.partition(": ")
    return field.lstrip("."), reason


def _unique(items: list[tuple[str, Any]]) -> dict[str, Any]:
    document = dict(items)
    if len(document) != len(items):
        names = [name for name, _ in items]
        twice = next(name for name in names if names.count(name) > 1)
        raise RepeatedNameError(f"has the name {twice!r:.60} twice")
    return document


_decoder = json.JSONDecoder(object_pairs_hook=_unique)


def _first(columns: Sequence[str], row: Mapping[str, Any]) -> str | None:
    return next((column for column in columns if column in row), None)


def _as_line(event: dict[str, Any]) -> Completed:
    properties: dict[str, Any] = event["properties"]
    return Completed(
        line=json_body(event) + b"\n",
        name=event["event"],
        time=properties["time"],
        insert_id=properties["$insert_id"],
        watched=not TOKEN_NAMES.isdisjoint(map(str.lower, properties)),
    )
