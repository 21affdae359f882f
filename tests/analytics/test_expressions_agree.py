"""Generated expressions: the SQL says what a plain interpreter says."""

import json
from collections.abc import Iterator
from itertools import product
from typing import Any

import pytest
from generated_expressions import rows, text_of, trees
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from interpreter import UNDEFINED, Row, Tree, evaluate, is_number, number_text

from mixpanel_mcp.analytics import expressions
from mixpanel_mcp.analytics.expressions import Bindings, ExpressionError, Subject, event_parts
from mixpanel_mcp.analytics.store import Store, open_store

_TABLE = """
CREATE TABLE given (
    place INTEGER, event VARCHAR, distinct_id VARCHAR, time BIGINT, insert_id VARCHAR,
    processed BIGINT, properties JSON, user_properties JSON
)"""
_FILL = """
INSERT INTO given SELECT
    unnest($place::INTEGER[]), unnest($event::VARCHAR[]), unnest($distinct_id::VARCHAR[]),
    unnest($time::BIGINT[]), unnest($insert_id::VARCHAR[]), 0,
    unnest($properties::VARCHAR[]), unnest($user_properties::VARCHAR[])
"""


@pytest.fixture(scope="module")
def store() -> Iterator[Store]:
    store = open_store()
    store.run(_TABLE)
    yield store
    store.close()


def as_json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def fill(store: Store, given_rows: list[Row]) -> None:
    columns: dict[str, list[Any]] = {
        name: [row[name] for row in given_rows] for name in given_rows[0]
    }
    for name in ("properties", "user_properties"):
        columns[name] = [None if value is None else as_json(value) for value in columns[name]]
    store.run("DELETE FROM given")
    store.run(_FILL, {"place": list(range(len(given_rows))), **columns})


def as_condition(value: Any) -> bool:
    return value is True


def as_number(value: Any) -> float | None:
    return float(value) if is_number(value) else None


def as_segment(value: Any) -> str | None:
    if value is UNDEFINED or isinstance(value, str):
        return None if value is UNDEFINED else value
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)  # as it stands in the JSON: an id may be larger than a double can tell
    if is_number(value):
        return number_text(value)
    return as_json(value)


def condition_or_false(text: str, subject: Subject, bindings: Bindings) -> str:
    """A type that is never a condition is refused; another test holds that."""
    try:
        return expressions.condition(text, subject, bindings)
    except ExpressionError:
        return "FALSE"


QUESTIONS = [
    (expressions.segment, as_segment),
    (expressions.number, as_number),
    (condition_or_false, as_condition),
]


# A failure names its expression; to look for a smaller one would take minutes.
@settings(max_examples=120, deadline=None, phases=[Phase.reuse, Phase.generate])
@given(
    given_trees=st.lists(trees, min_size=20, max_size=20),
    given_rows=st.lists(rows, min_size=6, max_size=6),
)
def test_sql_and_interpreter_agree(
    store: Store, given_trees: list[Tree], given_rows: list[Row]
) -> None:
    fill(store, given_rows)
    questions = list(product(given_trees, QUESTIONS))
    bindings = Bindings()
    columns = [ask(text_of(tree), Subject.EVENTS, bindings) for tree, (ask, _) in questions]
    parts = event_parts(bindings, "properties", "user_properties")
    statement = f"SELECT {', '.join(columns)} FROM (SELECT *, {parts} FROM given) ORDER BY place"  # noqa: S608
    answers = store.rows(statement, bindings.values)
    for row, answer in zip(given_rows, answers, strict=True):
        for (tree, (_, expected)), found in zip(questions, answer, strict=True):
            assert found == expected(evaluate(tree, row)), text_of(tree)
