"""Events in, argument by argument: what leaves for `/track` and `/import`, and what never does."""

import base64
import json
import time
from pathlib import Path
from typing import Any

import pytest
from harness import CANARY_PASSWORD, CANARY_TOKEN, Connect, Era
from upstream import Reply, Upstream

from mixpanel_mcp.analytics.events import count_events
from mixpanel_mcp.analytics.store import open_store
from mixpanel_mcp.sandbox import running_sandbox

NOON = 1_767_268_800_000  # 2026-01-01T12:00:00Z
FOREIGN_TOKEN = "feedfacefeedfacefeedfacefeedface"
TAKEN = Reply(json={"status": 1, "error": None})


def played(**properties: Any) -> dict[str, Any]:
    return {"event": "Played", "properties": {"distinct_id": "ada", **properties}}


def imported(count: int = 1) -> Reply:
    return Reply(json={"code": 200, "num_records_imported": count, "status": "OK"})


def basic(username: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{username}:{password}".encode()).decode()


async def test_tracked_events_carry_the_token_and_no_credential(
    connect: Connect, upstream: Upstream, era: Era
) -> None:
    """`/track` knows the project by the token in each event, and ignores a service account."""
    upstream.on("/track", TAKEN)
    moment = int(time.time() * 1000) - 60_000

    async with connect(era=era) as tools:
        given = {"time": moment, "$insert_id": "p-1", "song": "Fado"}
        answer = await tools.call("track_events", events=[played(**given)])

    assert (answer.status, answer.is_error) == ("ok", False)
    assert answer.data["accepted"] == 1
    (request,) = upstream.requests
    assert (request.method, request.target) == ("POST", "/track?ip=0&verbose=1")
    assert request.headers["content-type"] == "application/json"
    assert "authorization" not in request.headers
    assert request.json() == [played(**given, token=CANARY_TOKEN)]


@pytest.mark.parametrize(
    ("arguments", "target"),
    [
        ({"ip": True}, "/track?ip=1&verbose=1"),
        ({"verbose": False}, "/track?ip=0&verbose=0"),
        ({"img": True}, "/track?ip=0&verbose=1&img=1"),
        (
            {"redirect": "https://shop.example/thanks?a=1&b=2"},
            "/track?ip=0&verbose=1&redirect=https%3A%2F%2Fshop.example%2Fthanks%3Fa%3D1%26b%3D2",
        ),
    ],
    ids=["ip", "verbose", "img", "redirect"],
)
async def test_each_switch_of_track_goes_into_the_query(
    connect: Connect, upstream: Upstream, arguments: dict[str, Any], target: str
) -> None:
    upstream.on("/track", Reply(body="1"))

    async with connect() as tools:
        await tools.call("track_events", events=[played()], **arguments)

    assert upstream.last.target == target


async def test_without_verbose_a_bare_1_is_a_success(connect: Connect, upstream: Upstream) -> None:
    upstream.on("/track", Reply(body="1"))

    async with connect() as tools:
        answer = await tools.call("track_events", events=[played()], verbose=False)

    assert (answer.status, answer.data["accepted"]) == ("ok", 1)


async def test_track_says_that_a_service_account_would_not_help(
    connect: Connect, upstream: Upstream
) -> None:
    upstream.default = TAKEN

    async with connect() as tools:
        usual = await tools.call("track_events", events=[played()], use_project_token=True)
        asked = await tools.call("track_events", events=[played()], use_project_token=False)

    assert "service account" not in usual.notes
    assert "the service account was not sent" in asked.notes
    assert all("authorization" not in request.headers for request in upstream.requests)


@pytest.mark.parametrize(
    "events",
    [[played(time=NOON)], played(time=NOON), json.dumps([played(time=NOON)])],
    ids=["a list", "one event", "JSON text"],
)
async def test_events_may_come_as_a_list_one_object_or_text(
    connect: Connect, upstream: Upstream, events: Any
) -> None:
    upstream.default = imported()

    async with connect() as tools:
        assert (await tools.call("import_events", events=events)).status == "ok"

    (event,) = upstream.last.json()
    assert (event["event"], event["properties"]["time"]) == ("Played", NOON)


@pytest.mark.parametrize("tool", ["track_events", "import_events"])
@pytest.mark.parametrize("events", [[], "Played", 7, [["Played"]], None])
async def test_what_is_no_list_of_events_is_refused(
    connect: Connect, upstream: Upstream, tool: str, events: Any
) -> None:
    async with connect() as tools:
        answer = await tools.call(tool, events=events)

    assert (answer.status, answer.is_error) == ("refused", True)
    assert "events" in answer.text
    assert upstream.requests == []


@pytest.mark.parametrize("redirect", ["javascript:alert(1)", "//evil.example", "thanks.html"])
async def test_a_redirect_that_is_no_web_address_is_refused(
    connect: Connect, upstream: Upstream, redirect: str
) -> None:
    async with connect() as tools:
        answer = await tools.call("track_events", events=[played()], redirect=redirect)

    assert answer.status == "refused"
    assert "redirect" in answer.text
    assert upstream.requests == []


async def test_an_import_is_authenticated_strict_and_compressed(
    connect: Connect, upstream: Upstream, era: Era
) -> None:
    upstream.on("/import", imported())
    event = played(time=NOON, **{"$insert_id": "p-1"})

    async with connect(era=era) as tools:
        answer = await tools.call("import_events", events=[event])

    assert (answer.status, answer.data["accepted"], answer.data["rejected"]) == ("ok", 1, [])
    scope = answer.structured["scope"]
    assert (scope["project"], scope["region"]) == (4242, "us")
    (request,) = upstream.requests
    assert (request.method, request.target) == ("POST", "/import?strict=1&project_id=4242")
    assert request.headers["authorization"] == basic("robot", CANARY_PASSWORD)
    assert request.headers["content-type"] == "application/json"
    assert request.headers["content-encoding"] == "gzip"
    assert request.json() == [event]


async def test_an_import_may_name_another_project(connect: Connect, upstream: Upstream) -> None:
    upstream.on("/import", imported())

    async with connect() as tools:
        answer = await tools.call("import_events", events=[played(time=NOON)], project_id=77)

    assert upstream.last.query == [("strict", "1"), ("project_id", "77")]
    assert answer.structured["scope"]["project"] == 77


async def test_an_import_with_the_project_token_names_no_project(
    connect: Connect, upstream: Upstream
) -> None:
    """`Basic token:` names the project itself; a project_id beside it breaks the authentication."""
    upstream.default = imported()

    async with connect() as tools:
        for own_project in ({}, {"project_id": 4242}):
            answer = await tools.call(
                "import_events", events=[played(time=NOON)], use_project_token=True, **own_project
            )
            assert answer.status == "ok"

    for request in upstream.requests:
        assert request.target == "/import?strict=1"
        assert request.headers["authorization"] == basic(CANARY_TOKEN, "")


async def test_a_token_and_another_project_contradict_each_other(
    connect: Connect, upstream: Upstream
) -> None:
    async with connect() as tools:
        answer = await tools.call(
            "import_events", events=[played(time=NOON)], use_project_token=True, project_id=77
        )

    assert (answer.status, answer.is_error) == ("refused", True)
    assert "project_id" in answer.text
    assert upstream.requests == []


@pytest.mark.parametrize(
    ("missing", "tool", "arguments"),
    [
        ("project_token", "track_events", {}),
        ("project_token", "import_events", {"use_project_token": True}),
        ("username", "import_events", {}),
        ("password", "import_events", {}),
        ("project_id", "import_events", {}),
    ],
)
async def test_a_call_says_which_setting_it_lacks(
    connect: Connect, upstream: Upstream, missing: str, tool: str, arguments: dict[str, Any]
) -> None:
    moment = int(time.time())

    async with connect(connection={missing: None}) as tools:
        answer = await tools.call(tool, events=[played(time=moment)], **arguments)

    assert (answer.status, answer.is_error) == ("refused", True)
    assert f"MIXPANEL_{missing.upper()}" in answer.text
    assert upstream.requests == []


async def test_events_imported_twice_count_once(connect_sandbox: Connect, tmp_path: Path) -> None:
    """A lost reply makes callers send again; the derived `$insert_id` makes that harmless."""
    data = tmp_path / "project.duckdb"
    events = [played(time="2026-01-01T12:00:00Z", song=song) for song in ("Fado", "Morna")]

    with running_sandbox(demo=False, data=data) as own:
        async with connect_sandbox(connection={"base_url": own.base_url}) as tools:
            for _ in range(2):
                answer = await tools.call("import_events", events=events)
                assert (answer.status, answer.data["accepted"]) == ("ok", 2)
            day = {"from_date": "2026-01-01", "to_date": "2026-01-01"}
            stored = await tools.call("download_data", **day)

    assert stored.data["count"] == 4  # a raw export shows what arrived
    store = open_store(data)
    assert count_events(store) == 2
    store.close()
