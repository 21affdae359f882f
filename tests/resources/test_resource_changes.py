"""Calls that change pipelines: clients are told, lists follow, answers lead to what they name."""

import asyncio
from collections.abc import Callable
from typing import Any

import mcp.types as t
import pytest
from browsing import (
    CANCEL,
    CREATE,
    EDIT,
    FUNNEL,
    FUNNELS,
    JOBS,
    LIST_CHANGED,
    STATUS,
    Browser,
    browsing,
)
from harness import Era, Result
from mcp import MCPError
from upstream import Drop, Hang, Reply, Upstream

TRIPS = "mixpanel://pipelines/trips"
TWO = "mixpanel://pipelines/two%2F%25"
ALL = "mixpanel://pipelines"
FOLLOWED = (
    TRIPS,
    f"{TRIPS}?format=json",
    ALL,
    TWO,
    "mixpanel://pipelines/new",
    "mixpanel://funnels",
)

BUCKET = {"gcs_bucket": "ours", "gcs_region": "europe-west3", "trial": True}
GENERIC: dict[str, Any] = {"url": "/nessie/pipeline/create", "form_data": {"type": "s3-raw"}}

# The tool and its arguments, and the names that clients are told of.
CHANGES: dict[str, tuple[str, dict[str, Any], list[str]]] = {
    "delete": ("delete_pipeline", {"name": "trips"}, [TRIPS]),
    "edit": ("edit_gcs_pipeline", {"name": "trips", "events": ["a"]}, [TRIPS]),
    "create": ("create_gcs_pipeline", BUCKET, ["mixpanel://pipelines/new"]),
    "generic create": ("create_generic_pipeline", GENERIC, ["mixpanel://pipelines/new"]),
    "generic edit": (
        "edit_generic_pipeline",
        {"url": "/nessie/pipeline/edit", "name": "trips", "form_data": {"events": "a"}},
        [TRIPS],
    ),
    "raw cancel": (
        "raw_request",
        {
            "url": "/api/2.0/nessie/pipeline/cancel",
            "method": "POST",
            "form_data": {"name": "trips"},
        },
        [TRIPS],
    ),
    "raw edit by a GET": (
        "raw_request",
        {
            "url": "/api/2.0/nessie/pipeline/edit",
            "method": "GET",
            "query_parameters": {"name": "trips"},
        },
        [TRIPS],
    ),
    "raw cancel in the URL": (
        "raw_request",
        {"url": "/api/2.0/nessie/pipeline/cancel?name=two/%25", "method": "GET"},
        [TWO],
    ),
    "raw edit in a text": (
        "raw_request",
        {
            "url": "/api/2.0/nessie/pipeline/edit",
            "method": "POST",
            "data": "name=two%2F%25&events=a",
        },
        [TWO],
    ),
    "raw cancel in JSON": (
        "raw_request",
        {
            "url": "/api/2.0/nessie/pipeline/cancel",
            "method": "POST",
            "data": '{"name": "trips"}',
        },
        [TRIPS],
    ),
}


@pytest.fixture
def mixpanel(upstream: Upstream) -> Upstream:
    upstream.always(JOBS, Reply(json={"1": [{"name": "trips"}]}))
    upstream.always(FUNNELS, Reply(json=[{"funnel_id": 7, "name": "Sign up"}]))
    upstream.always(STATUS, Reply(json={"pending": [{"state": "pending"}]}))
    upstream.always(FUNNEL, Reply(json={"data": {}}))
    upstream.always(CREATE, Reply(json={"pipeline_names": ["new"]}))
    upstream.always(EDIT, Reply(body=""))
    upstream.always(CANCEL, Reply(body=""))
    return upstream


def links_of(result: Result) -> list[str]:
    return [block.uri for block in result.raw.content if isinstance(block, t.ResourceLink)]


@pytest.mark.parametrize("change", CHANGES)
async def test_clients_are_told_of_our_changes(mixpanel: Upstream, era: Era, change: str) -> None:
    tool, arguments, updated = CHANGES[change]
    async with browsing(mixpanel.url, era, follow=FOLLOWED) as browser:
        answer = await browser.call(tool, **arguments, confirm=True)
        assert answer.status == "ok"
        twins = [f"{TRIPS}?format=json"] if TRIPS in updated else []
        changed = [ALL] if "edit" in change else [LIST_CHANGED, ALL]
        await browser.notices.until(*changed, *updated, *twins)
    assert set(browser.notices.told) == {*changed, *updated, *twins}


