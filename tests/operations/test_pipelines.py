"""Pipelines that exist: what they are, how they do, and how they change or end."""

from typing import Any

import pytest
from harness import Connect, Era
from upstream import Reply, Upstream

ROOM = "/api/2.0/nessie/pipeline"
JOBS, STATUS, EDIT, CANCEL = (f"{ROOM}/{name}" for name in ("jobs", "status", "edit", "cancel"))

# The example of data-pipelines.openapi.yaml: an opaque number, capital D, flags as text, and a
# time that no reader of ISO dates understands.
PIPELINE = {
    "name": "events-daily-gcs-raw",
    "Dispatcher": "backfill",
    "last_dispatched": "2019-02-01 12:00:00 US/Pacific",
    "frequency": "hourly",
    "sync_enabled": "true",
}
NEVER = "0000-12-31T16:00:00-08:00"
TASK = {
    "project_id": 4242,
    "name": "events-daily-gcs-raw-20190201",
    "state": "canceled",
    "last_finish": NEVER,
    "run_at": "2019-01-15T14:12:58-08:00",
    "from_date": "2019-01-09T16:00:00-08:00",
    "to_date": "2019-01-10T16:00:00-08:00",
}


async def test_pipelines_are_listed_with_mixpanels_odd_dates(
    connect: Connect, upstream: Upstream, era: Era
) -> None:
    other = PIPELINE | {"name": "two", "last_dispatched": NEVER, "sync_enabled": "false"}
    upstream.default = Reply(json={"9876543210": [PIPELINE], "17": [other]})

    async with connect(era=era) as tools:
        answer = await tools.call("list_pipelines")

    (request,) = upstream.requests
    assert (request.method, request.target) == ("GET", f"{JOBS}?project_id=4242")
    assert request.headers["authorization"].startswith("Basic ")
    assert answer.text.startswith("2 pipelines.")
    assert (
        "name,dispatcher,frequency,last_dispatched,sync_enabled\n"
        "events-daily-gcs-raw,backfill,hourly,2019-02-01 12:00:00 US/Pacific,true\n"
        "two,backfill,hourly,never,false"
    ) in answer.text
    assert answer.data == [PIPELINE, other]


@pytest.mark.parametrize("reply", [{}, {"17": []}])
async def test_no_pipelines_may_mean_that_they_do_not_show_here(
    connect: Connect, upstream: Upstream, reply: dict[str, Any]
) -> None:
    upstream.default = Reply(json=reply)

    async with connect() as tools:
        answer = await tools.call("list_pipelines")

    assert (answer.status, answer.data) == ("ok", [])
    assert "no pipelines" in answer.text
    assert "user interface" in answer.notes


async def test_an_older_listing_has_one_pipeline_a_number(
    connect: Connect, upstream: Upstream
) -> None:
    upstream.default = Reply(json={"17": PIPELINE, "18": None, "status": "ok"})

    async with connect() as tools:
        answer = await tools.call("list_pipelines")

    assert answer.data == [PIPELINE]


async def test_tasks_are_counted_by_state_and_listed(
    connect: Connect, upstream: Upstream, era: Era
) -> None:
    done = TASK | {"state": "succeeded", "last_finish": "2019-01-16T00:00:00-08:00"}
    upstream.default = Reply(json={"succeeded": [done, done], "canceled": [TASK], "failed": []})

    async with connect(era=era) as tools:
        answer = await tools.call("get_pipeline", name="events-daily-gcs-raw")

    (request,) = upstream.requests
    assert (request.method, request.path) == ("GET", STATUS)
    assert request.query == [("project_id", "4242"), ("name", "events-daily-gcs-raw")]
    assert answer.text.startswith('Pipeline "events-daily-gcs-raw": 1 canceled, 2 succeeded.')
    assert (
        "state,run_at,last_finish,from_date,to_date\n"
        "canceled,2019-01-15T14:12:58-08:00,never,2019-01-09T16:00:00-08:00,"
        "2019-01-10T16:00:00-08:00\n"
    ) in answer.text
    assert answer.data["canceled"] == [TASK]


async def test_a_summary_counts_tasks_without_listing_them(
    connect: Connect, upstream: Upstream
) -> None:
    upstream.default = Reply(json={"canceled": 933, "retried": 80, "succeeded": 1})

    async with connect() as tools:
        answer = await tools.call("get_pipeline", name="p", summary=True)

    assert upstream.last.query.count(("summary", "true")) == 1
    assert answer.text.startswith('Pipeline "p": 933 canceled, 80 retried, 1 succeeded.')
    assert "state,tasks\ncanceled,933\nretried,80\nsucceeded,1" in answer.text


@pytest.mark.parametrize(
    ("status", "sent"),
    [
        ("failed", ["failed"]),
        (["pending", "timed_out"], ["pending", "timed_out"]),
        ('["running", "retried"]', ["running", "retried"]),
        (["failed", "canceled"], ["failed", "canceled"]),
    ],
)
async def test_states_repeat_their_key(
    connect: Connect, upstream: Upstream, status: Any, sent: list[str]
) -> None:
    upstream.default = Reply(json={"failed": [TASK]})

    async with connect() as tools:
        await tools.call("get_pipeline", name="p", status=status)

    assert [value for name, value in upstream.last.query if name == "status"] == sent


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"status": "succeeded"}, "timed_out"),
        ({"status": ["failed", "Failed"]}, "status"),
        ({"status": [""]}, "status"),
        ({"summary": "short"}, "summary"),
        ({"name": ""}, "name"),
        ({"name": None}, "name"),
        ({"project_id": 0}, "project_id"),
        ({"region": "nowhere"}, "region"),
    ],
)
async def test_a_question_with_a_fault_does_not_leave(
    connect: Connect, upstream: Upstream, given: dict[str, Any], words: str
) -> None:
    async with connect() as tools:
        answer = await tools.call("get_pipeline", **({"name": "p"} | given))

    assert (answer.status, answer.is_error) == ("refused", True)
    assert words in answer.text
    assert upstream.requests == []


@pytest.mark.parametrize("empty", [{}, {"failed": []}, {"failed": 0}])
async def test_an_empty_status_says_whether_the_pipeline_exists(
    connect: Connect, upstream: Upstream, empty: dict[str, Any]
) -> None:
    upstream.always(STATUS, Reply(json=empty))
    upstream.always(JOBS, Reply(json={"17": [PIPELINE]}))

    async with connect() as tools:
        known = await tools.call("get_pipeline", name=PIPELINE["name"], status="failed")
        unknown = await tools.call("get_pipeline", name="Events-daily")

    assert known.status == "ok"
    assert "exists and has no tasks in the states failed" in known.text
    assert (unknown.status, unknown.is_error) == ("ok", False)
    assert "There is no pipeline" in unknown.text
    assert "events-daily-gcs-raw" in unknown.text
