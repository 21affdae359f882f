"""Editing and deleting pipelines: asked first, sent once, repeated only where that is harmless."""

from typing import Any

import pytest
from harness import CANARY_TOKEN, Connect, Era, Person
from upstream import Drop, Reply, Upstream

EDIT, CANCEL = "/api/2.0/nessie/pipeline/edit", "/api/2.0/nessie/pipeline/cancel"


@pytest.mark.parametrize(
    ("arguments", "form"),
    [
        ({"events": ["A", "B, C"]}, [("events", "A"), ("events", "B, C")]),
        ({"events": "A"}, [("events", "A")]),
        ({"events": '["A", "B"]'}, [("events", "A"), ("events", "B")]),
        ({"where": 'properties["a"] == "1&2"'}, [("where", 'properties["a"] == "1&2"')]),
        ({"where": "", "events": ["A"]}, [("events", "A"), ("where", "")]),
    ],
)
async def test_an_edit_goes_out_as_a_form_that_repeats_events(
    connect: Connect,
    upstream: Upstream,
    era: Era,
    arguments: dict[str, Any],
    form: list[tuple[str, str]],
) -> None:
    """A list joined with commas would be one event with a strange name."""
    async with connect(era=era) as tools:
        answer = await tools.call("edit_gcs_pipeline", name="p", **arguments, confirm=True)

    (request,) = upstream.requests
    assert (request.method, request.target) == ("POST", EDIT)
    assert request.headers["content-type"] == "application/x-www-form-urlencoded"
    assert request.form == [("name", "p"), ("project_id", "4242"), *form]
    assert answer.status == "ok"


async def test_an_edit_that_changes_nothing_is_refused(
    connect: Connect, upstream: Upstream
) -> None:
    async with connect() as tools:
        nothing = await tools.call("edit_gcs_pipeline", name="p", confirm=True)
        bucket = await tools.call("edit_gcs_pipeline", name="p", gcs_bucket="b", confirm=True)

    assert nothing.status == bucket.status == "refused"
    assert "events or where" in nothing.text
    assert "gcs_bucket" in bucket.text
    assert upstream.requests == []


async def test_an_edit_shows_what_would_be_sent_from_then_on(
    connect: Connect, upstream: Upstream
) -> None:
    async with connect() as tools:
        answer = await tools.call(
            "edit_gcs_pipeline", name="p-1", events=["A", "B"], where='properties["x"] == 1'
        )

    assert (answer.status, answer.is_error) == ("confirmation_required", False)
    assert all(word in answer.text for word in ('"p-1"', '"A", "B"', "properties['x'] == 1"))
    assert answer.structured["next"] == {"arguments": {"confirm": True}}
    assert upstream.requests == []


async def test_a_pipeline_is_deleted_by_a_form_to_cancel(
    connect: Connect, upstream: Upstream, era: Era
) -> None:
    async with connect(era=era) as tools:
        asked = await tools.call("delete_pipeline", name="p & q")
        answer = await tools.call("delete_pipeline", name="p & q", confirm=True, project_id=7)

    (request,) = upstream.requests
    assert asked.status == "confirmation_required"
    assert '"p & q"' in asked.text
    assert "cannot be restored" in asked.text
    assert (request.method, request.target) == ("POST", CANCEL)
    assert request.headers["content-type"] == "application/x-www-form-urlencoded"
    assert request.headers["authorization"].startswith("Basic ")
    assert request.form == [("name", "p & q"), ("project_id", "7")]
    assert answer.status == "ok"
    assert answer.text.startswith('Deleted the pipeline "p & q".')


async def test_the_project_token_cannot_delete_and_is_not_sent(
    connect: Connect, upstream: Upstream
) -> None:
    async with connect() as tools:
        plain = await tools.call("delete_pipeline", name="p", confirm=True)
        answer = await tools.call("delete_pipeline", name="p", confirm=True, use_project_token=True)

    one, two = upstream.requests
    assert one.headers["authorization"] == two.headers["authorization"]
    assert CANARY_TOKEN not in two.target + two.body.decode()
    assert "the service account was used" in answer.notes
    assert plain.notes == ""


CHANGES: list[tuple[str, str, dict[str, Any]]] = [
    ("edit_gcs_pipeline", EDIT, {"name": "p", "events": ["A"]}),
    ("delete_pipeline", CANCEL, {"name": "p"}),
]
every_change = pytest.mark.parametrize(("tool", "path", "arguments"), CHANGES)


@every_change
async def test_a_persons_yes_sends_one_request_and_a_no_sends_none(
    connect: Connect,
    upstream: Upstream,
    era: Era,
    tool: str,
    path: str,
    arguments: dict[str, Any],
) -> None:
    willing, unwilling = Person(), Person("decline")

    async with connect(era=era, person=unwilling) as tools:
        refused = await tools.call(tool, **arguments, confirm=True)
    async with connect(era=era, person=willing) as tools:
        done = await tools.call(tool, **arguments, confirm=True)

    assert (refused.status, done.status) == ("refused", "ok")
    assert '"p"' in willing.questions[0]
    assert [request.path for request in upstream.requests] == [path]


@every_change
@pytest.mark.parametrize("fault", [Reply(500), Reply(429), Drop()], ids=["500", "429", "drop"])
async def test_a_change_that_may_be_repeated_is_repeated(
    connect: Connect,
    upstream: Upstream,
    tool: str,
    path: str,
    arguments: dict[str, Any],
    fault: Reply | Drop,
) -> None:
    """Edit and cancel lead to the same end state however often they arrive."""
    upstream.on(path, fault, fault)

    async with connect() as tools:
        answer = await tools.call(tool, **arguments, confirm=True)

    assert answer.status == "ok"
    assert len({request.body for request in upstream.to(path)}) == 1
    assert len(upstream.to(path)) == 3


@every_change
@pytest.mark.parametrize(
    "reply",
    [
        Reply(404, json={"error": "pipeline does not exist", "status": "error"}),
        Reply(200, json={"error": "a trial pipeline cannot be deleted", "status": "error"}),
        Reply(302, headers={"location": "/api/2.0/elsewhere"}),
        Reply(403, json={"error": "no", "status": "error"}),
    ],
    ids=["404", "error-in-200", "redirect", "403"],
)
async def test_a_change_that_was_not_made_is_no_success(
    connect: Connect,
    upstream: Upstream,
    tool: str,
    path: str,
    arguments: dict[str, Any],
    reply: Reply,
) -> None:
    upstream.default = reply

    async with connect() as tools:
        answer = await tools.call(tool, **arguments, confirm=True)

    assert (answer.status, answer.is_error) == ("failed", True)
    assert [request.path for request in upstream.requests] == [path]


async def test_read_only_offers_the_reads_alone(connect: Connect) -> None:
    async with connect(read_only=True, toolsets=("pipelines",)) as tools:
        offered = {tool.name for tool in (await tools.client.list_tools()).tools}

    assert offered == {"list_pipelines", "get_pipeline"}


@pytest.mark.parametrize("body", ["0", "<html>busy</html>", "false", '"no"'])
async def test_a_200_that_is_no_yes_is_not_taken_for_one(
    connect: Connect, upstream: Upstream, body: str
) -> None:
    """No body is promised for a success; any other message means failure."""
    upstream.default = Reply(body=body)

    async with connect() as tools:
        answer = await tools.call("delete_pipeline", name="p", confirm=True)

    assert (answer.status, answer.is_error) == ("failed", True)
    assert "neither yes nor no" in answer.text
