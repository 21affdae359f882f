"""A write may have changed what was read before it: nothing older is given out after it."""

import asyncio
from typing import Any

import pytest
from harness import Connect, Person, Waits
from metering import JANUARY, PIPELINES, everybody_had_a_turn, mirror, report
from upstream import Drop, Held, Reply, Upstream

INSIGHTS = "/api/query/insights"
OLD = Reply(json={"series": {"All": {"2026-01-01": 1}}})
NEW = Reply(json={"series": {"All": {"2026-01-01": 2}}})


@pytest.fixture(autouse=True)
def answering(upstream: Upstream) -> None:
    upstream.default = mirror


EVENT = {"event": "Signed up", "properties": {"distinct_id": "ada", "time": 1_767_225_600}}
WRITES: dict[str, tuple[str, dict[str, Any]]] = {
    "import": ("import_events", {"events": [EVENT]}),
    "profile": ("create_profile", {"properties": [{"$distinct_id": "ada", "plan": "pro"}]}),
    "pipeline": ("delete_pipeline", {"name": "p", "confirm": True}),
    "raw": ("raw_request", {"url": "/import", "method": "POST", "data": [EVENT]}),
    "in_another_project": ("delete_pipeline", {"name": "p", "confirm": True, "project_id": 777}),
}
ENDINGS: dict[str, Reply | Drop | None] = {
    "taken": None,
    "refused": Reply(400, json={"error": "no"}),
    "unknown_outcome": Drop(),
    "server_error": Reply(500),
}


@pytest.mark.parametrize("ending", ENDINGS)
@pytest.mark.parametrize("write", WRITES)
async def test_a_write_empties_what_is_kept_however_it_ended(
    connect: Connect, upstream: Upstream, waits: Waits, write: str, ending: str
) -> None:
    tool, arguments = WRITES[write]
    told = ENDINGS[ending]
    for path in ("/import", "/engage", f"{PIPELINES}cancel"):
        good = Reply(json={"code": 200, "num_records_imported": 1, "status": 1, "error": None})
        upstream.always(path, told or (Reply(json=[]) if "cancel" in path else good))

    async with connect(pacing=waits.pacing()) as tools:
        await report(1).ask(tools)
        await tools.call("list_pipelines")
        await tools.call(tool, **arguments)
        asked_again = [await report(1).ask(tools), await tools.call("list_pipelines")]

    assert len(upstream.to(INSIGHTS)) == len(upstream.to(f"{PIPELINES}jobs")) == 2
    assert not any("cached_seconds" in answer.structured["scope"] for answer in asked_again)


@pytest.mark.parametrize(
    "harmless",
    [
        ("delete_pipeline", {"name": "p"}),
        ("raw_request", {"url": "/api/query/cohorts/list", "method": "GET"}),
        ("download_data", JANUARY),
        ("import_events", {"events": []}),
    ],
    ids=["unconfirmed", "raw_read", "export", "invalid"],
)
async def test_what_wrote_nothing_leaves_what_is_kept(
    connect: Connect, harmless: tuple[str, dict[str, Any]]
) -> None:
    async with connect() as tools:
        await report(1).ask(tools)
        await tools.call(harmless[0], **harmless[1])
        answer = await report(1).ask(tools)

    assert "cached_seconds" in answer.structured["scope"]


async def test_what_was_declined_leaves_what_is_kept(connect: Connect) -> None:
    async with connect(era="legacy", person=Person("decline")) as tools:
        await report(1).ask(tools)
        await tools.call("delete_pipeline", name="p", confirm=True)
        answer = await report(1).ask(tools)

    assert "cached_seconds" in answer.structured["scope"]


async def test_a_read_under_way_during_a_write_is_not_kept(
    connect: Connect, upstream: Upstream
) -> None:
    release = asyncio.Event()
    upstream.on(INSIGHTS, Held(release, OLD), NEW)

    async with connect() as tools:
        slow = asyncio.create_task(report(1).ask(tools))
        await upstream.opened(1)
        await tools.call("delete_pipeline", name="p", confirm=True)
        release.set()
        before = await slow
        after = await report(1).ask(tools)

    assert before.data == {"series": {"All": {"2026-01-01": 1}}}
    assert after.data == {"series": {"All": {"2026-01-01": 2}}}
    assert "cached_seconds" not in after.structured["scope"]


async def test_a_read_after_a_write_does_not_join_one_from_before_it(
    connect: Connect, upstream: Upstream
) -> None:
    """Who asks once the write is done must not get what was true before."""
    release = asyncio.Event()
    upstream.on(INSIGHTS, Held(release, OLD), NEW)

    async with connect() as tools:
        slow = asyncio.create_task(report(1).ask(tools))
        await upstream.opened(1)
        await tools.call("delete_pipeline", name="p", confirm=True)
        asked_after = asyncio.create_task(report(1).ask(tools))
        await everybody_had_a_turn()
        release.set()
        answers = await asyncio.gather(slow, asked_after)

    assert [answer.data["series"]["All"]["2026-01-01"] for answer in answers] == [1, 2]


async def test_a_read_that_began_while_a_write_was_under_way_is_not_kept(
    connect: Connect, upstream: Upstream
) -> None:
    release = asyncio.Event()
    upstream.on(f"{PIPELINES}cancel", Held(release, Reply(json=[])))

    async with connect() as tools:
        write = asyncio.create_task(tools.call("delete_pipeline", name="p", confirm=True))
        await upstream.opened(1)
        await tools.call("list_pipelines")
        release.set()
        assert (await write).status == "ok"
        after = await tools.call("list_pipelines")

    assert "cached_seconds" not in after.structured["scope"]


async def test_a_write_that_was_cancelled_empties_what_is_kept(
    connect: Connect, upstream: Upstream
) -> None:
    """It reached Mixpanel, so it may have happened."""
    release = asyncio.Event()
    upstream.on(f"{PIPELINES}cancel", Held(release, Reply(json=[])))

    async with connect() as tools:
        await tools.call("list_pipelines")
        write = asyncio.create_task(tools.call("delete_pipeline", name="p", confirm=True))
        await upstream.opened(1)
        write.cancel()
        await asyncio.wait([write])
        release.set()
        after = await tools.call("list_pipelines")

    assert "cached_seconds" not in after.structured["scope"]


async def test_an_old_answer_that_comes_late_does_not_replace_a_fresh_one(
    connect: Connect, upstream: Upstream
) -> None:
    release = asyncio.Event()
    upstream.on(INSIGHTS, Held(release, OLD), NEW)

    async with connect() as tools:
        slow = asyncio.create_task(report(1).ask(tools))
        await upstream.opened(1)
        fresh = await report(1).ask(tools, fresh=True)
        release.set()
        await slow
        kept = await report(1).ask(tools)

    assert kept.data == fresh.data == {"series": {"All": {"2026-01-01": 2}}}
