"""Saved reports: what is asked, what the tables say, and what Mixpanel's refusals turn into."""

import base64
from typing import Any

import pytest
from harness import CANARY_PASSWORD, Connect, Era
from upstream import Reply, Upstream

LIST = "/api/query/funnels/list"
INSIGHTS = "/api/query/insights"

# The examples of query.openapi.yaml.
FUNNELS = [{"funnel_id": 7509, "name": "Signup funnel"}, {"funnel_id": 9070, "name": "Tutorial"}]
REPORT = {
    "computed_at": "2020-09-21T16:35:41.252314+00:00",
    "date_range": {
        "from_date": "2020-08-31T00:00:00-07:00",
        "to_date": "2020-09-12T23:59:59.999000-07:00",
    },
    "headers": ["$event"],
    "series": {
        "Viewed page": {"2020-09-07T00:00:00-07:00": 11432, "2020-08-31T00:00:00-07:00": 10246},
        "Logged in": {"2020-08-31T00:00:00-07:00": 9852, "2020-09-07T00:00:00-07:00": 4325},
    },
}

READS: list[tuple[str, str, dict[str, Any]]] = [
    ("list_saved_funnels", LIST, {}),
    (
        "query_funnel_saved_reports",
        "/api/query/funnels",
        {"funnel_id": 7509, "from_date": "2026-01-01", "to_date": "2026-01-31"},
    ),
    ("query_insights_saved_reports", INSIGHTS, {"bookmark_id": 11}),
    ("custom_jql_query", "/api/query/jql", {"script": "function main() {}"}),
]
every_read = pytest.mark.parametrize(("tool", "path", "arguments"), READS)


async def test_the_saved_funnels_are_listed_by_the_service_account(
    connect: Connect, upstream: Upstream, era: Era
) -> None:
    upstream.default = Reply(json=FUNNELS)

    async with connect(era=era) as tools:
        answer = await tools.call("list_saved_funnels")

    (request,) = upstream.requests
    account = base64.b64encode(f"robot:{CANARY_PASSWORD}".encode()).decode()
    assert (request.method, request.target) == ("GET", f"{LIST}?project_id=4242")
    assert request.headers["authorization"] == f"Basic {account}"
    assert request.body == b""
    assert (answer.status, answer.data) == ("ok", FUNNELS)
    assert answer.text.startswith("2 saved funnels.")
    assert "funnel_id,name\n7509,Signup funnel\n9070,Tutorial" in answer.text


async def test_a_project_without_funnels_says_so(connect: Connect, upstream: Upstream) -> None:
    upstream.default = Reply(json=[])

    async with connect() as tools:
        answer = await tools.call("list_saved_funnels")

    assert (answer.status, answer.data) == ("ok", [])
    assert "no saved funnels" in answer.text


async def test_the_demo_projects_funnels_are_there(connect_sandbox: Connect) -> None:
    async with connect_sandbox() as tools:
        answer = await tools.call("list_saved_funnels")

    assert len(answer.data) == 2
    assert answer.structured["scope"]["sandbox"] is True
    assert all(funnel["name"] in answer.text for funnel in answer.data)


@every_read
async def test_project_view_and_region_can_be_chosen(
    connect: Connect, upstream: Upstream, tool: str, path: str, arguments: dict[str, Any]
) -> None:
    upstream.default = Reply(json=[] if tool in {"list_saved_funnels", "custom_jql_query"} else {})

    async with connect() as tools:
        own = await tools.call(tool, **arguments)
        other = await tools.call(
            tool, **arguments, project_id=7, workspace_id=88, region="eu.mixpanel"
        )

    first, second = (dict(request.query) for request in upstream.requests)
    assert {request.path for request in upstream.requests} == {path}
    assert (first["project_id"], first.get("workspace_id")) == ("4242", None)
    assert (second["project_id"], second["workspace_id"]) == ("7", "88")
    assert (own.structured["scope"]["project"], own.structured["scope"]["region"]) == (4242, "us")
    assert (other.structured["scope"]["project"], other.structured["scope"]["region"]) == (7, "eu")


@every_read
async def test_the_connections_own_data_view_is_queried(
    connect: Connect, upstream: Upstream, tool: str, path: str, arguments: dict[str, Any]
) -> None:
    async with connect(connection={"workspace_id": 12}) as tools:
        await tools.call(tool, **arguments)

    assert [dict(request.query)["workspace_id"] for request in upstream.to(path)] == ["12"]


