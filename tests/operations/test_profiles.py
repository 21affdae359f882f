"""Profile writes, argument by argument: what leaves for `/engage`, and what never does."""

import json
from typing import Any

import pytest
from harness import CANARY_TOKEN, Connect, Era, Person
from upstream import Reply, Upstream

FOREIGN_TOKEN = "feedfacefeedfacefeedfacefeedface"
TAKEN = Reply(json={"status": 1, "error": None})
SET: dict[str, Any] = {"$distinct_id": "ada", "$set": {"$name": "Ada", "plan": "pro"}}

EVERY_WRITE: list[tuple[str, str, Any]] = [
    ("create_profile", "properties", SET),
    ("update_multiple_profiles", "properties_to_update", SET),
    ("delete_profile", "delete_profiles", {"$distinct_id": "ada"}),
]
every_write = pytest.mark.parametrize(("tool", "argument", "record"), EVERY_WRITE)


async def refused(
    connect: Connect, upstream: Upstream, tool: str, /, **arguments: Any
) -> list[str]:
    """The faults of a call that must not send anything."""
    async with connect() as tools:
        answer = await tools.call(tool, **arguments)
    assert (answer.status, answer.is_error) == ("refused", True)
    assert upstream.requests == []
    return answer.data["faults"]


def places(faults: list[str]) -> list[str]:
    return [fault.partition(": ")[0] for fault in faults]


@every_write
async def test_a_profile_write_carries_the_token_and_locates_nobody(
    connect: Connect, upstream: Upstream, era: Era, tool: str, argument: str, record: Any
) -> None:
    """No credential is read there, no gzip understood, and without ip=0 the server is located."""
    upstream.on("/engage", TAKEN)

    async with connect(era=era) as tools:
        answer = await tools.call(tool, **{argument: [record]}, confirm=True)

    assert (answer.status, answer.data["accepted"]) == ("ok", 1)
    (request,) = upstream.requests
    assert (request.method, request.target) == ("POST", "/engage?ip=0&strict=1&verbose=1")
    assert request.headers["content-type"] == "application/json"
    assert "authorization" not in request.headers
    assert "content-encoding" not in request.headers
    (sent,) = request.json()
    verb = {"$delete": ""} if tool == "delete_profile" else {}
    assert sent == {"$token": CANARY_TOKEN, **verb, **record}


@every_write
async def test_each_switch_of_engage_goes_into_the_query(
    connect: Connect, upstream: Upstream, tool: str, argument: str, record: Any
) -> None:
    upstream.default = Reply(body="1")
    given = {argument: [record], "confirm": True}

    async with connect() as tools:
        quiet = await tools.call(tool, **given, verbose=False)
        await tools.call(tool, **given, redirect="https://shop.example/thanks?a=1")

    assert quiet.status == "ok"
    assert [request.target for request in upstream.requests] == [
        "/engage?ip=0&strict=1&verbose=0",
        "/engage?ip=0&strict=1&verbose=1&redirect=https%3A%2F%2Fshop.example%2Fthanks%3Fa%3D1",
    ]


@every_write
async def test_records_may_come_as_a_list_one_object_or_text(
    connect: Connect, upstream: Upstream, tool: str, argument: str, record: Any
) -> None:
    upstream.default = TAKEN

    async with connect() as tools:
        for given in ([record], record, json.dumps([record])):
            answer = await tools.call(tool, **{argument: given}, confirm=True)
            assert answer.status == "ok"

    assert len({request.content for request in upstream.requests}) == 1


@every_write
@pytest.mark.parametrize("given", [[], None, 1.5, [["ada"]]])
async def test_what_is_no_list_of_records_is_refused(
    connect: Connect, upstream: Upstream, tool: str, argument: str, record: Any, given: Any
) -> None:
    del record
    faults = await refused(connect, upstream, tool, **{argument: given}, confirm=True)

    assert all(fault.startswith(argument) for fault in faults)


