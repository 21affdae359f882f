"""What a client finds when it browses, and what the list does when Mixpanel is slow or away."""

import asyncio
from typing import Any

import mcp.types as t
import pytest
from browsing import FUNNELS, JOBS, LIST_CHANGED, browsing
from harness import CANARY_PASSWORD, CANARY_TOKEN, Era
from mcp import MCPError
from upstream import Drop, Hang, Held, Reply, Upstream

from mixpanel_mcp.operations import OPERATIONS
from mixpanel_mcp.resources import KINDS
from mixpanel_mcp.sandbox import PASSWORD, PROJECT_ID, TOKEN, USERNAME, RunningSandbox

PIPELINES = Reply(json={"17": [{"name": "trips", "frequency": "daily"}, {"name": "a/b"}]})
SAVED = Reply(json=[{"funnel_id": 7, "name": "Sign up"}])
STATIC = [
    "mixpanel://project",
    "mixpanel://pipelines",
    "mixpanel://funnels",
    "mixpanel://guide/expressions",
    "mixpanel://guide/events",
    "mixpanel://guide/pipelines",
]
EACH = ["mixpanel://pipelines/trips", "mixpanel://pipelines/a%2Fb", "mixpanel://funnels/7"]


@pytest.fixture
def mixpanel(upstream: Upstream) -> Upstream:
    """A Mixpanel with two pipelines and a funnel."""
    upstream.always(JOBS, PIPELINES)
    upstream.always(FUNNELS, SAVED)
    return upstream


async def test_pipelines_and_funnels_are_entries_of_their_own(mixpanel: Upstream, era: Era) -> None:
    async with browsing(mixpanel.url, era) as browser:
        assert mixpanel.requests == []
        listed = await browser.listed()
    assert list(listed) == [*STATIC, *EACH]
    assert len(mixpanel.requests) == 2
    for resource in listed.values():
        assert resource.name
        assert resource.title
        assert resource.description
        assert resource.description.endswith(".")
        assert resource.mime_type == "text/markdown"
    funnel = listed["mixpanel://funnels/7"]
    assert (funnel.name, funnel.title) == ("Sign up", "Funnel: Sign up")
    assert "Sign up" not in (funnel.description or "")


async def test_templates_name_their_variables(mixpanel: Upstream, era: Era) -> None:
    async with browsing(mixpanel.url, era) as browser:
        answer = await browser.client.list_resource_templates()
    assert [each.uri_template for each in answer.resource_templates] == [
        "mixpanel://pipelines/{name}{?format}",
        "mixpanel://funnels/{funnel_id}{?format}",
    ]
    assert all(each.title and each.description for each in answer.resource_templates)
    assert mixpanel.requests == []


async def test_listing_again_and_again_spends_no_query(mixpanel: Upstream, era: Era) -> None:
    async with browsing(mixpanel.url, era) as browser:
        for _ in range(20):
            assert len(await browser.listed()) == len(STATIC) + len(EACH)
    assert len(mixpanel.to(FUNNELS)) == 1
    assert len(mixpanel.to(JOBS)) == 1


async def test_a_listing_that_a_tool_got_anyway_is_not_asked_for_again(
    mixpanel: Upstream,
) -> None:
    async with browsing(mixpanel.url) as browser:
        await browser.call("list_saved_funnels")
        await browser.read("mixpanel://pipelines")
        assert set(EACH) <= set(await browser.listed())
    assert len(mixpanel.requests) == 2


@pytest.mark.parametrize(
    "other", [{"project_id": 9}, {"region": "eu"}, {"workspace_id": 3}], ids=str
)
async def test_what_another_project_has_is_not_listed_here(
    mixpanel: Upstream, other: dict[str, Any]
) -> None:
    mixpanel.on(FUNNELS, Reply(json=[{"funnel_id": 99, "name": "Elsewhere"}]))
    async with browsing(mixpanel.url) as browser:
        answer = await browser.call("list_saved_funnels", **other)
        assert answer.data[0]["funnel_id"] == 99
        assert len(answer.raw.content) == 1
        listed = await browser.listed()
    assert "mixpanel://funnels/99" not in listed
    assert "mixpanel://funnels/7" in listed


async def test_a_mixpanel_that_does_not_answer_holds_nothing_up(
    upstream: Upstream, era: Era
) -> None:
    """The first list waits a moment; later ones answer with what is known by then."""
    upstream.always(JOBS, PIPELINES)
    upstream.always(FUNNELS, Hang())
    async with browsing(upstream.url, era) as browser:
        async with asyncio.timeout(3):
            first = await browser.listed()
        began = asyncio.get_running_loop().time()
        for _ in range(5):
            assert await browser.listed() == first
        assert asyncio.get_running_loop().time() - began < 0.9
    assert list(first) == [*STATIC, *EACH[:2]]
    assert len(upstream.to(FUNNELS)) == 1