async def test_what_was_not_done_is_not_announced(mixpanel: Upstream, era: Era) -> None:
    mixpanel.on(EDIT, Reply(400, json={"error": "no such pipeline"}))
    async with browsing(mixpanel.url, era, follow=FOLLOWED) as browser:
        asked = await browser.call("delete_pipeline", name="trips")
        failed = await browser.call("edit_gcs_pipeline", name="trips", where="1", confirm=True)
        read = await browser.call("get_pipeline", name="trips")
        elsewhere = await browser.call("delete_pipeline", name="trips", project_id=9, confirm=True)
        raw = await browser.call(
            "raw_request", url=STATUS, query_parameters={"name": "trips"}, method="GET"
        )
        # Notices come in order: what is told last would come after anything else.
        await browser.call("delete_pipeline", name="last", confirm=True)
        await browser.notices.until(LIST_CHANGED, ALL)
    statuses = [each.status for each in (asked, failed, read, elsewhere, raw)]
    assert statuses == ["confirmation_required", "failed", "ok", "ok", "ok"]
    assert browser.notices.told.count(LIST_CHANGED) == 1
    assert TRIPS not in browser.notices.told


@pytest.mark.parametrize("change", ["create", "delete", "edit"])
async def test_what_may_have_happened_is_announced(
    mixpanel: Upstream, era: Era, change: str
) -> None:
    tool, arguments, _ = CHANGES[change]
    for path in (CREATE, EDIT, CANCEL):
        mixpanel.always(path, Drop())
    async with browsing(mixpanel.url, era, follow=FOLLOWED) as browser:
        answer = await browser.call(tool, **arguments, confirm=True)
        assert (answer.status, links_of(answer)) == ("failed", [])
        await browser.notices.until(*([ALL] if change == "edit" else [LIST_CHANGED, ALL]))


async def test_what_a_client_cancelled_may_have_happened(mixpanel: Upstream, era: Era) -> None:
    """Whoever leaves while Mixpanel deletes finds the list asked for anew."""
    mixpanel.on(CANCEL, Hang())
    async with browsing(mixpanel.url, era, follow=FOLLOWED) as browser:
        await browser.listed()
        await _cancelled(browser, mixpanel, "delete_pipeline", name="trips", confirm=True)
        await browser.notices.until(LIST_CHANGED, ALL, TRIPS)
        mixpanel.always(JOBS, Reply(json={"1": [{"name": "new"}]}))
        await browser.listed()
        await asyncio.wait_for(_until(lambda: len(mixpanel.to(JOBS)) == 2), 5)


async def test_a_read_that_a_client_cancelled_is_not_announced(
    mixpanel: Upstream, era: Era
) -> None:
    mixpanel.on(STATUS, Hang())
    async with browsing(mixpanel.url, era, follow=FOLLOWED) as browser:
        await _cancelled(browser, mixpanel, "get_pipeline", name="trips")
        await browser.call("delete_pipeline", name="last", confirm=True)
        await browser.notices.until(LIST_CHANGED, ALL)
    assert browser.notices.told.count(LIST_CHANGED) == 1


async def _follow(browser: Browser, era: Era, uri: str) -> None:
    if era == "legacy":
        params = t.SubscribeRequestParams(uri=uri)
        await browser.client.session.send_request(t.SubscribeRequest(params=params), t.EmptyResult)
        return
    async with browser.client.listen(resource_subscriptions=(uri,)):
        pass


async def _cancelled(browser: Browser, mixpanel: Upstream, tool: str, **arguments: Any) -> None:
    """Begin a call, see it arrive at Mixpanel, and want it no more."""
    before = len(mixpanel.requests)
    call = asyncio.create_task(browser.client.call_tool(tool, arguments))
    await asyncio.wait_for(_until(lambda: len(mixpanel.requests) > before), 10)
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call


async def _until(holds: Callable[[], bool]) -> None:
    while not holds():  # noqa: ASYNC110 - the other end of a connection makes it true
        await asyncio.sleep(0.01)


async def test_the_list_follows_at_once(mixpanel: Upstream, era: Era) -> None:
    """Before Mixpanel is asked again, and whatever it still says then."""
    async with browsing(mixpanel.url, era) as browser:
        assert TRIPS in await browser.listed()
        await browser.call("create_gcs_pipeline", **BUCKET, confirm=True)
        mixpanel.always(JOBS, Reply(json={"1": [{"name": "trips"}, {"name": "new"}]}))
        assert "mixpanel://pipelines/new" in await browser.listed()
        await browser.call("delete_pipeline", name="trips", confirm=True)
        mixpanel.always(JOBS, Reply(json={"1": [{"name": "new"}]}))
        listed = await browser.listed()
    assert TRIPS not in listed
    assert "mixpanel://pipelines/new" in listed
    assert len(mixpanel.to(FUNNELS)) == 1


