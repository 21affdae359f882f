"""What an expression means where no table of types says it: words, precedence, names, limits."""

from collections.abc import Iterator
from typing import Any

import pytest

from mixpanel_mcp.analytics.expressions import (
    MAX_HEIGHT,
    Bindings,
    ExpressionError,
    Subject,
    condition,
    event_parts,
    needs_user,
    number,
    parse,
    segment,
)
from mixpanel_mcp.analytics.store import Store, open_store


@pytest.fixture(scope="module")
def store() -> Iterator[Store]:
    store = open_store()
    yield store
    store.close()


def value_of(store: Store, text: str, properties: str = "{}") -> Any:
    bindings = Bindings()
    sql = segment(text, Subject.PROFILES, bindings)
    row = (
        f"(SELECT 'ann' AS distinct_id, {bindings.add(properties)}::JSON AS properties,"
        """ '{"buys": 3}'::JSON AS behaviors)"""
    )
    # The row is bound in any case, and so must be what the expression does not read.
    return store.rows(f"SELECT {sql} FROM {row}", bindings.values)[0][0]  # noqa: S608


@pytest.mark.parametrize(
    ("text", "column"),
    [
        ("", 1),
        ("   ", 4),
        ('(properties["a"]', 17),
        ('properties["a"', 15),
        ("properties[a]", 12),
        ('properties["a"] = 1', 17),
        ('properties["a"] == 1 && true', 22),
        ("1 == 2 == 3", 8),
        ("1 < 2 < 3", 7),
        ("1 +", 4),
        ("1 + not true", 5),
        ("* 1", 1),
        ("foo", 1),
        ("TRUE", 1),
        ('"open', 1),
        ('1 == x"', 7),
        ('"a" "b"', 5),
        (r'"\q"', 2),
        (r'"\ud800"', 1),
        ("1 in []", 7),
        ("1 in [1,]", 9),
        ("1 in [1 2]", 9),
        ("1 in [-true]", 8),
        ("[1]", 1),
        ("1 in [(1)]", 7),
        ("floor 1", 7),
        ("floor()", 7),
        ('has_prefix("a")', 15),
        ("floor(1, 2)", 8),
        ("1e999", 1),
        ("1;", 2),
        ("1 # 2", 3),
        ('datetime("soon")', 10),
        ('event["x"]', 1),
        ('1 == behaviors["x"] + event["y"]', 23),
        ("true and 1", 10),
        ('"a" or true', 1),
        ("true and (1 + 2)", 13),
    ],
)
def test_an_error_says_where(text: str, column: int) -> None:
    with pytest.raises(ExpressionError) as caught:
        condition(text, Subject.PROFILES, Bindings())
    assert caught.value.column == column
    assert str(caught.value).endswith(f" at column {column}")


def test_the_error_names_what_is_missing() -> None:
    with pytest.raises(ExpressionError, match=r"^expected `\)` at column 14$"):
        parse("(1 + number(2")


@pytest.mark.parametrize("text", ["1", '"a"', 'floor(properties["a"])', 'string(user["a"])'])
def test_a_condition_of_another_type_is_refused(text: str) -> None:
    with pytest.raises(ExpressionError, match="expected a condition"):
        condition(text, Subject.EVENTS, Bindings())


def test_behaviors_belong_to_profiles() -> None:
    with pytest.raises(ExpressionError, match="events have no behaviors"):
        segment('behaviors["x"]', Subject.EVENTS, Bindings())


@pytest.mark.parametrize(
    ("text", "means"),
    [
        ("true or false and false", "true"),
        ("not false or true", "true"),
        ("not true and false", "false"),
        ("not 1 == 2", "true"),
        ('not "x" in "abc"', "true"),
        ("1 + 2 * 3", "7"),
        ("2 * 3 + 1 == 7", "true"),
        ("10 - 4 - 3", "3"),
        ("100 / 10 / 5", "2"),
        ("-2 * 3 - -1", "-5"),
        ("- - 2", "2"),
        ("(1 + 2) * 3", "9"),
        ("7 % 4 * 2", "6"),
        ("1 in [-1, 1] and true", "true"),
        (".5 + 1.", "1.5"),
        ("1e2", "100"),
    ],
)
def test_precedence(store: Store, text: str, means: str) -> None:
    assert value_of(store, text) == means