@every_read
@pytest.mark.parametrize(
    "wrong",
    [{"project_id": 0}, {"workspace_id": "many"}, {"region": "mars"}, {"bookmark": 3}],
    ids=lambda wrong: next(iter(wrong)),
)
async def test_a_wrong_place_is_refused_before_anything_leaves(
    connect: Connect,
    upstream: Upstream,
    tool: str,
    path: str,
    arguments: dict[str, Any],
    wrong: dict[str, Any],
) -> None:
    async with connect() as tools:
        answer = await tools.call(tool, **arguments, **wrong)

    assert (answer.status, answer.is_error) == ("refused", True)
    assert next(iter(wrong)) in answer.text
    assert upstream.to(path) == []


@pytest.mark.parametrize(
    ("tool", "arguments", "reply"),
    [("list_saved_funnels", {}, FUNNELS), ("query_funnel_saved_reports", READS[1][2], {})],
)
async def test_the_project_token_is_not_used_where_mixpanel_takes_none(
    connect: Connect, upstream: Upstream, tool: str, arguments: dict[str, Any], reply: Any
) -> None:
    upstream.default = Reply(json=reply)

    async with connect(cache_seconds=0) as tools:
        plain = await tools.call(tool, **arguments)
        answer = await tools.call(tool, **arguments, use_project_token=True)

    one, two = upstream.requests
    assert one.headers["authorization"] == two.headers["authorization"]
    assert "the service account was used" in answer.notes
    assert "the service account was used" not in plain.notes


async def test_an_insights_report_becomes_one_row_a_value_in_order(
    connect: Connect, upstream: Upstream, era: Era
) -> None:
    upstream.default = Reply(json=REPORT)

    async with connect(era=era) as tools:
        answer = await tools.call("query_insights_saved_reports", bookmark_id=77)

    assert upstream.last.target == f"{INSIGHTS}?project_id=4242&bookmark_id=77"
    assert answer.data == REPORT
    assert answer.text.startswith("Insights report 77: 4 values.")
    assert (
        "event,time,value\n"
        "Logged in,2020-08-31T00:00:00-07:00,9852\n"
        "Logged in,2020-09-07T00:00:00-07:00,4325\n"
        "Viewed page,2020-08-31T00:00:00-07:00,10246\n"
        "Viewed page,2020-09-07T00:00:00-07:00,11432"
    ) in answer.text
    scope = answer.structured["scope"]
    assert scope["from_date"] == "2020-08-31T00:00:00-07:00"
    assert scope["to_date"] == "2020-09-12T23:59:59.999000-07:00"
    assert scope["computed_at"] == "2020-09-21T16:35:41.252314+00:00"


@pytest.mark.parametrize(
    ("headers", "series", "lines"),
    [
        (["$event"], {"Bought": 12}, ["event,value", "Bought,12"]),
        (
            ["$event", "platform", "plan"],
            {"Bought": {"iOS": {"pro": {"2026-01-01": 1.5}}, "$overall": {"all": 9}}},
            [
                "event,platform,plan,time,value",
                "Bought,$overall,all,,9",
                "Bought,iOS,pro,2026-01-01,1.5",
            ],
        ),
        ([], {"A": {"B": {"C": None}}}, ["time,level_2,level_3,value", "A,B,C,"]),
    ],
)
async def test_breakdowns_make_an_insights_table_deeper(
    connect: Connect, upstream: Upstream, headers: list[str], series: Any, lines: list[str]
) -> None:
    """`series` nests as deep as the report has breakdowns; a table must not assume two levels."""
    upstream.default = Reply(json={**REPORT, "headers": headers, "series": series})

    async with connect() as tools:
        answer = await tools.call("query_insights_saved_reports", bookmark_id=77)

    assert "\n".join(lines) in answer.text
    assert answer.data["series"] == series


@pytest.mark.parametrize(
    ("odd", "words"),
    [
        ({}, "nothing can be concluded"),
        ({"headers": None, "date_range": None, "series": {}}, "has no values"),
    ],
)
async def test_an_insights_report_may_have_nothing_to_say(
    connect: Connect, upstream: Upstream, odd: dict[str, Any], words: str
) -> None:
    upstream.default = Reply(json=odd)

    async with connect() as tools:
        answer = await tools.call("query_insights_saved_reports", bookmark_id=77)

    assert answer.status == "ok"
    assert words in answer.text


@pytest.mark.parametrize("bookmark", ["report-77", None, 1.5])
async def test_a_report_is_named_by_its_number(
    connect: Connect, upstream: Upstream, bookmark: Any
) -> None:
    async with connect() as tools:
        answer = await tools.call("query_insights_saved_reports", bookmark_id=bookmark)

    assert answer.status == "refused"
    assert "bookmark_id" in answer.text
    assert upstream.requests == []
