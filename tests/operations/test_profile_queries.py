"""Profiles out: each argument as the form field it becomes, or the refusal it causes."""

import base64
import json
from typing import Any

import pytest
from harness import CANARY_PASSWORD, Connect, Era
from upstream import Reply, Upstream

ENGAGE = "/api/query/engage"
BEHAVIOR: dict[str, Any] = {"window": "90d", "name": "b", "event_selectors": [{"event": "Played"}]}


def page_of(*ids: str, **fields: Any) -> Reply:
    return Reply(
        json={
            "page": 0,
            "page_size": 1000,
            "session_id": "s-1",
            "status": "ok",
            "total": len(ids),
            "results": [
                {"$distinct_id": each, "$properties": {"$name": each.title()}} for each in ids
            ],
            **fields,
        }
    )


async def test_a_plain_query_asks_for_everybody(
    connect: Connect, upstream: Upstream, era: Era
) -> None:
    """None of the connector document's samples is a default: they would hide most profiles."""
    upstream.on(ENGAGE, page_of("ada", "grace"))

    async with connect(era=era) as tools:
        answer = await tools.call("query_profiles")

    (request,) = upstream.requests
    assert (request.method, request.target) == ("POST", f"{ENGAGE}?project_id=4242")
    assert request.headers["content-type"] == "application/x-www-form-urlencoded"
    robot = base64.b64encode(f"robot:{CANARY_PASSWORD}".encode()).decode()
    assert request.headers["authorization"] == f"Basic {robot}"
    assert request.form == []
    assert (answer.status, answer.structured["complete"]) == ("ok", True)
    assert answer.text.startswith("2 profiles on page 0.")
    assert "$distinct_id,$name\nada,Ada\ngrace,Grace" in answer.text
    assert answer.data["profiles"][0] == {
        "$distinct_id": "ada",
        "$properties": {"$name": "Ada"},
    }
    assert answer.structured["next"] is None


@pytest.mark.parametrize(
    ("arguments", "form"),
    [
        ({"distinct_ids": ["ada", "grace"]}, {"distinct_ids": '["ada","grace"]'}),
        ({"distinct_ids": "ada"}, {"distinct_ids": '["ada"]'}),
        ({"distinct_ids": '["ada"]'}, {"distinct_ids": '["ada"]'}),
        ({"where": 'properties["a"] == "é&=+"'}, {"where": 'properties["a"] == "é&=+"'}),
        ({"output_properties": ["$name"]}, {"output_properties": '["$name"]'}),
        ({"output_properties": "$name"}, {"output_properties": '["$name"]'}),
        ({"session_id": "s-1"}, {"session_id": "s-1"}),
        ({"session_id": "s-1", "page": 3}, {"session_id": "s-1", "page": "3"}),
        ({"page": 0}, {"page": "0"}),
        (
            {"behaviors": [BEHAVIOR], "where": 'behaviors["b"] > 0'},
            {"behaviors": [BEHAVIOR], "where": 'behaviors["b"] > 0'},
        ),
        ({"behaviors": BEHAVIOR}, {"behaviors": [BEHAVIOR]}),
        ({"behaviors": json.dumps([BEHAVIOR])}, {"behaviors": [BEHAVIOR]}),
        (
            {"behaviors": [BEHAVIOR], "as_of_timestamp": 1_767_268_800},
            {"behaviors": [BEHAVIOR], "as_of_timestamp": "1767268800"},
        ),
        ({"filter_by_cohort": 5001}, {"filter_by_cohort": '{"id":5001}'}),
        ({"filter_by_cohort": "5001"}, {"filter_by_cohort": '{"id":5001}'}),
        ({"filter_by_cohort": {"id": 5001}}, {"filter_by_cohort": '{"id":5001}'}),
        ({"filter_by_cohort": '{"id": 5001}'}, {"filter_by_cohort": '{"id":5001}'}),
        (
            {"filter_by_cohort": 5001, "include_all_users": False},
            {"filter_by_cohort": '{"id":5001}', "include_all_users": "false"},
        ),
        (
            {"filter_by_cohort": 5001, "include_all_users": True},
            {"filter_by_cohort": '{"id":5001}', "include_all_users": "true"},
        ),
    ],
)
async def test_each_filter_is_a_field_of_the_form(
    connect: Connect, upstream: Upstream, arguments: dict[str, Any], form: dict[str, Any]
) -> None:
    """Lists and objects travel as JSON text inside a field."""
    upstream.on(ENGAGE, page_of("ada"))

    async with connect() as tools:
        answer = await tools.call("query_profiles", **arguments)

    assert answer.status == "ok"
    sent: dict[str, Any] = dict(upstream.last.form)
    if "behaviors" in sent:
        sent["behaviors"] = json.loads(sent["behaviors"])
    assert sent == form