@pytest.mark.parametrize(
    "fault",
    [Drop(), Reply(500), Reply(401), Reply(429), Reply(body="<html>")],
    ids=["dropped", "500", "401", "429", "page"],
)
async def test_a_mixpanel_that_fails_leaves_the_rest(
    upstream: Upstream, era: Era, fault: Any
) -> None:
    upstream.default = fault
    async with browsing(upstream.url, era) as browser:
        for _ in range(3):
            assert list(await browser.listed()) == STATIC
        answer = await browser.client.list_resources(cache_mode="bypass")
    soon = 0 if era == "legacy" else 30_000  # older clients are not told
    assert answer.ttl_ms == soon, "what could not be listed may show soon"
    assert len(upstream.to(JOBS)) == len(upstream.to(FUNNELS)) == 1, "nobody waits for retries"


async def test_a_tool_asks_as_often_as_it_takes_where_the_list_asked_once(
    upstream: Upstream,
) -> None:
    upstream.always(JOBS, PIPELINES)
    upstream.on(FUNNELS, Reply(500), Reply(500), SAVED)
    async with browsing(upstream.url) as browser:
        assert EACH[2] not in await browser.listed()
        assert (await browser.call("list_saved_funnels")).status == "ok"
        assert EACH[2] in await browser.listed()
    assert len(upstream.to(FUNNELS)) == 3


async def test_a_tool_is_answered_with_what_the_list_asked_for(mixpanel: Upstream) -> None:
    async with browsing(mixpanel.url) as browser:
        await browser.listed()
        assert (await browser.call("list_saved_funnels")).status == "ok"
    assert len(mixpanel.to(FUNNELS)) == 1


@pytest.mark.parametrize(("left", "asked"), [(10, 1), (9, 0)])
async def test_the_last_queries_of_an_hour_are_kept_for_people(
    mixpanel: Upstream, left: int, asked: int
) -> None:
    async with browsing(mixpanel.url) as browser:
        days = {"from_date": "2026-01-01", "to_date": "2026-01-31", "fresh": True}
        for _ in range(60 - left):
            await browser.call("query_funnel_saved_reports", funnel_id=7, **days)
        assert EACH[0] in await browser.listed()
        assert len(mixpanel.to(FUNNELS)) == asked
        assert (await browser.call("list_saved_funnels")).status == "ok"
        assert set(EACH) <= set(await browser.listed())


async def test_without_credentials_the_list_is_there(upstream: Upstream, era: Era) -> None:
    unset = {"username": None, "password": None, "project_token": None}
    async with browsing(upstream.url, era, connection=unset) as browser:
        assert list(await browser.listed()) == STATIC
        code, message = await browser.refused("mixpanel://pipelines")
    assert code == t.INTERNAL_ERROR
    assert "MIXPANEL_USERNAME" in message
    assert upstream.requests == []


async def test_what_comes_late_is_announced(upstream: Upstream, era: Era) -> None:
    """A client that got a short list is told as soon as there is more."""
    release = asyncio.Event()
    upstream.always(JOBS, PIPELINES)
    upstream.on(FUNNELS, Held(release, SAVED))
    async with browsing(upstream.url, era, follow=("mixpanel://funnels",)) as browser:
        assert "mixpanel://funnels/7" not in await browser.listed()
        assert browser.notices.told == []
        release.set()
        await browser.notices.until(LIST_CHANGED, "mixpanel://funnels")
        assert "mixpanel://funnels/7" in await browser.listed()
    assert len(upstream.to(FUNNELS)) == 1


@pytest.mark.parametrize(
    ("policy", "gone"),
    [
        ({"toolsets": "reports"}, "pipelines"),
        ({"toolsets": "pipelines"}, "funnels"),
        ({"exclude_tools": "list_saved_funnels,query_funnel_saved_reports"}, "funnels"),
    ],
    ids=str,
)
async def test_what_the_policy_leaves_out_is_not_there(
    mixpanel: Upstream, era: Era, policy: dict[str, Any], gone: str
) -> None:
    async with browsing(mixpanel.url, era, **policy) as browser:
        listed = await browser.listed()
        templates = (await browser.client.list_resource_templates()).resource_templates
        code, message = await browser.refused(f"mixpanel://{gone}")
        with pytest.raises(MCPError):
            await browser.completed(f"mixpanel://{gone}/{{name}}", "name", "")
    assert not any(uri.startswith(f"mixpanel://{gone}") for uri in listed)
    assert not any(gone in each.uri_template for each in templates)
    assert (code, "not offered here" in message) == (t.INVALID_PARAMS, True)
    assert ("mixpanel://guide/pipelines" in listed) is (gone != "pipelines")
    paths = {request.path for request in mixpanel.requests}
    assert not any(gone in path or gone[:-1] in path for path in paths)