@every_write
async def test_a_token_of_another_project_stops_the_whole_call(
    connect: Connect, upstream: Upstream, tool: str, argument: str, record: Any
) -> None:
    """One `/engage` batch can touch several projects: its tokens decide."""
    records = [record, {**record, "$token": FOREIGN_TOKEN}]

    async with connect() as tools:
        answer = await tools.call(tool, **{argument: records}, confirm=True)

    assert (answer.status, answer.is_error) == ("refused", True)
    assert "token" in answer.text
    assert upstream.requests == []


@every_write
async def test_the_connections_own_token_or_a_null_is_no_fault(
    connect: Connect, upstream: Upstream, tool: str, argument: str, record: Any
) -> None:
    """With a null on the wire, Mixpanel would acknowledge the update and ignore it."""
    upstream.default = TAKEN
    records = [{**record, "$token": CANARY_TOKEN}, {**record, "$token": None}]

    async with connect() as tools:
        answer = await tools.call(tool, **{argument: records}, confirm=True)

    assert answer.status == "ok"
    assert [sent["$token"] for sent in upstream.last.json()] == [CANARY_TOKEN] * 2


async def test_no_profile_is_written_without_a_token(connect: Connect, upstream: Upstream) -> None:
    async with connect(connection={"project_token": None}) as tools:
        answer = await tools.call("create_profile", properties=[SET])

    assert answer.status == "refused"
    assert "MIXPANEL_PROJECT_TOKEN" in answer.text
    assert upstream.requests == []


async def test_a_profile_may_be_flat_or_have_its_set_spelled_out(
    connect: Connect, upstream: Upstream
) -> None:
    upstream.default = TAKEN
    controls = {"$ignore_time": True, "$ip": "0"}
    flat = {"$distinct_id": "ada", **controls, "$name": "Ada", "plan": "pro"}

    async with connect() as tools:
        answer = await tools.call("create_profile", properties=[flat, {**SET, **controls}])

    assert answer.status == "ok"
    first, second = upstream.last.json()
    assert first == second == {"$token": CANARY_TOKEN, **SET, **controls}


@pytest.mark.parametrize(
    ("profile", "place"),
    [
        ({"$set": {"plan": "pro"}}, "$distinct_id"),
        ({"$distinct_id": "", "plan": "pro"}, "$distinct_id"),
        ({"$distinct_id": "undefined", "plan": "pro"}, "$distinct_id"),
        ({"$distinct_id": "ada"}, "$set"),
        ({"$distinct_id": "ada", "$set": {}}, "$set"),
        ({"$distinct_id": "ada", "$set": ["plan"]}, "$set"),
        ({"$distinct_id": "ada", "$set": {"plan": "pro"}, "name": "Ada"}, "name"),
        ({"$distinct_id": "ada", "$add": {"visits": 1}}, "$add"),
        ({"$distinct_id": "ada", "$delete": ""}, "$delete"),
        ({"$distinct_id": "ada", "tags": [1] * 255}, "$set.tags"),
        ({"$distinct_id": "ada", "tags": ["x" * 2000] * 140}, "$set.tags"),
    ],
)
async def test_a_profile_that_cannot_be_set_is_named(
    connect: Connect, upstream: Upstream, profile: Any, place: str
) -> None:
    faults = await refused(connect, upstream, "create_profile", properties=[SET, profile])

    assert places(faults) == [f"properties[1].{place}"]


async def test_half_a_character_is_named_and_crashes_nothing(
    connect: Connect, upstream: Upstream
) -> None:
    """JSON can spell half a surrogate pair; UTF-8 cannot, and so neither can a request."""
    broken = {"$distinct_id": "ada", "song": "\ud83c"}

    (fault,) = await refused(connect, upstream, "create_profile", properties=[SET, broken])

    assert fault.startswith("properties[1]")


