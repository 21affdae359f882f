"""Merging identities cannot be undone, so each way to do it asks first and sends once."""

import json
from typing import Any

import pytest
from harness import CANARY_TOKEN, Connect, Era, Person, Waits
from pydantic import SecretStr
from upstream import Drop, Reply, Upstream

ANONYMOUS = "0b2f1c0e-7d5a-4c3e-9a51-6f1de2b9c7aa"
FOREIGN_TOKEN = "feedfacefeedfacefeedfacefeedface"
IDENTITY: dict[str, Any] = {"identified_id": "ada", "anon_id": ANONYMOUS}
ALIAS: dict[str, Any] = {"distinct_id": "ada", "alias": "ada@example.com"}
TAKEN = Reply(json={"status": 1, "error": None})

both_tools = pytest.mark.parametrize(
    ("tool", "arguments"), [("create_identity", IDENTITY), ("create_alias", ALIAS)]
)


async def test_an_identity_goes_out_as_a_form_with_the_connections_token(
    connect: Connect, upstream: Upstream, era: Era
) -> None:
    """The event is JSON inside a form field, as identity.openapi.yaml has it."""
    upstream.default = TAKEN

    async with connect(era=era) as tools:
        answer = await tools.call("create_identity", **IDENTITY, confirm=True)

    assert answer.status == "ok"
    (request,) = upstream.requests
    assert (request.method, request.target) == ("POST", "/track?verbose=1")
    assert request.headers["content-type"] == "application/x-www-form-urlencoded"
    assert "authorization" not in request.headers
    form = dict(request.form)
    assert form["strict"] == "1"
    assert json.loads(form["data"]) == {
        "event": "$identify",
        "properties": {"$identified_id": "ada", "$anon_id": ANONYMOUS, "token": CANARY_TOKEN},
    }


async def test_an_alias_is_the_new_id_and_distinct_id_the_known_one(
    connect: Connect, upstream: Upstream
) -> None:
    """Swapped, Mixpanel would not notice."""
    upstream.default = TAKEN

    async with connect() as tools:
        answer = await tools.call("create_alias", **ALIAS, confirm=True)

    assert answer.status == "ok"
    (request,) = upstream.requests
    assert (request.method, request.target) == ("POST", "/track?verbose=1")
    assert request.headers["content-type"] == "application/x-www-form-urlencoded"
    assert "authorization" not in request.headers
    form = dict(request.form)
    assert form["strict"] == "1"
    assert json.loads(form["data"]) == {
        "event": "$create_alias",
        "properties": {"distinct_id": "ada", "alias": "ada@example.com", "token": CANARY_TOKEN},
    }


@both_tools
@pytest.mark.parametrize(
    ("switches", "target", "strict"),
    [
        ({"strict": False}, "/track?verbose=1", "0"),
        ({"verbose": False}, "/track?verbose=0", "1"),
        (
            {"redirect": "https://shop.example/?a=1"},
            "/track?verbose=1&redirect=https%3A%2F%2Fshop.example%2F%3Fa%3D1",
            "1",
        ),
    ],
    ids=["strict", "verbose", "redirect"],
)
async def test_each_switch_stands_where_mixpanel_reads_it(
    connect: Connect,
    upstream: Upstream,
    tool: str,
    arguments: dict[str, Any],
    switches: dict[str, Any],
    target: str,
    strict: str,
) -> None:
    upstream.default = Reply(body="1")

    async with connect() as tools:
        answer = await tools.call(tool, **arguments, **switches, confirm=True)

    # Whoever asks for a redirect gets no answer that tells.
    assert answer.status == ("failed" if "redirect" in switches else "ok")
    assert upstream.last.target == target
    assert dict(upstream.last.form)["strict"] == strict


@both_tools
async def test_only_the_connections_own_token_may_be_named(
    connect: Connect, upstream: Upstream, tool: str, arguments: dict[str, Any]
) -> None:
    upstream.default = TAKEN

    async with connect() as tools:
        foreign = await tools.call(tool, **arguments, project_token=FOREIGN_TOKEN, confirm=True)
        assert (foreign.status, foreign.is_error) == ("refused", True)
        assert "token" in foreign.text
        assert FOREIGN_TOKEN not in foreign.text
        assert upstream.requests == []

        own = await tools.call(tool, **arguments, project_token=CANARY_TOKEN, confirm=True)

    assert own.status == "ok"
    assert json.loads(dict(upstream.last.form)["data"])["properties"]["token"] == CANARY_TOKEN
    assert CANARY_TOKEN not in own.text


