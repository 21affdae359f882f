"""An event over time by the number that an expression gives: in ranges, summed, averaged.

Sources: `query.openapi.yaml` /segmentation/numeric, /segmentation/sum, /segmentation/average.

- In sums and averages, what is no number counts as 0.0, a number in a string too: averages are
  over all the events. A bucket without events is 0.0.
- Ranges leave out the events without a number.

Where Mixpanel's documents are silent: a range holds its lower end and not its upper one; all are
as wide as the largest power of ten that is not larger than the distance of the smallest number
from the largest (1 if there is none), and begin at multiples of it. They come in the order of
their numbers. Fractions are told apart to a billionth of a range.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING

from mixpanel_mcp.analytics.dialect import exact_sum
from mixpanel_mcp.analytics.expressions import Bindings, Subject, number
from mixpanel_mcp.analytics.selectors import Selector, selected_events
from mixpanel_mcp.analytics.series import (
    Measure,
    SeriesReport,
    count_series,
    series_report,
)

if TYPE_CHECKING:
    from mixpanel_mcp.analytics.buckets import Buckets
    from mixpanel_mcp.analytics.store import Store

_DIGITS = 15
"""How many of a number's digits a double keeps."""
_SMALLEST = -300
"""Ten to this is still a double, to less soon not."""


@dataclass(frozen=True)
class NumericQuery:
    event: str
    on: str
    buckets: Buckets
    where: str | None = None


def numeric_segmentation(store: Store, query: NumericQuery, measure: Measure) -> SeriesReport:
    """Count the events whose number lies in each range, such as "2,000 - 2,100".

    Raises:
        ExpressionError: `on` or `where` is no expression.
        ValueError: there would be too many numbers.
    """
    with store.transaction():
        exponent = _exponent(store, query)
        bindings = Bindings()
        place = f"floor(round(number / {bindings.add(10.0**exponent)}, 9))"
        relation = f"""
            SELECT CAST(CAST({place} AS HUGEINT) AS VARCHAR) AS segment, time, distinct_id
            FROM ({_numbers(query, bindings)}) WHERE number IS NOT NULL
        """  # noqa: S608  # every value is a parameter
        counted = count_series(store, relation, bindings, buckets=query.buckets, measure=measure)
    places = sorted(counted, key=int)
    values = {range_name(int(place), exponent): counted[place] for place in places}
    return series_report(query.buckets, values)


def range_name(place: int, exponent: int) -> str:
    """Name the range that begins at `place` times ten to the `exponent`."""
    low, high = (Decimal(end).scaleb(exponent) for end in (place, place + 1))
    return f"{low:,f} - {high:,f}"


def numeric_sums(store: Store, query: NumericQuery) -> dict[str, float]:
    """Sum up the numbers of each bucket.

    Raises:
        ExpressionError: `on` or `where` is no expression.
    """
    return _per_bucket(store, query, exact_sum("coalesce(number, 0)"))


def numeric_averages(store: Store, query: NumericQuery) -> dict[str, float]:
    """Average the numbers of each bucket.

    Raises:
        ExpressionError: `on` or `where` is no expression.
    """
    return _per_bucket(store, query, f"{exact_sum('coalesce(number, 0)')} / count(*)")


def _per_bucket(store: Store, query: NumericQuery, result: str) -> dict[str, float]:
    bindings = Bindings()
    rows = store.rows(
        f"SELECT {query.buckets.number('time')} AS bucket, {result}"  # noqa: S608  # parameters
        f" FROM ({_numbers(query, bindings)}) GROUP BY bucket",
        bindings.values,
    )
    found: dict[int, float] = dict(rows)
    return {label: found.get(place, 0.0) for place, label in enumerate(query.buckets.labels)}


def _numbers(query: NumericQuery, bindings: Bindings) -> str:
    """SQL for the events, each with its `number` or NULL."""
    selector = Selector(query.event, query.where)
    source = selected_events(
        [selector],
        bindings,
        query.on,
        from_time=query.buckets.from_time,
        to_time=query.buckets.to_time,
    )
    value = number(query.on, Subject.EVENTS, bindings)
    return (
        f"SELECT {value} AS number, time, distinct_id"  # noqa: S608  # every value is a parameter
        f" FROM {source} WHERE {selector.sql(bindings)}"
    )


def _exponent(store: Store, query: NumericQuery) -> int:
    bindings = Bindings()
    ((smallest, largest),) = store.rows(
        f"SELECT min(number), max(number) FROM ({_numbers(query, bindings)})",  # noqa: S608
        bindings.values,
    )
    if smallest is None:
        return 0
    if smallest == largest:
        return max(0, Decimal(largest).adjusted() - _DIGITS)
    return max(_SMALLEST, (Decimal(largest) - Decimal(smallest)).adjusted())