async def test_each_verb_goes_out_as_it_was_given(connect: Connect, upstream: Upstream) -> None:
    upstream.default = TAKEN
    verbs: dict[str, Any] = {
        "$set": {"plan": "pro", "tags": ["a"], "address": {"city": "Lisbon"}},
        "$set_once": {"first": "2026-01-01T00:00:00"},
        "$add": {"visits": 1, "balance": -2.5},
        "$append": {"songs": "Fado"},
        "$union": {"tags": ["a", 1]},
        "$remove": {"tags": "b"},
        "$unset": ["old", "older"],
    }
    updates = [{"$distinct_id": f"u-{verb}", verb: value} for verb, value in verbs.items()]

    async with connect() as tools:
        answer = await tools.call("update_multiple_profiles", properties_to_update=updates)

    assert answer.status == "ok"
    assert upstream.last.json() == [{"$token": CANARY_TOKEN, **update} for update in updates]
    assert answer.data["records"] == [
        {"index": index, "distinct_id": f"u-{verb}", "verb": verb, "status": "accepted"}
        for index, verb in enumerate(verbs)
    ]


@pytest.mark.parametrize(
    ("update", "place"),
    [
        ({}, ""),
        ({"$set": {"a": 1}, "$unset": ["b"]}, ""),
        ({"$increment": {"a": 1}}, ""),
        ({"$set": {"a": 1}, "plan": "pro"}, ".plan"),
        ({"$set": "plan"}, ".$set"),
        ({"$add": {"visits": "1"}}, ".$add.visits"),
        ({"$add": {"visits": True}}, ".$add.visits"),
        ({"$append": {"songs": ["Fado"]}}, ".$append.songs"),
        ({"$remove": {"songs": {"a": 1}}}, ".$remove.songs"),
        ({"$union": {"tags": "a"}}, ".$union.tags"),
        ({"$union": {"tags": []}}, ".$union.tags"),
        ({"$union": {"tags": [None]}}, ".$union.tags"),
        ({"$unset": "plan"}, ".$unset"),
        ({"$unset": []}, ".$unset"),
        ({"$unset": [7]}, ".$unset"),
        ({"$set": {"lyrics": "la" * 500_001}}, ""),
    ],
)
async def test_an_update_that_does_not_fit_its_verb_is_named(
    connect: Connect, upstream: Upstream, update: Any, place: str
) -> None:
    updates = [SET, {"$distinct_id": "ada", **update}]

    faults = await refused(
        connect, upstream, "update_multiple_profiles", properties_to_update=updates
    )

    assert f"properties_to_update[1]{place}" in places(faults)
    assert all(fault.startswith("properties_to_update[1]") for fault in faults)


async def test_rejected_updates_are_named_and_the_rest_is_accepted(
    connect: Connect, upstream: Upstream
) -> None:
    failed = [{"index": 1, "$distinct_id": "b", "field": "$set.plan", "message": "plan is odd"}]
    body = {"status": 0, "error": "some data points failed", "failed_records": failed}
    upstream.on("/engage", Reply(json=body))
    profiles = [{"$distinct_id": each, "plan": "pro"} for each in "abc"]

    async with connect() as tools:
        answer = await tools.call("create_profile", properties=profiles)

    assert (answer.status, answer.is_error) == ("partial", True)
    assert answer.data["accepted"] == 2
    assert [record["status"] for record in answer.data["records"]] == [
        "accepted",
        "rejected",
        "accepted",
    ]
    assert answer.data["records"][1]["reason"] == "plan is odd"
    assert "1,$set.plan,plan is odd" in answer.text


async def test_a_deletion_among_updates_has_to_be_agreed_to(
    connect: Connect, upstream: Upstream
) -> None:
    upstream.default = TAKEN
    updates = [SET, {"$distinct_id": "grace", "$delete": ""}]

    async with connect() as tools:
        asked = await tools.call("update_multiple_profiles", properties_to_update=updates)
        assert (asked.status, asked.is_error) == ("confirmation_required", False)
        assert "permanently delete 1 profile" in asked.text
        assert '"grace"' in asked.text
        assert upstream.requests == []

        done = await tools.call(
            "update_multiple_profiles", properties_to_update=updates, confirm=True
        )

    assert done.status == "ok"
    assert len(upstream.requests) == 1


async def test_setting_needs_no_confirmation(connect: Connect, upstream: Upstream) -> None:
    upstream.default = TAKEN
    person = Person()

    async with connect(person=person) as tools:
        for confirm in (False, True):
            answer = await tools.call("create_profile", properties=[SET], confirm=confirm)
            assert answer.status == "ok"

    assert person.questions == []
