"""The activity feed: what the users with some ids did, in the order of time.

Source: `query.openapi.yaml` /stream/query.

The ids of a merged user all find the whole user, whose events carry the canonical id. Each event
counts once, and has the properties that an export gives it; `time` is in seconds. Days are days in
UTC. Where Mixpanel's documents are silent: the oldest event comes first.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, TypedDict

from mixpanel_mcp.analytics.counted import events_source
from mixpanel_mcp.analytics.dialect import texts
from mixpanel_mcp.analytics.expressions import Bindings

if TYPE_CHECKING:
    from mixpanel_mcp.analytics.buckets import Buckets
    from mixpanel_mcp.analytics.store import Store


class Activity(TypedDict):
    event: str
    properties: dict[str, Any]


def activity_feed(store: Store, distinct_ids: Sequence[str], span: Buckets) -> list[Activity]:
    bindings = Bindings()
    source = events_source(bindings, from_time=span.from_time, to_time=span.to_time)
    ids = bindings.add(list(distinct_ids))
    rows = store.rows(
        f"""
        SELECT event, distinct_id, time // 1000, insert_id, processed, properties
        FROM {source}
        WHERE distinct_id IN (
            SELECT COALESCE(canonical_id, text)
            FROM {texts(ids)} AS asked LEFT JOIN canonical_ids ON canonical_ids.distinct_id = text
        )
        ORDER BY time, event, insert_id
        """,  # noqa: S608  # every value is a parameter
        bindings.values,
    )
    return [_activity(*row) for row in rows]


def _activity(  # the columns of a row
    event: str, distinct_id: str, time: int, insert_id: str, processed: int, properties: str
) -> Activity:
    own = {
        "time": time,
        "distinct_id": distinct_id,
        "$insert_id": insert_id,
        "mp_processing_time_ms": processed,
    }
    return {"event": event, "properties": {**own, **json.loads(properties)}}
