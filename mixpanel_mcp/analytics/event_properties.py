"""The properties of an event: which it has, which values, and these over time.

Sources: `query.openapi.yaml` /events/properties, /events/properties/top, /events/properties/values.

- Values are named as the segments of a segmentation are: a missing property is "undefined".
  Only the list of values leaves that one out.
- Values that were asked for have a series each, also those that never occurred; the limit is then
  left aside.
- Time, `distinct_id` and `$insert_id` belong to every event, and are not counted as properties.
- The most common come first; equals in the order of their names.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypedDict

from mixpanel_mcp.analytics.counted import events_source
from mixpanel_mcp.analytics.dialect import at_most
from mixpanel_mcp.analytics.expressions import Bindings, Subject, segment
from mixpanel_mcp.analytics.json_access import json_names
from mixpanel_mcp.analytics.segments import segment_name
from mixpanel_mcp.analytics.series import (
    Measure,
    SeriesReport,
    count_series,
    empty_values,
    series_report,
)

if TYPE_CHECKING:
    from mixpanel_mcp.analytics.buckets import Buckets
    from mixpanel_mcp.analytics.store import Store

DEFAULT_VALUES = 255
DEFAULT_NAMES = 10


class PropertyCount(TypedDict):
    count: int


@dataclass(frozen=True)
class PropertyQuery:
    event: str
    name: str
    buckets: Buckets
    measure: Measure = "general"
    values: Sequence[str] | None = None
    limit: int = DEFAULT_VALUES


def property_values_over_time(store: Store, query: PropertyQuery) -> SeriesReport:
    """Count the event in each bucket for each value of the property.

    Raises:
        ValueError: there would be too many numbers.
    """
    buckets, bindings = query.buckets, Bindings()
    source = events_source(
        bindings, from_time=buckets.from_time, to_time=buckets.to_time, names=[query.event]
    )
    relation = (
        f"SELECT {segment_name(_expression(query.name), bindings)} AS segment,"  # noqa: S608
        f" time, distinct_id FROM {source}"
    )
    if query.values is not None:
        asked = bindings.add(list(query.values))
        relation = f"SELECT * FROM ({relation}) WHERE list_contains({asked}::VARCHAR[], segment)"  # noqa: S608
    counted = count_series(
        store,
        relation,
        bindings,
        buckets=buckets,
        measure=query.measure,
        limit=query.limit if query.values is None else None,
    )
    return series_report(buckets, empty_values(query.values or [], buckets) | counted)


def top_properties(
    store: Store, event: str, limit: int = DEFAULT_NAMES
) -> dict[str, PropertyCount]:
    """Count the events that have each property, nulls too."""
    bindings = Bindings()
    source = events_source(bindings, names=[event])
    rows = store.rows(
        f"""
        SELECT name, count(*) AS amount
        FROM (SELECT unnest({json_names("properties")}) AS name FROM {source})
        GROUP BY name ORDER BY amount DESC, name {at_most(limit)}
        """,  # noqa: S608  # every value is a parameter
        bindings.values,
    )
    return {name: {"count": amount} for name, amount in rows}


def top_values(store: Store, event: str, name: str, limit: int = DEFAULT_VALUES) -> list[str]:
    """List the values that the property of the event has."""
    bindings = Bindings()
    source = events_source(bindings, names=[event])
    value = segment(_expression(name), Subject.EVENTS, bindings)
    rows = store.rows(
        f"""
        SELECT value FROM (SELECT {value} AS value FROM {source}) WHERE value IS NOT NULL
        GROUP BY value ORDER BY count(*) DESC, value {at_most(limit)}
        """,  # noqa: S608  # every value is a parameter
        bindings.values,
    )
    return [value for (value,) in rows]


def _expression(name: str) -> str:
    return f"properties[{json.dumps(name)}]"
