"""What the reports over time share: the periods asked for, and the reply as JSON or CSV.

Where Mixpanel's documents are silent: a CSV has a row for each date and a column for each name.
"""

from __future__ import annotations

import csv
import io
from typing import TYPE_CHECKING

from starlette.responses import Response

from mixpanel_mcp.analytics.buckets import Buckets, BucketUnit
from mixpanel_mcp.analytics.series import Measure, SeriesReport
from mixpanel_mcp.sandbox.clock import moment

if TYPE_CHECKING:
    from mixpanel_mcp.sandbox.parameters import Parameters
    from mixpanel_mcp.sandbox.queries import Query

MEASURES: tuple[Measure, ...] = ("general", "unique", "average")
UNITS: tuple[BucketUnit, ...] = ("minute", "hour", "day", "week", "month")
# "Note that you cannot get hourly uniques."
_TOO_FINE = ("minute", "hour")


def measure(parameters: Parameters) -> Measure:
    parameters.required("type")
    return parameters.choice("type", MEASURES) or "general"


def periods(query: Query, measure: Measure) -> Buckets:
    """Read `unit`, and the dates or the `interval` of so many units up to now.

    The dates count where both are sent.
    """
    parameters = query.parameters
    parameters.required("unit")
    unit = parameters.choice("unit", UNITS) or "day"
    interval = parameters.integer("interval", most=10_000)
    if measure == "unique" and unit in _TOO_FINE:
        raise parameters.refuse(f"unique counts are not available by {unit}")
    if interval is not None and parameters.text("from_date") is None:
        return Buckets.recent(moment(query.project.clock.now()), unit, interval)
    from_date, to_date = parameters.required_dates()
    return Buckets(from_date, to_date, unit)


def reply(parameters: Parameters, report: SeriesReport) -> SeriesReport | Response:
    if parameters.choice("format", ("json", "csv")) != "csv":
        return report
    dates, values = report["data"]["series"], report["data"]["values"]
    text = io.StringIO()
    rows = csv.writer(text)
    rows.writerow(["date", *values])
    rows.writerows([date, *(counts[date] for counts in values.values())] for date in dates)
    return Response(text.getvalue(), media_type="text/csv")
