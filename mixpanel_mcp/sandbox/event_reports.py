"""Events by name, their properties, and what single users did.

Source: `query.openapi.yaml` (`/events...`, `/stream/query`). `/events/names` also takes dates,
which the specification does not know and clients send; it never lists more than 5,000 names.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from mixpanel_mcp.analytics.activity import activity_feed
from mixpanel_mcp.analytics.buckets import Buckets
from mixpanel_mcp.analytics.event_properties import (
    DEFAULT_NAMES,
    DEFAULT_VALUES,
    PropertyQuery,
    property_values_over_time,
    top_properties,
    top_values,
)
from mixpanel_mcp.analytics.event_totals import event_names, event_totals, top_events
from mixpanel_mcp.sandbox.queries import Query
from mixpanel_mcp.sandbox.series_replies import measure, periods, reply

_DEFAULT_TOP_EVENTS = 100
_DEFAULT_EVENT_NAMES = 255
_MOST_EVENT_NAMES = 5_000
_RECENT_DAYS = 31


def query_totals(query: Query) -> Any:
    parameters = query.parameters
    parameters.required("event")
    names, measured = parameters.texts("event") or [], measure(parameters)
    report = event_totals(query.project.store, names, periods(query, measured), measured)
    return reply(parameters, report)


def query_top_events(query: Query) -> dict[str, Any]:
    measured = measure(query.parameters)
    limit = query.parameters.integer("limit") or _DEFAULT_TOP_EVENTS
    events = top_events(query.project.store, query.project.clock.today(), measured, limit)
    return {"events": events, "type": measured}


def query_names(query: Query) -> list[str]:
    parameters, today = query.parameters, query.project.clock.today()
    measured = measure(parameters)
    span = Buckets(today - timedelta(days=_RECENT_DAYS - 1), today)
    if parameters.text("from_date") is not None:
        span = Buckets(*parameters.required_dates())
    limit = parameters.integer("limit") or _DEFAULT_EVENT_NAMES
    return event_names(query.project.store, span, measured, min(limit, _MOST_EVENT_NAMES))


def query_properties(query: Query) -> Any:
    parameters = query.parameters
    event, name = parameters.required("event"), parameters.required("name")
    measured = measure(parameters)
    asked = PropertyQuery(
        event=event,
        name=name,
        buckets=periods(query, measured),
        measure=measured,
        values=parameters.texts("values"),
        limit=parameters.integer("limit") or DEFAULT_VALUES,
    )
    return reply(parameters, property_values_over_time(query.project.store, asked))


def query_top_properties(query: Query) -> Any:
    event = query.parameters.required("event")
    limit = query.parameters.integer("limit") or DEFAULT_NAMES
    return top_properties(query.project.store, event, limit)


def query_top_values(query: Query) -> list[str]:
    parameters = query.parameters
    event, name = parameters.required("event"), parameters.required("name")
    limit = parameters.integer("limit") or DEFAULT_VALUES
    return top_values(query.project.store, event, name, limit)


def query_activity(query: Query) -> dict[str, Any]:
    parameters = query.parameters
    parameters.required("distinct_ids")
    distinct_ids = parameters.texts("distinct_ids") or []
    span = Buckets(*parameters.required_dates())
    events = activity_feed(query.project.store, distinct_ids, span)
    return {"status": "ok", "results": {"events": events}}
