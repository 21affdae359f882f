"""Counts per name and bucket, and the shape in which the Query API replies with them.

- "general" counts events; "unique" counts the users of a bucket, each once; "average" is events
  per user of the bucket.
- Every bucket is listed for every name, also with 0: Mixpanel's examples do so for some reports
  and not for others.
- With a limit, only the largest names are shown, by the sum over all buckets of what is counted
  (for averages: of the events); equals in the order of their names.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Literal, TypedDict

from mixpanel_mcp.analytics.segments import is_shown

if TYPE_CHECKING:
    from mixpanel_mcp.analytics.buckets import Buckets
    from mixpanel_mcp.analytics.expressions import Bindings
    from mixpanel_mcp.analytics.store import Store

Measure = Literal["general", "unique", "average"]

_MOST_CELLS = 2_000_000
_ALL = 2**31

_USERS = "count(DISTINCT distinct_id)"
_AMOUNTS: dict[Measure, str] = {
    "general": "count(*)",
    "unique": _USERS,
    "average": f"CAST(count(*) AS DOUBLE) / {_USERS}",
}
_SIZES: dict[Measure, str] = {"general": "count(*)", "unique": _USERS, "average": "count(*)"}

Values = dict[str, dict[str, float]]
"""The amount of each bucket, by name; events and users are whole numbers."""


class SeriesData(TypedDict):
    series: list[str]
    values: Values


class SeriesReport(TypedDict):
    data: SeriesData
    legend_size: int


def amount(measure: Measure) -> str:
    """SQL for what is measured over rows with a `distinct_id`."""
    return _AMOUNTS[measure]


def count_series(  # each is one part of the question
    store: Store,
    relation: str,
    bindings: Bindings,
    *,
    buckets: Buckets,
    measure: Measure,
    limit: int | None = None,
) -> Values:
    """Count the rows of a relation with `segment`, `time` and `distinct_id`.

    Raises:
        ValueError: there would be too many numbers, or the limit is not positive.
    """
    if limit is not None and limit < 1:
        raise ValueError(f"a limit is at least 1, not {limit}")
    shown = is_shown("measured", "size", _ALL if limit is None else limit)
    rows = store.rows(
        f"""
        WITH measured AS (
            SELECT segment, {buckets.number("time")} AS bucket,
                {_AMOUNTS[measure]} AS amount, {_SIZES[measure]} AS size
            FROM ({relation}) GROUP BY segment, bucket
        )
        SELECT segment, bucket, amount, sum(size) OVER (PARTITION BY segment) AS total
        FROM measured WHERE {shown} ORDER BY total DESC, segment
        """,  # noqa: S608  # every value is a parameter
        bindings.values,
    )
    labels = buckets.labels
    values = empty_values(dict.fromkeys(segment for segment, _, _, _ in rows), buckets)
    for segment, bucket, counted, _ in rows:
        values[segment][labels[bucket]] = counted
    return values


def empty_values(names: Iterable[str], buckets: Buckets) -> Values:
    """Zeros for every bucket of every name.

    Raises:
        ValueError: there would be too many numbers.
    """
    names, labels = list(names), buckets.labels
    if len(names) * len(labels) > _MOST_CELLS:
        raise ValueError(
            f"{len(names)} values over {len(labels)} periods are too many numbers for one report:"
            " ask for fewer days, a larger unit or a smaller limit"
        )
    return {name: dict.fromkeys(labels, 0) for name in names}


def series_report(buckets: Buckets, values: Values) -> SeriesReport:
    return {
        "data": {"series": buckets.labels, "values": values},
        "legend_size": len(values),
    }
