"""Merging identities cannot be undone, so each way to do it asks first and sends once."""

import json
from typing import Any

import pytest
from conftest import CANARY_TOKEN, Connect, Era, Person
from upstream import Reply, Upstream

ANONYMOUS = "0b2f1c0e-7d5a-4c3e-9a51-6f1de2b9c7aa"
IDENTITY: dict[str, Any] = {"identified_id": "ada", "anon_id": ANONYMOUS}
ALIAS: dict[str, Any] = {"distinct_id": "ada", "alias": "ada@example.com"}


async def test_an_identity_goes_out_as_a_form_with_the_connections_token(
    connect: Connect, upstream: Upstream, era: Era
) -> None:
    """The event is JSON inside a form field, as identity.openapi.yaml has it."""
    upstream.default = Reply(json={"status": 1, "error": None})

    async with connect(era=era) as tools:
        answer = await tools.call("create_identity", **IDENTITY, confirm=True)

    assert answer.status == "ok"
    (request,) = upstream.requests
    assert (request.method, request.target) == ("POST", "/track?verbose=1")
    assert "authorization" not in request.headers
    form = dict(request.form)
    assert form["strict"] == "1"
    assert json.loads(form["data"]) == {
        "event": "$identify",
        "properties": {"$identified_id": "ada", "$anon_id": ANONYMOUS, "token": CANARY_TOKEN},
    }


@pytest.mark.parametrize(
    ("tool", "arguments"), [("create_identity", IDENTITY), ("create_alias", ALIAS)]
)
async def test_without_confirm_both_ids_are_shown_and_nothing_leaves(
    connect: Connect, upstream: Upstream, era: Era, tool: str, arguments: dict[str, Any]
) -> None:
    async with connect(era=era) as tools:
        answer = await tools.call(tool, **arguments)

    assert (answer.status, answer.is_error) == ("confirmation_required", False)
    assert all(value in answer.text for value in arguments.values())
    assert upstream.requests == []


async def test_a_person_is_asked_with_both_ids_and_may_say_no(
    connect: Connect, upstream: Upstream, era: Era
) -> None:
    person = Person("decline")

    async with connect(era=era, person=person) as tools:
        answer = await tools.call("create_alias", **ALIAS, confirm=True)

    assert (answer.status, answer.is_error) == ("refused", True)
    assert "ada@example.com" in person.questions[0]
    assert upstream.requests == []
