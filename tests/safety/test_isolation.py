"""Nothing of one connection is seen from another: not data, cache, budget or a person's yes."""

import asyncio
from collections import Counter
from typing import Any

import pytest
from doors import LAST_WINTER, SUCCESS, YESTERDAY
from harness import Era, Person, Result, Tools, Waits
from mcp import MCPError
from test_replay import Rounds, status_of
from two_projects import Pair, Project
from upstream import Hang, Received, Reply

from mixpanel_mcp.api.retry import Pacing

FUNNELS = "/api/query/funnels/list"
DELETE: dict[str, Any] = {"delete_profiles": ["ada"], "confirm": True}
CALLS_OF_EACH = 100
same_project = pytest.mark.parametrize("ids", [(4242, 77), (4242, 4242)], ids=["two", "same"])


def in_projects(ids: tuple[int, int]) -> dict[str, Any]:
    return {"shop": {"project_id": ids[0]}, "blog": {"project_id": ids[1]}}


def play(project: Project, project_id: int) -> None:
    """Answer everything with the project's own data, also in refusals of what is written."""
    canary = project.canary
    profile = {"$distinct_id": canary, "$properties": {"plan": canary}}
    rejected = {"index": 0, "insert_id": "x", "field": "properties.a", "message": canary}
    replies: dict[str, dict[str, Any]] = {
        FUNNELS: {"json": [{"funnel_id": 1, "name": canary}]},
        "/api/query/engage": {
            "json": {"status": "ok", "results": [profile], "page": 0, "page_size": 1000, "total": 1}
        },
        "/api/2.0/export": {"body": f'{{"event":"{canary}","properties":{{"time":1}}}}\n'},
        "/api/2.0/nessie/pipeline/jobs": {
            "json": {str(project_id): [{"name": canary, "type": "gcs-raw"}]}
        },
        "/track": {"json": {"status": 0, "error": canary}},
        "/import": {
            "status": 400,
            "json": {"code": 400, "num_records_imported": 0, "failed_records": [rejected]},
        },
        "/engage": {"json": {"status": 1, "error": None}},
    }
    for path, reply in replies.items():
        project.upstream.always(path, Reply(**reply))
    project.upstream.default = lambda request: Reply(json={"of": canary, "asked": request.target})


def numbered_call(number: int) -> tuple[str, dict[str, Any]]:
    event = {"event": "A", "properties": {"distinct_id": f"u{number}"}}
    kinds: list[tuple[str, dict[str, Any]]] = [
        ("list_saved_funnels", {}),
        ("raw_request", {"url": f"/api/app/me?n={number}", "method": "GET"}),
        ("query_profiles", {"distinct_ids": [f"u{number}"]}),
        ("track_events", {"events": [event]}),
        ("list_pipelines", {}),
        (
            "import_events",
            {"events": [{**event, "properties": {"distinct_id": "u", "time": LAST_WINTER}}]},
        ),
        ("raw_request", {"url": "/api/app/me", "method": "GET"}),
        ("get_pipeline", {"name": f"p{number}"}),
        ("raw_request", {"url": f"/api/app/unknown/{number}", "method": "DELETE"}),
    ]
    if number < 3:
        return "download_data", {"from_date": YESTERDAY, "to_date": YESTERDAY}
    return kinds[number % len(kinds)]


def shown(answer: Result) -> str:
    return f"{answer.text} {answer.structured!r}"


def said(request: Received) -> str:
    return f"{request.target} {request.raw_headers!r} {request.content.decode()}"


def saw_only_its_own(project: Project, other: Project, project_id: int) -> None:
    for request in project.upstream.requests:
        authorization = request.headers.get("authorization")
        assert authorization is None or authorization in project.authorizations
        assert authorization or project.token in request.content.decode()
        named = [value for name, value in request.query if name == "project_id"]
        assert named in ([], [str(project_id)])
        for foreign in (*other.secrets, other.username, other.canary):
            assert foreign not in said(request)


