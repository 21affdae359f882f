"""Events that would do more than add: merges need a yes, and other projects' tokens go nowhere."""

import time
from typing import Any

import pytest
from harness import CANARY_TOKEN, Connect, Era, Person
from pydantic import SecretStr
from upstream import Reply, Upstream

FOREIGN_TOKEN = "feedfacefeedfacefeedfacefeedface"
TAKEN = Reply(json={"status": 1, "error": None})


def played(**properties: Any) -> dict[str, Any]:
    return {"event": "Played", "properties": {"distinct_id": "ada", **properties}}


def imported(count: int) -> Reply:
    return Reply(json={"code": 200, "num_records_imported": count, "status": "OK"})


@pytest.mark.parametrize("tool", ["track_events", "import_events"])
@pytest.mark.parametrize("name", ["token", "Token", "$token", "api_key"])
async def test_a_foreign_token_would_write_into_another_project(
    connect: Connect, upstream: Upstream, tool: str, name: str
) -> None:
    event = played(time=int(time.time()), **{name: FOREIGN_TOKEN})

    async with connect() as tools:
        answer = await tools.call(tool, events=[played(time=int(time.time())), event], confirm=True)

    assert (answer.status, answer.is_error) == ("refused", True)
    assert "token" in answer.text
    assert upstream.requests == []


async def test_the_operator_may_allow_more_tokens(connect: Connect, upstream: Upstream) -> None:
    upstream.default = TAKEN
    allowed = (SecretStr(FOREIGN_TOKEN),)

    async with connect(allowed_tokens=allowed) as tools:
        answer = await tools.call("track_events", events=[played(token=FOREIGN_TOKEN), played()])

    assert answer.status == "ok"
    tokens = [event["properties"]["token"] for event in upstream.last.json()]
    assert tokens == [FOREIGN_TOKEN, CANARY_TOKEN]


async def test_a_token_that_is_null_is_filled_in(connect: Connect, upstream: Upstream) -> None:
    """Mixpanel acknowledges an event without a valid token, and drops it."""
    upstream.default = TAKEN

    async with connect() as tools:
        await tools.call("track_events", events=[played(token=None)])

    assert upstream.last.json()[0]["properties"]["token"] == CANARY_TOKEN


IDENTITIES: list[tuple[str, dict[str, Any]]] = [
    ("$identify", {"$identified_id": "ada", "$anon_id": "0b2f1c0e-7d5a-4c3e-9a51-6f1de2b9c7aa"}),
    ("$create_alias", {"distinct_id": "ada", "alias": "ada@example.com"}),
    ("$merge", {"$distinct_ids": ["ada", "ada@example.com"]}),
    ("$IDENTIFY ", {"$identified_id": "ada", "$anon_id": "ada@example.com"}),
]


@pytest.mark.parametrize("tool", ["track_events", "import_events"])
@pytest.mark.parametrize(("name", "ids"), IDENTITIES)
async def test_a_merge_among_other_events_has_to_be_agreed_to(
    connect: Connect, upstream: Upstream, tool: str, name: str, ids: dict[str, Any]
) -> None:
    upstream.on("/track", TAKEN)
    upstream.on("/import", imported(2))
    moment = int(time.time())
    merge = {"event": name, "properties": {"distinct_id": "ada", **ids, "time": moment}}
    events = [played(time=moment), merge]

    async with connect() as tools:
        asked = await tools.call(tool, events=events)
        assert (asked.status, asked.is_error) == ("confirmation_required", False)
        assert asked.structured["next"] == {"arguments": {"confirm": True}}
        assert '"ada"' in asked.text
        assert upstream.requests == []

        agreed = await tools.call(tool, events=events, confirm=True)

    assert agreed.status == "ok"
    (request,) = upstream.requests
    assert [event["event"] for event in request.json()] == ["Played", name]


async def test_a_person_who_declines_stops_a_merge_and_its_whole_batch(
    connect: Connect, upstream: Upstream, era: Era
) -> None:
    person = Person("decline")
    merge = {"event": "$create_alias", "properties": {"distinct_id": "ada", "alias": "lovelace"}}

    async with connect(era=era, person=person) as tools:
        answer = await tools.call("track_events", events=[played(), merge], confirm=True)

    assert answer.status == "refused"
    assert "lovelace" in person.questions[0]
    assert upstream.requests == []


async def test_ordinary_events_need_no_confirmation_and_none_is_asked_for(
    connect: Connect, upstream: Upstream
) -> None:
    upstream.default = TAKEN
    person = Person()

    async with connect(person=person) as tools:
        answer = await tools.call("track_events", events=[played()], confirm=True)

    assert (answer.status, person.questions) == ("ok", [])
