"""Transformations and key functions of JQL, each against plain Python."""

from __future__ import annotations

import random
from collections import Counter, defaultdict
from datetime import UTC, date, datetime, timedelta
from itertools import groupby
from typing import Any

import pytest
from jql_scripts import ThrownError, evaluated, transformed

_RANDOM = random.Random(11)  # noqa: S311  # data for tests
ITEMS: list[dict[str, Any]] = sorted(
    (
        {
            "distinct_id": f"user-{_RANDOM.randrange(6)}",
            "time": n,
            "properties": {
                "New Plan": _RANDOM.choice(["free", "pro", None]),
                "size": _RANDOM.randrange(40),
                "tags": _RANDOM.sample(["a", "b", "c"], _RANDOM.randrange(4)),
            },
        }
        for n in range(90)
    ),
    key=lambda item: (item["distinct_id"], item["time"]),
)
COUNT = "mixpanel.reducer.count()"


def sizes() -> list[int]:
    return [item["properties"]["size"] for item in ITEMS]


def counted(keys: list[list[Any]]) -> list[dict[str, Any]]:
    """Return groups in the order in which they are first seen."""
    counts: dict[tuple[Any, ...], int] = {}
    for key in keys:
        counts[tuple(key)] = counts.get(tuple(key), 0) + 1
    return [{"key": list(key), "value": value} for key, value in counts.items()]


def test_filter_keeps_what_is_true_of() -> None:
    kept = transformed(ITEMS, ".filter(item => item.properties.size > 20)")
    assert kept == [item for item in ITEMS if item["properties"]["size"] > 20]


def test_map_makes_one_item_of_each() -> None:
    assert transformed(ITEMS, ".map(item => item.properties.size * 2)") == [n * 2 for n in sizes()]


def test_map_may_return_nothing() -> None:
    assert transformed([1, 2], ".map(item => {})") == [None, None]


def test_flatten_opens_lists_once() -> None:
    nested = [1, [2, [3]], [], "four", {"five": [5]}]
    assert transformed(nested, ".flatten()") == [1, 2, [3], "four", {"five": [5]}]


@pytest.mark.parametrize("accessor", ["'properties.size'", "item => item.properties.size"])
def test_sorting_is_stable_both_ways(accessor: str) -> None:
    ascending = transformed(ITEMS, f".sortAsc({accessor})")
    descending = transformed(ITEMS, f".sortDesc({accessor})")
    assert ascending == sorted(ITEMS, key=lambda item: item["properties"]["size"])
    assert descending == sorted(ITEMS, key=lambda item: -item["properties"]["size"])


def test_scalars_of_all_kinds_have_an_order() -> None:
    mixed = ["b", 10, None, True, 9, "a", False]
    assert transformed(mixed, ".sortAsc(item => item)") == [None, False, True, 9, 10, "a", "b"]


def test_group_by_paths_and_functions() -> None:
    groups = transformed(
        ITEMS,
        ".groupBy(['properties.New Plan', 'properties.missing',"
        f" item => item.time % 3 == 0], {COUNT})",
    )
    assert groups == counted(
        [[item["properties"]["New Plan"], None, item["time"] % 3 == 0] for item in ITEMS]
    )


def test_group_by_with_several_reducers_has_a_list_of_values() -> None:
    fold = "(all, items) => Math.max(...all, ...items.map(item => item.properties.size))"
    groups = transformed(
        ITEMS, f".groupBy(['distinct_id'], [{COUNT}, mixpanel.reducer.sum('time'), {fold}])"
    )
    expected = [
        {
            "key": [user],
            "value": [
                len(events),
                sum(event["time"] for event in events),
                max(event["properties"]["size"] for event in events),
            ],
        }
        for user, events in ((user, list(each)) for user, each in by_user())
    ]
    assert groups == expected


def by_user() -> Any:
    return groupby(ITEMS, key=lambda item: item["distinct_id"])


def test_a_reducer_may_return_nothing() -> None:
    groups = transformed([1, 1], ".groupBy([item => item], () => {})")
    assert groups == [{"key": [1], "value": None}]


def test_a_list_becomes_part_of_the_key() -> None:
    groups = transformed(ITEMS, f".groupBy(['properties.tags'], {COUNT})")
    assert groups == counted([item["properties"]["tags"] for item in ITEMS])