async def test_answers_lead_to_resources(mixpanel: Upstream, era: Era) -> None:
    days = {"from_date": "2026-01-01", "to_date": "2026-01-31"}
    async with browsing(mixpanel.url, era) as browser:
        leads = {
            "list_pipelines": await browser.call("list_pipelines"),
            "get_pipeline": await browser.call("get_pipeline", name="a/b"),
            "create": await browser.call("create_gcs_pipeline", **BUCKET, confirm=True),
            "edit": await browser.call("edit_gcs_pipeline", name="a b", where="1", confirm=True),
            "generic": await browser.call("create_generic_pipeline", **GENERIC, confirm=True),
            "delete": await browser.call("delete_pipeline", name="x", confirm=True),
            "funnels": await browser.call("list_saved_funnels"),
            "funnel": await browser.call("query_funnel_saved_reports", funnel_id=7, **days),
            "unnamed": await browser.call("query_funnel_saved_reports", funnel_id=8, **days),
            "profiles": await browser.call("query_profiles"),
        }
        assert {name: links_of(answer) for name, answer in leads.items()} == {
            "list_pipelines": [TRIPS],
            "get_pipeline": ["mixpanel://pipelines/a%2Fb"],
            "create": ["mixpanel://pipelines/new"],
            "edit": ["mixpanel://pipelines/a%20b"],
            "generic": ["mixpanel://pipelines/new"],
            "delete": [],
            "funnels": ["mixpanel://funnels/7"],
            "funnel": ["mixpanel://funnels/7"],
            "unnamed": ["mixpanel://funnels/8"],
            "profiles": [],
        }
        await _all_can_be_read(browser, leads["get_pipeline"], leads["funnel"])
    assert leads["funnel"].raw.content[1].model_dump()["title"] == "Funnel: Sign up"
    assert leads["unnamed"].raw.content[1].model_dump()["title"] == "Funnel: 8"


async def _all_can_be_read(browser: Browser, *answers: Result) -> None:
    for answer in answers:
        for uri in links_of(answer):
            assert await browser.read(uri)


async def test_a_pipeline_that_does_not_exist_has_no_link(mixpanel: Upstream) -> None:
    mixpanel.always(STATUS, Reply(json={}))
    async with browsing(mixpanel.url) as browser:
        assert links_of(await browser.call("get_pipeline", name="trip")) == []
        assert links_of(await browser.call("get_pipeline", name="trips")) == [TRIPS]


async def test_answers_do_not_lead_to_what_is_not_offered(mixpanel: Upstream) -> None:
    async with browsing(mixpanel.url, tools="list_pipelines,edit_gcs_pipeline") as browser:
        for tool, arguments in {
            "list_pipelines": {},
            "edit_gcs_pipeline": {"name": "trips", "where": "1", "confirm": True},
        }.items():
            answer = await browser.call(tool, **arguments)
            assert (answer.status, links_of(answer)) == ("ok", [])


async def test_older_clients_subscribe_and_leave(mixpanel: Upstream) -> None:
    spelled = "mixpanel://pipelines/a%2fb"
    async with browsing(mixpanel.url, "legacy", follow=(spelled, TRIPS)) as browser:
        capabilities = browser.client.server_capabilities
        assert capabilities.resources is not None
        assert (capabilities.resources.subscribe, capabilities.resources.list_changed) == (
            True,
            True,
        )
        await browser.client.session.send_request(
            t.UnsubscribeRequest(params=t.UnsubscribeRequestParams(uri=TRIPS)), t.EmptyResult
        )
        await browser.call("delete_pipeline", name="trips", confirm=True)
        await browser.call("delete_pipeline", name="a/b", confirm=True)
        await browser.notices.until(spelled)
    assert browser.notices.told == [LIST_CHANGED, LIST_CHANGED, spelled]


async def test_newer_clients_hear_of_what_they_spelled_differently(mixpanel: Upstream) -> None:
    async with browsing(mixpanel.url, follow=("mixpanel://pipelines/two%2f%25",)) as browser:
        await browser.call("delete_pipeline", name="two/%", confirm=True)
        await browser.notices.until(TWO)


@pytest.mark.parametrize(
    "uri",
    ["https://mixpanel.com/x", "file:///x", "mixpanel://pipelines/100%", "mixpanel://nope"],
)
async def test_a_subscription_to_nothing_is_refused(mixpanel: Upstream, era: Era, uri: str) -> None:
    async with browsing(mixpanel.url, era) as browser:
        with pytest.raises(MCPError) as caught:
            await _follow(browser, era, uri)
    assert caught.value.error.code == t.INVALID_PARAMS
