"""Expressions of every type and depth, as a tree and as text, and rows for them to read."""

import json
from typing import Any

from hypothesis import strategies as st
from interpreter import Tree

TYPED_NAMES = ["n", "m", "s", "t", "b", "l", "d"]
NAMES = [
    *TYPED_NAMES,
    *["o", "z", "", "$x", "a.b", "a/b~c", "[0]", "*"],
    'quo"te',
    "back\\slash",
    "it's",
    "émoji 😀",
    "line\nbreak",
]
DATES = [
    "2026-01-31",
    "2026-01-31T23:59:59",
    "2026-02-30T00:00:00",
    "2026-01-31T00:00:00.25Z",
    "2026-01-31 25:00:00",
]

COMPARISONS = ["==", "!=", ">", ">=", "<", "<="]
CALCULATIONS = ["+", "-", "*", "/", "%"]
INFIX = {*COMPARISONS, *CALCULATIONS, "and", "or", "in"}

numbers = st.one_of(
    st.integers(-5, 5),
    st.integers(-(10**18), 10**18),
    st.floats(allow_nan=False, allow_infinity=False),
    st.sampled_from([0.5, 1.5, 2.5, -2.5, 1e16, 1e-5, 1_769_900_000]),
)
strings = st.one_of(
    st.sampled_from(["", "a", "ab", "b", "5", " -1.5e3 ", "1_0", "inf", "true", "false", "1e400"]),
    st.sampled_from(DATES),
    st.text(st.characters(exclude_categories=["Cs"]), max_size=6),
)
scalars = st.one_of(numbers, strings, st.booleans())
# As a segment a list is its JSON text, and there are many ways to write one large number.
items = st.one_of(st.integers(-5, 5), st.sampled_from([0.5, 2.5]), strings, st.booleans())
values = st.one_of(
    scalars,
    st.none(),
    st.lists(st.one_of(items, st.none()), max_size=3),
    st.dictionaries(st.sampled_from(["x", "y"]), items, max_size=2),
)


def together(typed: dict[str, Any], others: dict[str, Any]) -> dict[str, Any]:
    return {**typed, **others}


properties = st.builds(
    together,
    st.fixed_dictionaries(
        {"n": numbers, "s": strings},
        optional={
            "m": numbers,
            "t": strings,
            "b": st.booleans(),
            "l": st.lists(items, max_size=3),
            "d": st.sampled_from(DATES),
        },
    ),
    st.dictionaries(st.sampled_from(NAMES), values, max_size=4),
)
rows = st.fixed_dictionaries(
    {
        "event": st.sampled_from(["Sign Up", "Login"]),
        "distinct_id": st.sampled_from(["ann", "bob"]),
        "time": st.integers(1_769_000_000_000, 1_770_000_000_000),
        "insert_id": st.sampled_from(["i-1", "i-2"]),
        "properties": properties,
        "user_properties": st.none() | properties,
    }
)


def tree(name: str, *operands: st.SearchStrategy[Any]) -> st.SearchStrategy[Tree]:
    return st.tuples(st.just(name), *operands)


stored = st.one_of(
    tree("properties", st.sampled_from(NAMES)),
    tree("properties", st.sampled_from(TYPED_NAMES)),
    tree("user", st.sampled_from(NAMES)),
    tree("event", st.sampled_from(["$time", "$event_name", "n", "$insert_id"])),
    tree("properties", st.sampled_from(["time", "$distinct_id"])),
)
leaves = st.one_of(stored, stored, tree("literal", scalars))


def _branches(below: st.SearchStrategy[Tree]) -> st.SearchStrategy[Tree]:
    comparison = st.sampled_from(COMPARISONS)
    calculation = st.sampled_from(["+", *CALCULATIONS])
    # A property of an event may be a boolean; its time never is, and is refused.
    logical = st.one_of(
        tree("properties", st.sampled_from(NAMES)),
        st.tuples(comparison, below, below),
        tree("in list", below, st.lists(scalars, min_size=1, max_size=3)),
        tree("boolean", below),
        tree("not", tree("defined", below)),
    )
    moment = tree(
        "datetime",
        st.one_of(
            below.filter(lambda it: it[0] != "literal" or not isinstance(it[1], str)),
            tree("literal", st.sampled_from(DATES)),
        ),
    )
    single = st.sampled_from(
        ["negative", "floor", "ceil", "round", "boolean", "number", "string", "defined", "not"]
    )
    return st.one_of(
        st.tuples(comparison, below, below),
        st.tuples(comparison, stored, moment),
        st.tuples(calculation, below, below),
        st.tuples(single, below),
        tree("in", below, below),
        tree("in list", below, st.lists(scalars, min_size=1, max_size=3)),
        tree("has_prefix", below, below),
        moment,
        tree("and", logical, logical, logical),
        tree("or", logical, logical),
    )


trees = st.recursive(leaves, _branches, max_leaves=8)


def text_of(expression: Tree) -> str:
    """Write with all the parentheses, so that precedence plays no part."""
    name, *operands = expression
    match name:
        case "literal":
            return literal(operands[0])
        case "properties" | "user" | "event":
            return f"{name}[{json.dumps(operands[0])}]"
        case "in list":
            return f"({text_of(operands[0])} in [{', '.join(map(literal, operands[1]))}])"
        case "negative" | "not":
            return f"({'-' if name == 'negative' else name} {text_of(operands[0])})"
        case _:
            return _applied(name, [text_of(operand) for operand in operands])


def _applied(name: str, inner: list[str]) -> str:
    if name in INFIX:
        return "(" + f" {name} ".join(inner) + ")"
    return f"{name}({', '.join(inner)})"


def literal(value: Any) -> str:
    if isinstance(value, str) and value.isalnum():
        return f"'{value}'"
    return json.dumps(value)