async def test_the_operator_may_allow_another_token(connect: Connect, upstream: Upstream) -> None:
    upstream.default = TAKEN

    async with connect(allowed_tokens=(SecretStr(FOREIGN_TOKEN),)) as tools:
        answer = await tools.call(
            "create_alias", **ALIAS, project_token=FOREIGN_TOKEN, confirm=True
        )

    assert answer.status == "ok"
    assert json.loads(dict(upstream.last.form)["data"])["properties"]["token"] == FOREIGN_TOKEN


@both_tools
async def test_without_any_token_it_says_which_setting_is_missing(
    connect: Connect, upstream: Upstream, tool: str, arguments: dict[str, Any]
) -> None:
    async with connect(connection={"project_token": None}) as tools:
        answer = await tools.call(tool, **arguments, confirm=True)

    assert (answer.status, answer.is_error) == ("refused", True)
    assert "MIXPANEL_PROJECT_TOKEN" in answer.text
    assert upstream.requests == []


@pytest.mark.parametrize(
    ("tool", "arguments", "named"),
    [
        ("create_identity", {**IDENTITY, "identified_id": ""}, "identified_id"),
        ("create_identity", {**IDENTITY, "identified_id": "undefined"}, "identified_id"),
        ("create_identity", {**IDENTITY, "anon_id": "ada"}, "anon_id"),
        ("create_identity", {**IDENTITY, "anon_id": ANONYMOUS.replace("-4", "-1")}, "anon_id"),
        ("create_identity", {"anon_id": ANONYMOUS}, "identified_id"),
        ("create_identity", {"identified_id": "ada"}, "anon_id"),
        ("create_alias", {"alias": "ada@example.com"}, "distinct_id"),
        ("create_alias", {"distinct_id": "ada"}, "alias"),
        ("create_alias", {**ALIAS, "alias": "null"}, "alias"),
        ("create_alias", {**ALIAS, "distinct_id": "anonymous"}, "distinct_id"),
        ("create_alias", {**ALIAS, "alias": "\ud83c"}, "alias"),
        ("create_alias", {**ALIAS, "redirect": "ftp://shop.example"}, "redirect"),
    ],
)
async def test_ids_that_would_merge_nothing_or_everybody_are_refused(
    connect: Connect, upstream: Upstream, tool: str, arguments: dict[str, Any], named: str
) -> None:
    async with connect() as tools:
        answer = await tools.call(tool, **arguments, confirm=True)

    assert (answer.status, answer.is_error) == ("refused", True)
    assert f"{named}: " in answer.text
    assert upstream.requests == []


@both_tools
async def test_without_confirm_both_ids_are_shown_and_nothing_leaves(
    connect: Connect, upstream: Upstream, era: Era, tool: str, arguments: dict[str, Any]
) -> None:
    async with connect(era=era) as tools:
        answer = await tools.call(tool, **arguments)

    assert (answer.status, answer.is_error) == ("confirmation_required", False)
    assert all(value in answer.text for value in arguments.values())
    assert answer.structured["next"] == {"arguments": {"confirm": True}}
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


@both_tools
@pytest.mark.parametrize("trouble", [Drop(), Reply(500)], ids=["drop", "500"])
async def test_a_merge_that_may_have_happened_is_not_sent_again(
    connect: Connect,
    upstream: Upstream,
    waits: Waits,
    tool: str,
    arguments: dict[str, Any],
    trouble: Drop | Reply,
) -> None:
    upstream.on("/track", trouble, TAKEN)

    async with connect(pacing=waits.pacing()) as tools:
        answer = await tools.call(tool, **arguments, confirm=True)

    assert (answer.status, answer.is_error) == ("failed", True)
    assert "may have happened" in answer.text
    assert len(upstream.requests) == 1


@both_tools
async def test_a_merge_that_was_refused_for_its_rate_is_sent_again(
    connect: Connect, upstream: Upstream, tool: str, arguments: dict[str, Any]
) -> None:
    upstream.on("/track", Reply(429), TAKEN)

    async with connect() as tools:
        answer = await tools.call(tool, **arguments, confirm=True)

    assert answer.status == "ok"
    assert len(upstream.requests) == 2


async def test_the_sandbox_keeps_an_alias_and_resolves_it_for_profiles(
    connect_sandbox: Connect,
) -> None:
    """What is set under the alias is found at the id that was known before."""
    person = Person()
    names = {"distinct_id": "identity-story", "alias": "identity-story@example.com"}

    async with connect_sandbox(person=person) as tools:
        answer = await tools.call("create_alias", **names, confirm=True)
        assert answer.status == "ok"
        await tools.call("create_profile", properties={"$distinct_id": names["alias"], "n": 1})
        found = await tools.call("query_profiles", distinct_ids=list(names.values()))

    assert len(person.questions) == 1
    (profile,) = found.data["profiles"]
    assert (profile["$distinct_id"], profile["$properties"]["n"]) == ("identity-story", 1)
    assert found.structured["scope"]["sandbox"] is True