def test_under_multiple_keys_each_element_is_a_key() -> None:
    groups = transformed(
        ITEMS, f".groupBy(mixpanel.multiple_keys(['properties.tags']), {COUNT}).sortAsc('key.0')"
    )
    counts = Counter(tag for item in ITEMS for tag in item["properties"]["tags"])
    assert groups == [{"key": [tag], "value": counts[tag]} for tag in sorted(counts)]


def test_both_treatments_of_a_list_in_one_key() -> None:
    groups = transformed(
        ITEMS,
        f".groupBy([mixpanel.multiple_keys(['properties.tags']), 'properties.tags'], {COUNT})",
    )
    assert groups == counted(
        [[tag, *item["properties"]["tags"]] for item in ITEMS for tag in item["properties"]["tags"]]
    )


def test_several_multiple_keys_are_combined() -> None:
    groups = transformed(
        [{"a": [1, 2], "b": "x"}, {"a": [2], "b": ["x", "y"]}],
        f".groupBy([mixpanel.multiple_keys(['a', 'b'])], {COUNT})",
    )
    assert groups == counted([[1, "x"], [2, "x"], [2, "x"], [2, "y"]])


@pytest.mark.parametrize("key", ["{}", "[[1]]"], ids=["an object", "a list in a list"])
def test_a_key_is_made_of_scalars(key: str) -> None:
    with pytest.raises(ThrownError, match="A group key must be a string, a number"):
        transformed(ITEMS, f".groupBy([() => ({key})], {COUNT})")


def test_group_by_user_folds_the_events_of_one_user() -> None:
    groups = transformed(
        ITEMS,
        ".groupByUser((state, events) => (state || []).concat(events.map(each => each.time)))",
    )
    assert groups == [
        {"key": [user], "value": [event["time"] for event in events]} for user, events in by_user()
    ]


def test_group_by_user_and_more_keys() -> None:
    groups = transformed(
        ITEMS,
        ".groupByUser(['properties.New Plan'],"
        " [mixpanel.reducer.count(), (n, events) => (n || 0) + events.length])",
    )
    expected = [
        {"key": group["key"], "value": [group["value"]] * 2}
        for group in counted(
            [[item["distinct_id"], item["properties"]["New Plan"]] for item in ITEMS]
        )
    ]
    assert groups == expected


def test_group_by_user_stands_after_a_source_or_its_filter() -> None:
    filtered = transformed(
        ITEMS, f".filter(item => item.time % 2).groupByUser({COUNT}).sortAsc('key.0')"
    )
    counts = Counter(item["distinct_id"] for item in ITEMS if item["time"] % 2)
    assert filtered == [{"key": [user], "value": counts[user]} for user in sorted(counts)]
    for chain in (".map(item => item)", ".flatten()", ".groupBy(['a'], mixpanel.reducer.any())"):
        with pytest.raises(ThrownError, match=r"groupByUser\(\) follows Events"):
            transformed(ITEMS, f"{chain}.groupByUser({COUNT})")


def test_chained_groups_count_users_by_plan() -> None:
    groups = transformed(
        ITEMS,
        ".groupByUser(['properties.New Plan'], mixpanel.reducer.null())"
        f".groupBy([mixpanel.slice('key', 1)], {COUNT})",
    )
    users: dict[Any, set[str]] = defaultdict(set)
    for item in ITEMS:
        users[item["properties"]["New Plan"]].add(item["distinct_id"])
    assert {group["key"][0]: group["value"] for group in groups} == {
        plan: len(names) for plan, names in users.items()
    }


def test_slice_may_end_before_the_key_does() -> None:
    groups = transformed([{"key": [1, 2, 3]}], f".groupBy([mixpanel.slice('key', 0, 2)], {COUNT})")
    assert groups == [{"key": [1, 2], "value": 1}]


def test_group_limits_keep_so_many_components_under_each_prefix() -> None:
    keys = [["a", 1], ["a", 2], ["b", 1], ["a", 3], ["c", 1], ["b", 2], ["a", 1], ["b", 3]]
    groups = [{"key": key, "value": 0} for key in keys]
    limited = transformed(groups, ".applyGroupLimits([2, 2])")
    assert [group["key"] for group in limited] == [
        ["a", 1], ["a", 2], ["b", 1], ["b", 2], ["a", 1],
    ]  # fmt: skip
    assert transformed(groups, ".applyGroupLimits([2, 2], 3)") == limited[:3]
    assert transformed(groups, ".applyGroupLimits([null, 1])") == [
        groups[index] for index in (0, 2, 4, 6)
    ]


