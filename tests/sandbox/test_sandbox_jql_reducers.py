"""Reducers of JQL, each against the same count in plain Python."""

from __future__ import annotations

import random
import statistics
from typing import Any

import pytest
from jql_scripts import ThrownError, transformed

_RANDOM = random.Random(7)  # noqa: S311  # data for tests
AMOUNTS = [_RANDOM.choice([n, n / 4, -n]) for n in range(1, 60)]
"""No two are equal, so that the least and the greatest are one item each."""
ODD_ONES = [{}, {"amount": None}, {"amount": "12"}, {"amount": True}, {"amount": [3]}]
ITEMS: list[Any] = [{"amount": amount, "at": {"n": n}} for n, amount in enumerate(AMOUNTS)]
MIXED = [*ITEMS[:20], *ODD_ONES, *ITEMS[20:]]


def reduced(reducer: str, items: list[Any] = MIXED) -> Any:
    (value,) = transformed(items, f".reduce({reducer})")
    return value


def test_count_counts_everything() -> None:
    assert reduced("mixpanel.reducer.count()") == len(MIXED)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("sum", sum(AMOUNTS)),
        ("avg", statistics.fmean(AMOUNTS)),
        ("min", min(AMOUNTS)),
        ("max", max(AMOUNTS)),
    ],
    ids=["sum", "avg", "min", "max"],
)
def test_numeric_reducers_leave_out_what_is_no_number(name: str, expected: float) -> None:
    assert reduced(f"mixpanel.reducer.{name}('amount')") == pytest.approx(expected)


def test_the_item_of_an_extreme_comes_whole() -> None:
    by_amount = {each["amount"]: each for each in ITEMS}
    both = reduced("[mixpanel.reducer.min_by('amount'), mixpanel.reducer.max_by('amount')]")
    assert both == [by_amount[min(AMOUNTS)], by_amount[max(AMOUNTS)]]


def test_a_numeric_summary_has_the_deviation_of_the_whole_population() -> None:
    summary = reduced("mixpanel.reducer.numeric_summary('amount')")
    assert summary == pytest.approx(
        {
            "count": len(AMOUNTS),
            "sum": sum(AMOUNTS),
            "sum_squares": sum(amount**2 for amount in AMOUNTS),
            "avg": statistics.fmean(AMOUNTS),
            "stddev": statistics.pstdev(AMOUNTS),
        }
    )


def least_covering(values: list[Any], percent: float) -> Any:
    """Return the least value that `percent` of the values do not exceed."""
    return next(
        value
        for value in sorted(values)
        if sum(other <= value for other in values) * 100 >= percent * len(values)
    )


@pytest.mark.parametrize("count", [1, 2, 10, 35, 59])
def test_percentiles_are_exact(count: int) -> None:
    percentiles = [1, 10, 20, 25, 50, 75, 90, 99, 99.9]
    answer = reduced(
        f"mixpanel.reducer.numeric_percentiles('amount', {percentiles})", ITEMS[:count]
    )
    assert answer == [
        {"percentile": percent, "value": least_covering(AMOUNTS[:count], percent)}
        for percent in percentiles
    ]


def test_one_percentile_is_a_number() -> None:
    median = reduced("mixpanel.reducer.numeric_percentiles('amount', 50)")
    assert median == least_covering(AMOUNTS, 50)


def test_top_is_one_list_of_the_greatest_groups() -> None:
    groups: list[dict[str, Any]] = [{"key": [n], "value": (n * 7) % 10} for n in range(25)]
    greatest = sorted(groups, key=lambda group: -group["value"])
    assert reduced("mixpanel.reducer.top(8)", groups) == greatest[:8]


def test_object_merge_sums_the_leaves() -> None:
    items = [
        {"a": 1, "deep": {"x": 1, "name": "first"}, "list": [1]},
        {"a": 2, "deep": {"x": 10, "y": 5, "name": "last"}, "list": [2], "__proto__": {"z": 1}},
        "no object",
    ]
    assert reduced("mixpanel.reducer.object_merge()", items) == {
        "a": 3,
        "deep": {"x": 11, "y": 5, "name": "last"},
        "list": [2],
        "__proto__": {"z": 1},
    }


def test_object_merge_keeps_its_sums() -> None:
    items: list[Any] = [{"a": 1, "b": "x"}, {"a": None, "b": None}, {"a": "text"}, {}, {"a": 2}]
    assert reduced("mixpanel.reducer.object_merge()", items) == {"a": 3, "b": "x"}
    (value,) = transformed(
        ITEMS, ".map(item => ({n: item.at.n, x: item.x})).reduce(mixpanel.reducer.object_merge())"
    )
    assert value == {"n": sum(range(len(ITEMS)))}


def test_any_is_one_of_the_items_and_null_is_null() -> None:
    some, nothing = reduced("[mixpanel.reducer.any(), mixpanel.reducer.null()]")
    assert some in MIXED
    assert nothing is None


@pytest.mark.parametrize(
    ("accessor", "expected"),
    [
        ("", 15),
        ("function (n) { return n * 2 }", 30),
        ("mixpanel.numeric_bucket(function (n) { return n }, [0, 3])", 9),
        ("mixpanel.to_number(function (n) { return String(n) })", 15),
    ],
    ids=["the item itself", "a function", "a bucket", "a number made of text"],
)
def test_an_accessor_is_many_things(accessor: str, expected: float) -> None:
    assert reduced(f"mixpanel.reducer.sum({accessor})", [1, 2, 3, 4, 5]) == expected


def test_a_function_folds_accumulators_and_items() -> None:
    script = """function (accumulators, items) {
        return _.reduce(accumulators.concat(_.pluck(items, "n")), (sum, n) => sum + n, 0);
    }"""
    items = [{"n": n} for n in range(2500)]
    assert reduced(f"[{script}, mixpanel.reducer.count()]", items) == [sum(range(2500)), 2500]


def test_nothing_is_reduced_to_something_too() -> None:
    reducers = (
        "[mixpanel.reducer.count(), mixpanel.reducer.sum(), mixpanel.reducer.avg(),"
        " mixpanel.reducer.max(), mixpanel.reducer.any(), mixpanel.reducer.object_merge(),"
        " mixpanel.reducer.top(3), mixpanel.reducer.numeric_percentiles('x', 50),"
        " function (accumulators, items) { return accumulators.length + items.length }]"
    )
    assert reduced(reducers, []) == [0, 0, None, None, None, {}, [], None, 0]


@pytest.mark.parametrize(
    ("chain", "message"),
    [
        (".reduce()", "reduce() needs a reducer"),
        (".reduce(5)", "reduce() needs a reducer"),
        (".reduce(mixpanel.reducer.count)", "call it: mixpanel.reducer.count()"),
        (".reduce(mixpanel.reducer.sum(5))", "sum() needs a property path or a function"),
        (".reduce(mixpanel.reducer.top(3))", "top() needs items of the form"),
        (".reduce(mixpanel.reducer.top())", "top() needs a number of items"),
        (".reduce(mixpanel.reducer.numeric_percentiles('a', 100))", "between 0 and 100"),
        (".groupBy(['a'], mixpanel.reducer.sum)", "call it: mixpanel.reducer.sum()"),
    ],
)
def test_a_reducer_that_cannot_be_says_why(chain: str, message: str) -> None:
    with pytest.raises(ThrownError) as thrown:
        transformed(MIXED, chain)
    assert message in str(thrown.value)