@same_project
async def test_two_hundred_calls_at_once_stay_with_their_connections(
    pair: Pair, era: Era, ids: tuple[int, int]
) -> None:
    for project, project_id in zip((pair.shop, pair.blog), ids, strict=True):
        play(project, project_id)
    answers: list[tuple[Project, int, Result]] = []

    async def ask(tools: Tools, project: Project, number: int) -> None:
        tool, arguments = numbered_call(number)
        # The default connection is meant as well where none is named.
        named = {} if project is pair.shop and number % 2 else {"connection": project.name}
        answers.append((project, number, await tools.call(tool, **arguments, **named)))

    async with (
        pair.opened(era=era, pacing=Pacing(), **in_projects(ids)) as tools,
        asyncio.TaskGroup() as crowd,
    ):
        for number in range(CALLS_OF_EACH):
            for project in (pair.shop, pair.blog):
                crowd.create_task(ask(tools, project, number))

    assert len(answers) == 2 * CALLS_OF_EACH
    for project, number, answer in answers:
        told, other = shown(answer), pair.other(project)
        assert answer.structured["scope"]["connection"] == project.name
        assert other.canary not in told
        assert not [secret for secret in (*project.secrets, *other.secrets) if secret in told]
        if answer.status != "confirmation_required":
            assert project.canary in told, (number, told)
        url = numbered_call(number)[1].get("url")
        if url and answer.status == "ok":
            assert answer.data["body"]["asked"].startswith(url)
    statuses = Counter(answer.status for _, _, answer in answers)
    assert set(statuses) == {"ok", "failed", "confirmation_required"}, statuses
    saw_only_its_own(pair.shop, pair.blog, ids[0])
    saw_only_its_own(pair.blog, pair.shop, ids[1])
    shop, blog = pair.arrived
    assert shop == blog > CALLS_OF_EACH / 2


@same_project
async def test_what_is_cached_for_one_does_not_answer_the_other(
    pair: Pair, era: Era, ids: tuple[int, int]
) -> None:
    for project, project_id in zip((pair.shop, pair.blog), ids, strict=True):
        play(project, project_id)
    async with pair.opened(era=era, **in_projects(ids)) as tools:
        await tools.call("list_saved_funnels")
        first = await tools.call("list_saved_funnels", connection="blog")
        assert pair.arrived == (1, 1)
        kept = [
            await tools.call("list_saved_funnels", connection=name) for name in ("shop", "blog")
        ]

    assert "cached_seconds" not in first.structured["scope"]
    assert pair.blog.canary in first.text
    assert pair.arrived == (1, 1)
    for answer, project in zip(kept, (pair.shop, pair.blog), strict=True):
        assert "cached_seconds" in answer.structured["scope"]
        assert project.canary in answer.text


async def test_equal_reads_under_way_are_one_for_each_connection(pair: Pair) -> None:
    play(pair.shop, 4242)
    play(pair.blog, 4242)
    async with pair.opened(blog={"project_id": 4242}) as tools, asyncio.TaskGroup() as crowd:
        asked = [
            (project, crowd.create_task(tools.call("list_saved_funnels", connection=project.name)))
            for _ in range(5)
            for project in (pair.shop, pair.blog)
        ]

    assert pair.arrived == (1, 1)
    assert all(project.canary in task.result().text for project, task in asked)


async def test_a_write_through_one_does_not_empty_the_cache_of_the_other(pair: Pair) -> None:
    play(pair.shop, 4242)
    play(pair.blog, 77)
    async with pair.opened() as tools:
        await tools.call("list_saved_funnels")
        await tools.call("create_profile", properties=[{"$distinct_id": "a", "b": 1}],
                         connection="blog")  # fmt: skip
        again = await tools.call("list_saved_funnels")

    assert "cached_seconds" in again.structured["scope"]
    assert pair.arrived == (1, 1)