async def test_entries_need_both_the_list_and_what_they_lead_to(mixpanel: Upstream) -> None:
    async with browsing(mixpanel.url, tools="list_pipelines,query_funnel_saved_reports") as browser:
        listed = await browser.listed()
        text = await browser.read("mixpanel://pipelines")
        links = (await browser.call("list_pipelines")).raw.content[1:]
    assert not set(EACH) & set(listed)
    assert "mixpanel://pipelines" in listed
    assert "mixpanel://funnels" not in listed
    assert "mixpanel://pipelines/trips" not in text
    assert links == []
    assert mixpanel.to(FUNNELS) == []


async def test_a_read_only_server_has_all_resources(mixpanel: Upstream, era: Era) -> None:
    async with browsing(mixpanel.url, era, read_only=True) as browser:
        assert list(await browser.listed()) == [*STATIC, *EACH]


async def test_lists_say_how_long_they_hold(mixpanel: Upstream) -> None:
    async with browsing(mixpanel.url) as browser:
        client = browser.client
        await browser.listed()
        lists = [
            await client.list_resources(cache_mode="bypass"),
            await client.list_resource_templates(),
            await client.list_tools(),
            await client.list_prompts(),
        ]
    assert [(each.ttl_ms or 0) > 0 for each in lists] == [True] * 4
    assert {each.cache_scope for each in lists} == {"private"}


async def test_many_pipelines_are_bounded(upstream: Upstream) -> None:
    many = [{"name": f"trip-{number}"} for number in range(700)]
    upstream.always(JOBS, Reply(json={"1": many}))
    upstream.always(FUNNELS, Reply(json=[]))
    async with browsing(upstream.url) as browser:
        listed = await browser.listed()
        beyond = await browser.completed("mixpanel://pipelines/{name}", "name", "trip-69")
        links = (await browser.call("list_pipelines")).raw.content[1:]
        text = await browser.read("mixpanel://pipelines")
    assert len(listed) == len(STATIC) + 500
    assert "first 500" in (listed["mixpanel://pipelines"].description or "")
    assert "first" not in (listed["mixpanel://funnels"].description or "")
    assert beyond == ["trip-69", *(f"trip-{number}" for number in range(690, 700))]
    assert len(links) == 10
    assert len(text.encode()) < 20_000
    assert "more rows are left out here" in text


async def test_the_sandbox_is_browsed_with_its_numbers(sandbox: RunningSandbox, era: Era) -> None:
    connection = {
        "username": USERNAME,
        "password": PASSWORD,
        "project_token": TOKEN,
        "project_id": PROJECT_ID,
        "sandbox": True,
    }
    async with browsing(sandbox.base_url, era, connection=connection) as browser:
        # A sandbox that has just started may take longer than a list waits.
        await browser.call("list_pipelines")
        await browser.call("list_saved_funnels")
        listed = await browser.listed()
        assert "mixpanel://pipelines/events-hourly-gcs-raw" in listed
        assert any(uri.startswith("mixpanel://funnels/") for uri in listed)
        text = await browser.read("mixpanel://pipelines/events-hourly-gcs-raw")
        project = await browser.read("mixpanel://project")
    assert text.startswith("# Pipeline `events-hourly-gcs-raw`")
    assert "sandbox true" in text
    assert "- sandbox: yes" in project


async def test_no_list_holds_a_secret(upstream: Upstream, era: Era) -> None:
    """Whoever knows a secret could send it back as a name; its URI would show it too."""
    names = [CANARY_PASSWORD, f"x {CANARY_TOKEN} y", "fine"]
    upstream.always(JOBS, Reply(json={"1": [{"name": name} for name in names]}))
    upstream.always(FUNNELS, Reply(json=[{"funnel_id": 7, "name": f"my {CANARY_PASSWORD}"}]))
    async with browsing(upstream.url, era) as browser:
        listed = await browser.listed()
        shown = [*(resource.model_dump_json() for resource in listed.values())]
        shown += [await browser.read(uri) for uri in listed if "guide" not in uri]
        shown += [await browser.read(f"{uri}?format=json") for uri in listed if "guide" not in uri]
        answer = await browser.call("list_pipelines")
        shown += [block.model_dump_json() for block in answer.raw.content]
        for variable, template in (
            ("name", "pipelines/{name}"),
            ("funnel_id", "funnels/{funnel_id}"),
        ):
            shown += await browser.completed(f"mixpanel://{template}", variable, "")
    assert "mixpanel://pipelines/fine" in listed
    assert "mixpanel://funnels/7" in listed
    assert not any(CANARY_PASSWORD in text or CANARY_TOKEN in text for text in shown)


def test_every_kind_rests_on_operations_that_exist() -> None:
    for kind in KINDS:
        assert kind.needs <= OPERATIONS.keys()
        assert kind.description.endswith(".")
