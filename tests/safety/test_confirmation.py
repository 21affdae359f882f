"""Nothing irreversible happens that a person did not agree to, whatever the door."""

from typing import Any

import anyio
import mcp.types as t
import pytest
from doors import ANONYMOUS, SUCCESS, Door, every_door, some_doors
from harness import Connect, Era, Person
from upstream import Hang, Received, Reply, Upstream


def confirmed(door: Door) -> dict[str, Any]:
    return {**door.arguments, "confirm": True}


def sent_once(upstream: Upstream, door: Door) -> Received:
    """The one request there is."""
    (request,) = upstream.requests
    assert request.method == door.sent_as
    return request


@every_door
async def test_without_confirm_nothing_is_sent_and_the_answer_says_what_would_happen(
    connect: Connect, upstream: Upstream, era: Era, door: Door
) -> None:
    """It is no error: agent loops stop on errors, and here they should ask."""
    person = Person()

    async with connect(era=era, person=person) as tools:
        answer = await tools.call(door.tool, **door.arguments)

    assert (answer.status, answer.is_error) == ("confirmation_required", False)
    assert [word for word in door.tells if word not in answer.text] == []
    assert "confirm=true" in answer.text
    assert answer.structured["next"] == {"arguments": {"confirm": True}}
    assert upstream.requests == []
    assert person.questions == []


@every_door
async def test_a_client_that_cannot_ask_sends_once_where_the_flag_suffices(
    connect: Connect, upstream: Upstream, era: Era, door: Door
) -> None:
    upstream.default = SUCCESS

    async with connect(era=era, confirmation="flag") as tools:
        answer = await tools.call(door.tool, **confirmed(door))

    assert answer.status == "ok", answer.text
    sent_once(upstream, door)


@every_door
async def test_a_client_that_cannot_ask_sends_nothing_where_only_a_person_may_agree(
    connect: Connect, upstream: Upstream, era: Era, door: Door
) -> None:
    async with connect(era=era, confirmation="human") as tools:
        answer = await tools.call(door.tool, **confirmed(door))

    assert (answer.status, answer.is_error) == ("refused", True)
    assert "elicitation" in answer.text
    assert "Tell the person" in answer.text
    assert upstream.requests == []


@every_door
async def test_a_persons_yes_sends_once(
    connect: Connect, upstream: Upstream, era: Era, door: Door
) -> None:
    upstream.default = SUCCESS
    person = Person()

    async with connect(era=era, person=person, confirmation="human") as tools:
        answer = await tools.call(door.tool, **confirmed(door))

    assert answer.status == "ok", answer.text
    sent_once(upstream, door)
    (question,) = person.questions
    assert [word for word in door.tells if word not in question] == []
    assert "4242" in question


@every_door
async def test_a_persons_no_sends_nothing(
    connect: Connect, upstream: Upstream, era: Era, door: Door
) -> None:
    """The flag suffices only where there is nobody to ask."""
    async with connect(era=era, person=Person("decline"), confirmation="flag") as tools:
        answer = await tools.call(door.tool, **confirmed(door))

    assert (answer.status, answer.is_error) == ("refused", True)
    assert "did not agree" in answer.text
    assert upstream.requests == []


@some_doors
@pytest.mark.parametrize(
    "person",
    [
        Person("cancel"),
        Person("accept", {"approve": False}),
        Person("accept", {"approve": "maybe"}),
        Person("accept", {"approve": "true"}),
        Person("accept", {"approve": "yes"}),
        Person("accept", {"approve": 1}),
        Person("accept", {"approve": 1.0}),
        Person("accept", {"approve": None}),
        Person("accept", {"approved": True}),
        Person("accept", {}),
        Person("decline", {"approve": True}),
        Person("cancel", {"approve": True}),
    ],
    ids=lambda person: f"{person.action} {person.content}",
)
async def test_whatever_is_not_a_clear_yes_sends_nothing(
    connect: Connect, upstream: Upstream, era: Era, door: Door, person: Person
) -> None:
    async with connect(era=era, person=person) as tools:
        answer = await tools.call(door.tool, **confirmed(door))

    assert (answer.status, answer.is_error) == ("refused", True)
    assert upstream.requests == []


async def accept_without_a_form(context: Any, params: Any) -> t.ElicitResult:
    del context, params
    return t.ElicitResult(action="accept")


@some_doors
async def test_a_yes_without_the_form_sends_nothing(
    connect: Connect, upstream: Upstream, era: Era, door: Door
) -> None:
    async with connect(era=era, person=accept_without_a_form) as tools:
        answer = await tools.call(door.tool, **confirmed(door))

    assert answer.status == "refused"
    assert upstream.requests == []


async def never_answer(context: Any, params: Any) -> t.ElicitResult:
    del context, params
    await anyio.Event().wait()
    raise AssertionError


@some_doors
async def test_a_person_who_does_not_answer_has_not_agreed(
    connect: Connect, upstream: Upstream, door: Door
) -> None:
    async with connect(era="legacy", person=never_answer, answer_seconds=0.05) as tools:
        answer = await tools.call(door.tool, **confirmed(door))

    assert answer.status == "refused"
    assert upstream.requests == []


@some_doors
async def test_a_client_that_breaks_while_asking_has_not_agreed(
    connect: Connect, upstream: Upstream, door: Door
) -> None:
    async def breaks(context: Any, params: Any) -> t.ElicitResult:
        raise ValueError(context, params)

    async with connect(era="legacy", person=breaks) as tools:
        answer = await tools.call(door.tool, **confirmed(door))

    assert answer.status == "refused"
    assert upstream.requests == []


async def test_a_person_is_asked_once_for_all_batches_of_a_call(
    connect: Connect, upstream: Upstream, era: Era
) -> None:
    upstream.default = SUCCESS
    person = Person()

    async with connect(era=era, person=person) as tools:
        ids = [f"user-{number}" for number in range(4_500)]
        answer = await tools.call("delete_profile", delete_profiles=ids, confirm=True)

    assert answer.status == "ok"
    (question,) = person.questions
    assert "4500" in question
    assert len(upstream.requests) == 3


async def test_an_answer_that_got_lost_is_not_asked_for_by_a_second_request(
    connect: Connect, upstream: Upstream, era: Era
) -> None:
    """The yes was for one merge; whether it arrived is said to be unknown, never tried again."""
    upstream.default = Hang()

    async with connect(era=era, person=Person(), write_seconds=0.2) as tools:
        answer = await tools.call("create_alias", distinct_id="ada", alias=ANONYMOUS, confirm=True)

    assert answer.status == "failed"
    assert "may have happened" in answer.text
    assert len(upstream.requests) == 1


async def test_reads_and_harmless_writes_ask_nobody(
    connect: Connect, upstream: Upstream, era: Era
) -> None:
    person = Person("decline")
    upstream.on("/api/query/funnels/list", Reply(json=[]))
    upstream.default = SUCCESS

    async with connect(era=era, person=person) as tools:
        event = {"event": "A", "properties": {"distinct_id": "ada"}}
        profile = {"$distinct_id": "ada", "plan": "pro"}
        assert (await tools.call("list_saved_funnels")).status == "ok"
        assert (await tools.call("track_events", events=[event])).status == "ok"
        assert (await tools.call("create_profile", properties=[profile])).status == "ok"

    assert person.questions == []
    assert len(upstream.requests) == 3