@pytest.mark.parametrize(
    ("connection", "arguments", "query"),
    [
        ({}, {"project_id": 77}, [("project_id", "77")]),
        ({}, {"workspace_id": 9}, [("project_id", "4242"), ("workspace_id", "9")]),
        ({"workspace_id": 8}, {}, [("project_id", "4242"), ("workspace_id", "8")]),
        ({"workspace_id": 8}, {"workspace_id": 9}, [("project_id", "4242"), ("workspace_id", "9")]),
    ],
)
async def test_project_and_workspace_go_into_the_query(
    connect: Connect,
    upstream: Upstream,
    connection: dict[str, Any],
    arguments: dict[str, Any],
    query: list[tuple[str, str]],
) -> None:
    upstream.on(ENGAGE, page_of("ada"))

    async with connect(connection=connection) as tools:
        answer = await tools.call("query_profiles", **arguments)

    assert upstream.last.query == query
    assert answer.structured["scope"]["project"] == arguments.get("project_id", 4242)


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ({"behaviors": [BEHAVIOR], "filter_by_cohort": 5001}, "behaviors and filter_by_cohort"),
        ({"page": 1}, "session_id"),
        ({"page": -1, "session_id": "s-1"}, "page"),
        ({"include_all_users": False}, "include_all_users"),
        ({"include_all_users": True}, "include_all_users"),
        ({"as_of_timestamp": 1_767_268_800}, "as_of_timestamp"),
        ({"as_of_timestamp": 0, "behaviors": [BEHAVIOR]}, "as_of_timestamp"),
        ({"filter_by_cohort": "VIPs"}, "filter_by_cohort"),
        ({"filter_by_cohort": {"name": 3}}, "filter_by_cohort"),
        ({"filter_by_cohort": {}}, "filter_by_cohort"),
        ({"behaviors": "Played > 5"}, "behaviors"),
        ({"distinct_ids": [""]}, "distinct_ids"),
        ({"distinct_ids": [7]}, "distinct_ids"),
        ({"output_properties": [""]}, "output_properties"),
        ({"project_id": 0}, "project_id"),
        ({"workspace_id": -1}, "workspace_id"),
    ],
)
async def test_what_excludes_itself_is_refused_before_a_query_is_spent(
    connect: Connect, upstream: Upstream, arguments: dict[str, Any], named: str
) -> None:
    async with connect() as tools:
        answer = await tools.call("query_profiles", **arguments)

    assert (answer.status, answer.is_error) == ("refused", True)
    assert named in answer.text
    assert upstream.requests == []


@pytest.mark.parametrize("missing", ["username", "password", "project_id"])
async def test_a_query_says_which_setting_it_lacks(
    connect: Connect, upstream: Upstream, missing: str
) -> None:
    async with connect(connection={missing: None}) as tools:
        answer = await tools.call("query_profiles")

    assert (answer.status, answer.is_error) == ("refused", True)
    assert f"MIXPANEL_{missing.upper()}" in answer.text
    assert upstream.requests == []


async def test_ids_without_a_profile_are_named(connect: Connect, upstream: Upstream) -> None:
    upstream.on(ENGAGE, page_of("ada"), page_of())

    async with connect() as tools:
        some = await tools.call("query_profiles", distinct_ids=["ada", "Ada", "nobody"])
        none = await tools.call("query_profiles", distinct_ids="nobody")

    assert 'no profile found here for "Ada", "nobody"' in some.notes
    assert "No profile matches" in none.text
    assert '"nobody"' in none.notes


async def test_behaviors_that_where_does_not_use_filter_nothing(
    connect: Connect, upstream: Upstream
) -> None:
    upstream.always(ENGAGE, page_of("ada"))

    async with connect() as tools:
        alone = await tools.call("query_profiles", behaviors=[BEHAVIOR])
        used = await tools.call("query_profiles", behaviors=[BEHAVIOR], where='behaviors["b"] > 0')

    assert "filter nothing" in alone.notes
    assert used.notes == ""


async def test_an_id_that_a_cohort_has_without_a_profile_is_shown_bare(
    connect: Connect, upstream: Upstream
) -> None:
    upstream.on(ENGAGE, page_of(results=[{"$distinct_id": 7}], total=1))

    async with connect() as tools:
        answer = await tools.call("query_profiles", filter_by_cohort=5001)

    assert answer.status == "ok"
    assert answer.data["profiles"] == [{"$distinct_id": 7}]
