"""Segmentation: by values, by ranges, summed and averaged.

Source: `query.openapi.yaml` (`/segmentation...`). `interval` is there in lieu of `unit` when `type`
is not general, and does nothing otherwise; `limit` does nothing without `on`.
"""

from __future__ import annotations

from typing import Any

from mixpanel_mcp.analytics.buckets import Buckets, BucketUnit
from mixpanel_mcp.analytics.numeric_segmentation import (
    NumericQuery,
    numeric_averages,
    numeric_segmentation,
    numeric_sums,
)
from mixpanel_mcp.analytics.segmentation import DEFAULT_LIMIT, SegmentationQuery, segmentation
from mixpanel_mcp.analytics.series import Measure
from mixpanel_mcp.sandbox.clock import moment
from mixpanel_mcp.sandbox.queries import Query
from mixpanel_mcp.sandbox.series_replies import MEASURES, reply

_UNITS: tuple[BucketUnit, ...] = ("minute", "hour", "day", "month")
_NUMERIC_UNITS: tuple[BucketUnit, ...] = ("hour", "day")
_MOST_SEGMENTS = 10_000


def query_segmentation(query: Query) -> Any:
    parameters = query.parameters
    event = parameters.required("event")
    measure = parameters.choice("type", MEASURES) or "general"
    asked = SegmentationQuery(
        event=event,
        buckets=_buckets(query, measure),
        on=parameters.segment("on"),
        where=parameters.condition("where"),
        measure=measure,
        limit=parameters.integer("limit", most=_MOST_SEGMENTS) or DEFAULT_LIMIT,
    )
    return reply(parameters, segmentation(query.project.store, asked))


def query_ranges(query: Query) -> Any:
    measure = query.parameters.choice("type", MEASURES) or "general"
    return numeric_segmentation(query.project.store, _numeric(query), measure)


def query_sums(query: Query) -> dict[str, Any]:
    sums = numeric_sums(query.project.store, _numeric(query))
    return {
        "status": "ok",
        "computed_at": moment(query.project.clock.now()).isoformat(),
        # As in the example, whole sums are written without a point.
        "results": {day: int(s) if s.is_integer() else s for day, s in sums.items()},
    }


def query_averages(query: Query) -> dict[str, Any]:
    averages = numeric_averages(query.project.store, _numeric(query))
    return {"status": "ok", "results": averages}


def _buckets(query: Query, measure: Measure) -> Buckets:
    parameters = query.parameters
    from_date, to_date = parameters.required_dates()
    unit = parameters.choice("unit", _UNITS)
    interval = parameters.integer("interval", most=10_000)
    if unit is None and interval is not None and measure != "general":
        return Buckets(from_date, to_date, "day", interval)
    return Buckets(from_date, to_date, unit or "day")


def _numeric(query: Query) -> NumericQuery:
    parameters = query.parameters
    event = parameters.required("event")
    from_date, to_date = parameters.required_dates()
    parameters.required("on")
    unit = parameters.choice("unit", _NUMERIC_UNITS) or "day"
    return NumericQuery(
        event=event,
        on=parameters.segment("on") or "",
        buckets=Buckets(from_date, to_date, unit),
        where=parameters.condition("where"),
    )