def moments() -> list[datetime]:
    return [
        datetime(year, month, day, 23, 59, 59, tzinfo=UTC)
        for year in (1969, 1970, 2024, 2026)
        for month in (1, 2, 3, 6, 12)
        for day in (1, 4, 5, 28)
    ]


def first_day(buckets: str, at: date) -> date:
    match buckets:
        case "weekly":
            return at - timedelta(days=at.weekday())
        case "monthly":
            return at.replace(day=1)
        case "quarterly":
            return at.replace(month=(at.month - 1) // 3 * 3 + 1, day=1)
        case "annual":
            return at.replace(month=1, day=1)
        case _:
            return at


@pytest.mark.parametrize("buckets", ["daily", "weekly", "monthly", "quarterly", "annual"])
def test_time_buckets_begin_on_calendar_days(buckets: str) -> None:
    items = [{"time": int(at.timestamp()) * 1000} for at in moments()]
    spec = f"mixpanel.{buckets}_time_buckets"
    bottoms = transformed(items, f".map(mixpanel.numeric_bucket('time', {spec}))")
    days = [first_day(buckets, at.date()) for at in moments()]
    assert bottoms == [(day - date(1970, 1, 1)) // timedelta(milliseconds=1) for day in days]


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ("[0, 18, 60]", [None, 0, 0, 18, 60, None]),
        ("[60, 0, 18]", [None, 0, 0, 18, 60, None]),
        ("{bucket_size: 10}", [-10, 0, 10, 10, 60, None]),
        ("{bucket_size: 10, offset: 1}", [-9, -9, 11, 11, 61, None]),
    ],
)
def test_a_bucket_is_named_by_its_lower_bound(spec: str, expected: list[Any]) -> None:
    items = [{"n": n} for n in (-1, 0, 17, 18, 61.5, "12")]
    assert transformed(items, f".map(mixpanel.numeric_bucket('n', {spec}))") == expected


def test_numbers_are_made_of_texts_and_dates() -> None:
    values = [5, "5", " -2.5e1 ", True, "2015-10-04T12:00:00", "2015-10-04", "1,5", "", None, [1]]
    noon = datetime(2015, 10, 4, 12, tzinfo=UTC).timestamp()
    midnight = noon - 12 * 3600
    assert transformed(values, ".map(mixpanel.to_number())") == [
        5, 5, -25, 1, noon, midnight, None, None, None, None,
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("chain", "message"),
    [
        (".filter()", "filter() needs a function"),
        (".map('name')", "map() needs a function"),
        (".sortAsc()", "sortAsc() needs a property path or a function"),
        (".sortDesc(item => [])", "A sort key must be a string"),
        (".groupBy(['time'])", "groupBy() needs a reducer"),
        (".groupBy([5], mixpanel.reducer.count())", "A group key needs a property path"),
        (".applyGroupLimits([1])", "applyGroupLimits() needs items of the form"),
        (".applyGroupLimits(['x'])", "applyGroupLimits() needs a number of items"),
        (".map(mixpanel.numeric_bucket('time', {}))", "numeric_bucket() needs a list of bounds"),
    ],
)
def test_a_transformation_that_cannot_be_says_why(chain: str, message: str) -> None:
    with pytest.raises(ThrownError) as thrown:
        transformed(ITEMS, chain)
    assert message in str(thrown.value)


def test_params_are_what_was_sent() -> None:
    assert evaluated("params", params={"days": [1, {"a": None}]}) == {"days": [1, {"a": None}]}


def test_printing_does_nothing() -> None:
    assert evaluated("[print('x'), console.log('y', 1), console.error()]") == [None, None, None]


@pytest.mark.parametrize("letter", ["a", "é", "ж", "日", "🎉", "\u2028"])
@pytest.mark.parametrize("count", [1, 200, 20_000])
def test_long_results_come_back_in_every_alphabet(letter: str, count: int) -> None:
    assert (
        evaluated(
            "_.times(params.count, _.constant(params.letter)).join('')",
            params={"count": count, "letter": letter},
        )
        == letter * count
    )


@pytest.mark.parametrize("letter", ["é", "日", "🎉"])
def test_what_is_thrown_may_be_long_in_every_alphabet(letter: str) -> None:
    with pytest.raises(ThrownError) as caught:
        evaluated(
            "(function () { throw new Error(params.letter.repeat(3000)) })()",
            params={"letter": letter},
        )
    assert caught.value.told["message"] == letter * 3000