@pytest.mark.parametrize(
    ("text", "means"),
    [
        (r'"say \"hi\""', 'say "hi"'),
        (r"'it\'s'", "it's"),
        ("'say \"hi\"'", 'say "hi"'),
        (r'"a\\b"', "a\\b"),
        (r'"a\nb\tc"', "a\nb\tc"),
        (r'"caf\u00e9 \ud83d\ude00"', "café 😀"),
        (r'"\/"', "/"),
        ('"\u2028😀"', "\u2028😀"),
        ("'; DROP TABLE events; --'", "; DROP TABLE events; --"),
        ('"$value_1"', "$value_1"),
    ],
)
def test_strings(store: Store, text: str, means: str) -> None:
    assert value_of(store, text) == means


def test_profiles_have_properties_an_id_and_behaviors(store: Store) -> None:
    plan = '{"plan": "pro"}'
    assert value_of(store, 'properties["plan"]', plan) == "pro"
    assert value_of(store, 'user["plan"]', plan) == "pro"
    assert value_of(store, 'properties["$distinct_id"]', plan) == "ann"
    assert value_of(store, 'behaviors["buys"] > 2', plan) == "true"


def test_order_of_strings_is_by_code_point(store: Store) -> None:
    assert value_of(store, '"Z" < "a"') == "true"
    assert value_of(store, '"\uffff" < "😀"') == "true"


@pytest.mark.parametrize("text", ['1 == user["a"]', 'not defined(user["a"])', '"b" in user["a"]'])
def test_an_expression_tells_that_it_needs_the_user(text: str) -> None:
    assert needs_user(None, text)
    assert not needs_user(None, text.replace("user", "properties"))


NESTINGS = {
    "parentheses": ("(", "1", ")"),
    "unary minus": ("-", "1", ""),
    "not": ("not ", "true", ""),
    "functions": ("string(", "1", ")"),
    "unclosed": ("(", "", ""),
    "logic": ("(true and ", "true", ")"),
    "sums to the right": ("1 + (", "1", ")"),
    "sums to the left": ("", "1", " + 1"),
    "lists": ("(", "1", " in [1])"),
}


@pytest.mark.parametrize("shape", NESTINGS)
def test_deep_nesting_is_refused(shape: str) -> None:
    before, core, after = NESTINGS[shape]
    with pytest.raises(ExpressionError, match=f"deeper than {MAX_HEIGHT} levels at column"):
        parse(before * 1_000 + core + after * 1_000)


DEEPEST = {
    "parentheses": ("(", 'properties["a"]', ")", MAX_HEIGHT),
    "minus": ("-", 'properties["a"]', "", MAX_HEIGHT - 1),
    "not": ("not ", 'properties["a"]', "", MAX_HEIGHT - 1),
    "division": ("1 / (", 'properties["a"]', ")", MAX_HEIGHT - 1),
    "concatenation": ("", 'properties["a"]', ' + properties["a"]', MAX_HEIGHT - 1),
    "casts": ("string(number(", 'properties["a"]', "))", MAX_HEIGHT // 2 - 1),
    "equality": ('properties["a"] == (', 'properties["a"]', ")", MAX_HEIGHT - 1),
    "membership": ('string(properties["a"] in (', 'properties["a"]', "))", MAX_HEIGHT // 2 - 1),
    "found": ("string(", 'properties["a"]', ' in properties["a"])', MAX_HEIGHT // 2 - 1),
    "moments": (
        "datetime(string(",
        'properties["a"]',
        ') == properties["a"])',
        MAX_HEIGHT // 3 - 1,
    ),
    "negated sums": ('not defined(properties["a"] + string(', "1", "))", MAX_HEIGHT // 4 - 1),
}


@pytest.mark.parametrize("shape", DEEPEST)
def test_the_sql_grows_no_faster_than_the_expression(store: Store, shape: str) -> None:
    before, core, after, times = DEEPEST[shape]
    text = before * times + core + after * times
    bindings = Bindings()
    sql = segment(text, Subject.EVENTS, bindings)
    assert len(sql) < 3_000 * times
    assert len(number(text, Subject.EVENTS, Bindings())) < 3_000 * times
    parts = event_parts(bindings, "'{\"a\": 2}'::JSON", "NULL::JSON")
    assert len(store.rows(f"SELECT {sql} FROM (SELECT {parts})", bindings.values)) == 1  # noqa: S608


def test_a_long_chain_of_conditions_is_not_deep(store: Store) -> None:
    chain = " or ".join(f'"{number}" == properties["a"]' for number in range(1_000))
    assert value_of(store, chain, '{"a": "999"}') == "true"
    assert value_of(store, chain, '{"a": "1000"}') == "false"


def test_an_expression_of_endless_length_is_refused_where_it_is_too_long() -> None:
    with pytest.raises(ExpressionError, match=r"^more than 10000 words and signs at column \d+$"):
        parse("true" + " and true" * 100_000)
    assert parse("1 in [" + ", ".join(map(str, range(4_000))) + "]")
