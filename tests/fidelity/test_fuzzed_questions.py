"""Whatever the query API is asked, it answers or refuses: no 500, and nothing that hangs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mixpanel_mcp.sandbox import PASSWORD, PROJECT_ID, USERNAME, running_sandbox

if TYPE_CHECKING:
    from collections.abc import Iterator

PROJECT = {"project_id": str(PROJECT_ID)}
PATHS = (
    "/insights",
    "/funnels",
    "/funnels/list",
    "/segmentation",
    "/segmentation/numeric",
    "/segmentation/sum",
    "/segmentation/average",
    "/retention",
    "/retention/addiction",
    "/events",
    "/events/top",
    "/events/names",
    "/events/properties",
    "/events/properties/top",
    "/events/properties/values",
    "/stream/query",
)
# A question that most paths answer; the fuzzer changes some of it.
QUESTION = {
    "from_date": "2026-03-01",
    "to_date": "2026-03-09",
    "event": "Song played",
    "name": "genre",
    "type": "general",
    "unit": "day",
    "addiction_unit": "hour",
    "born_event": "Sign up",
    "funnel_id": "7001",
    "bookmark_id": "81001",
    "distinct_ids": '["ada"]',
    "on": 'properties["n"]',
}
FORM = {"where": "true", "page": "0", "output_properties": "[]"}

NUMBERS = st.one_of(
    st.integers(-2, 400).map(str), st.sampled_from([str(2**31), str(2**63 - 1), str(2**63), "1e3"])
)
DATES = st.one_of(
    st.dates().map(str), st.sampled_from(["2026-03-09", "2026-02-30", "1900-01-01", "2999-12-31"])
)
WORDS = st.sampled_from(
    [
        "day",
        "hour",
        "minute",
        "week",
        "month",
        "second",
        "general",
        "unique",
        "average",
        "birth",
        "compounded",
        "true",
        "false",
        "csv",
        "json",
        "Song",
    ]
)
ATOMS = st.sampled_from(
    [
        'properties["n"]',
        'properties["genre"]',
        'user["plan"]',
        'event["$time"]',
        'behaviors["b"]',
        "1",
        "1e308",
        '"jazz"',
        "true",
        'datetime("2026-03-01")',
    ]
)
EXPRESSIONS = st.recursive(
    ATOMS,
    lambda inner: st.one_of(
        st.tuples(
            inner,
            st.sampled_from([*"+-*/%<>", "==", "!=", "<=", ">=", "and", "or", "in"]),
            inner,
        ).map(" ".join),
        inner.map("({})".format),
        inner.map("not {}".format),
        inner.map("defined({})".format),
        inner.map("number({})".format),
        inner.map("floor({})".format),
    ),
    max_leaves=6,
)
JSON = st.sampled_from(
    [
        "[]",
        "{}",
        '["ada"]',
        '[""]',
        "[1]",
        "[[",
        '{"id": 5001}',
        '[{"window": "90d", "name": "b", "event_selectors": [{"event": "Song played"}]}]',
        '[{"window": "9999999999d", "name": "b", "event_selectors": [{"event": "Song played"}]}]',
    ]
)
VALUES = st.one_of(
    NUMBERS, DATES, WORDS, EXPRESSIONS, JSON, st.text(st.characters(codec="utf-8"), max_size=20)
)
NAMES = st.sampled_from(
    [
        *QUESTION,
        *[
            "limit",
            "interval",
            "interval_count",
            "length",
            "length_unit",
            "where",
            "born_where",
            "retention_type",
        ],
        *["unbounded_retention", "values", "format", "workspace_id"],
    ]
)
FORM_NAMES = st.sampled_from(
    [
        *[
            "where",
            "selector",
            "distinct_id",
            "distinct_ids",
            "output_properties",
            "page",
            "session_id",
            "behaviors",
        ],
        *["as_of_timestamp", "filter_by_cohort", "include_all_users", "data_group_id"],
    ]
)

fuzzed = settings(
    max_examples=100,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)


@pytest.fixture(scope="module")
def caller() -> Iterator[httpx.Client]:
    """Call a project with a little of everything."""
    with (
        running_sandbox(demo=False) as sandbox,
        httpx.Client(base_url=sandbox.base_url, auth=(USERNAME, PASSWORD), timeout=10) as client,
    ):
        _fill(client)
        yield client


def _fill(client: httpx.Client) -> None:
    songs = [
        {
            "event": "Song played" if number % 3 else "Sign up",
            "properties": {
                "distinct_id": f"user-{number % 5}",
                "time": 1_772_323_200 + number * 7_200,
                "$insert_id": f"song-{number}",
                "n": [number, str(number), None, [number], number / 7][number % 5],
                "genre": ["jazz", "rock", True][number % 3],
            },
        }
        for number in range(100)
    ]
    params = {**PROJECT, "strict": "1"}
    client.post("/import", params=params, json=songs).raise_for_status()
    steps = [{"event": "Sign up"}, {"event": "Song played"}]
    controls = {
        "funnels": {"name": "Listening", "steps": steps},
        "insights": {
            "name": "Songs",
            "events": [{"event": "Song played"}],
            "from_date": "2026-03-01",
            "to_date": "2026-03-09",
        },
        "cohorts": {"name": "Few", "distinct_ids": ["user-1"]},
    }
    for path, body in controls.items():
        client.post(f"/sandbox/{path}", json=body).raise_for_status()


@pytest.mark.parametrize("path", PATHS)
@settings(fuzzed, max_examples=25)
@given(changes=st.dictionaries(NAMES, VALUES, min_size=1, max_size=4))
def test_reports_answer_or_refuse(caller: httpx.Client, path: str, changes: dict[str, str]) -> None:
    answer = caller.get(f"/api/query{path}", params={**PROJECT, **QUESTION, **changes})

    assert answer.status_code in (200, 400), answer.text


@fuzzed
@given(changes=st.dictionaries(FORM_NAMES, VALUES, min_size=1, max_size=4))
def test_profile_queries_answer_or_refuse(caller: httpx.Client, changes: dict[str, str]) -> None:
    answer = caller.post("/api/query/engage", params=PROJECT, data={**FORM, **changes})

    assert answer.status_code in (200, 400), answer.text


@fuzzed
@given(where=EXPRESSIONS)
def test_exports_answer_or_refuse(caller: httpx.Client, where: str) -> None:
    window = {"from_date": "2026-03-01", "to_date": "2026-03-09", "where": where}
    answer = caller.get("/api/2.0/export", params={**PROJECT, **window})

    assert answer.status_code in (200, 400), answer.text