@same_project
async def test_the_budget_that_one_spent_leaves_the_other_whole(
    pair: Pair, era: Era, ids: tuple[int, int]
) -> None:
    play(pair.shop, ids[0])
    play(pair.blog, ids[1])
    async with pair.opened(era=era, pacing=Waits().pacing(), **in_projects(ids)) as tools:
        for _ in range(60):
            await tools.call("list_saved_funnels", fresh=True)
        spent = await tools.call("list_saved_funnels", fresh=True)
        other = await tools.call("list_saved_funnels", fresh=True, connection="blog")

    assert (spent.is_error, pair.arrived) == (True, (60, 1))
    assert spent.structured["scope"]["budget"]["queries"]["left"] == 0
    assert other.status == "ok"
    assert other.structured["scope"]["budget"]["queries"] == {"used": 1, "left": 59, "limit": 60}


async def test_what_mixpanel_counted_for_one_is_not_held_against_the_other(pair: Pair) -> None:
    play(pair.blog, 4242)
    exceeded = "Query rate limit exceeded. 60/60 queries running in the last hour"
    pair.shop.upstream.default = Reply(429, json={"error": exceeded})
    async with pair.opened(blog={"project_id": 4242}) as tools:
        limited = await tools.call("list_saved_funnels")
        other = await tools.call("list_saved_funnels", connection="blog")

    assert limited.structured["scope"]["budget"]["queries"]["left"] == 0
    assert other.structured["scope"]["budget"]["queries"]["left"] == 59
    assert other.status == "ok"


async def test_queries_that_hang_at_one_do_not_keep_the_other_waiting(pair: Pair) -> None:
    """As many as may run at once, with the same project id on both."""
    play(pair.blog, 4242)
    pair.shop.upstream.default = Hang()
    async with pair.opened(blog={"project_id": 4242}) as tools:
        slow = [
            asyncio.create_task(tools.call("query_profiles", distinct_ids=[str(number)]))
            for number in range(8)
        ]
        quick = await asyncio.wait_for(tools.call("list_saved_funnels", connection="blog"), 10)
        for task in slow:
            task.cancel()

    assert pair.blog.canary in quick.text


@same_project
@pytest.mark.parametrize(
    ("asked", "answered"),
    [("shop", "blog"), ("blog", "shop"), (None, "blog"), ("blog", None)],
)
async def test_a_yes_for_one_is_none_for_the_other(
    pair: Pair, ids: tuple[int, int], asked: str | None, answered: str | None
) -> None:
    first, second = (
        {**DELETE, "connection": name} if name else DELETE for name in (asked, answered)
    )
    async with pair.opened(person=Person(), **in_projects(ids)) as tools:
        rounds = Rounds(tools)
        state = (await rounds.asked("delete_profile", first)).request_state
        with pytest.raises(MCPError):
            await rounds.answer("delete_profile", second, state)

    assert pair.arrived == (0, 0)


async def test_a_yes_is_carried_out_where_it_was_asked_for_and_once(pair: Pair) -> None:
    pair.shop.upstream.default = pair.blog.upstream.default = SUCCESS
    arguments = {**DELETE, "connection": "blog"}
    async with pair.opened(person=Person(), blog={"project_id": 4242}) as tools:
        rounds = Rounds(tools)
        state = (await rounds.asked("delete_profile", arguments)).request_state
        first = await rounds.answer("delete_profile", arguments, state)
        again = await rounds.answer("delete_profile", arguments, state)

    assert (status_of(first), status_of(again)) == ("ok", "refused")
    assert pair.arrived == (0, 1)


async def test_the_origin_of_one_cannot_be_named_on_the_other(pair: Pair) -> None:
    async with pair.opened() as tools:
        answer = await tools.call(
            "raw_request",
            url="/api/app/me",
            method="GET",
            base_url=pair.blog.upstream.url,
            connection="shop",
        )

    assert (answer.status, pair.arrived) == ("refused", (0, 0))
