"""Whatever text comes: it is refused with a position, or it is SQL that runs."""

from collections.abc import Callable, Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mixpanel_mcp.analytics.counted import events_source
from mixpanel_mcp.analytics.events import Event, add_events
from mixpanel_mcp.analytics.expressions import (
    Bindings,
    ExpressionError,
    Subject,
    condition,
    needs_user,
    number,
    segment,
)
from mixpanel_mcp.analytics.store import Store, open_store

Ask = Callable[[str, Subject, Bindings], str]

WORDS = [
    *["(", ")", "[", "]", ",", "+", "-", "*", "/", "%", "==", "!=", ">", ">=", "<", "<="],
    *["and", "or", "not", "in", "true", "false", "1", "2.5", '"a"', "'b'", '"2026-01-31"'],
    *['properties["a"]', 'user["b"]', 'event["$time"]', 'properties["$insert_id"]'],
    *["floor(", "number(", "string(", "boolean(", "defined(", "datetime(", "has_prefix("],
    *["properties", "[1, 'a', true]", '"', "'", "\\", "$value_1", ";", "--", "=", "\0", "😀"],
]


@pytest.fixture(scope="module")
def store() -> Iterator[Store]:
    store = open_store()
    properties = '{"a":[1,"a",{"b":null}],"b":"2026-01-31"}'
    add_events(store, [Event("Sign Up", "ann", 1, "i-1", 2, properties)])
    yield store
    store.close()


texts = st.one_of(st.text(max_size=12), st.lists(st.sampled_from(WORDS), max_size=9).map(" ".join))


def compiled(ask: Ask, text: str, bindings: Bindings) -> str | ExpressionError:
    try:
        return ask(text, Subject.EVENTS, bindings)
    except ExpressionError as error:
        return error


@settings(max_examples=600, deadline=None)
@given(text=texts, ask=st.sampled_from([segment, number, condition]))
def test_any_text(store: Store, text: str, ask: Ask) -> None:
    bindings = Bindings()
    sql = compiled(ask, text, bindings)
    if isinstance(sql, ExpressionError):
        assert 1 <= sql.column <= len(text) + 1
        assert str(sql).endswith(f" at column {sql.column}")
        return
    source = events_source(bindings, with_user=needs_user(text))
    assert len(store.rows(f"SELECT {sql} FROM {source}", bindings.values)) == 1  # noqa: S608


@settings(max_examples=100, deadline=None)
@given(name=st.text(), value=st.text())
def test_text_in_quotes_stays_text(store: Store, name: str, value: str) -> None:
    """A quoted name or value means itself, and nothing to the database."""
    quoted = [text.replace("\\", "\\\\").replace('"', '\\"') for text in (name, value)]
    bindings = Bindings()
    sql = condition(
        f'not defined(properties["x{quoted[0]}"]) and "{quoted[1]}" == "{quoted[1]}"',
        Subject.EVENTS,
        bindings,
    )
    source = events_source(bindings, names=["Sign Up"])
    assert store.rows(f"SELECT {sql} FROM {source}", bindings.values) == [(True,)]  # noqa: S608
