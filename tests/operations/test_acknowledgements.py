"""A 200 of the ingestion host is no success yet: its body may say no, or nothing at all."""

from typing import Any

import pytest
from harness import Connect, Result
from upstream import Reply, Upstream

NOON = 1_767_268_800_000  # 2026-01-01T12:00:00Z
UPDATE: dict[str, Any] = {"$distinct_id": "ada", "$set": {"plan": "pro"}}

EVERY_WRITE: list[tuple[str, dict[str, Any]]] = [
    ("track_events", {"events": [{"event": "Played", "properties": {"distinct_id": "ada"}}]}),
    (
        "import_events",
        {"events": [{"event": "Played", "properties": {"distinct_id": "ada", "time": NOON}}]},
    ),
    ("create_profile", {"properties": [UPDATE]}),
    ("update_multiple_profiles", {"properties_to_update": [UPDATE]}),
    ("delete_profile", {"delete_profiles": ["ada"]}),
    (
        "create_identity",
        {"identified_id": "ada", "anon_id": "0b2f1c0e-7d5a-4c3e-9a51-6f1de2b9c7aa"},
    ),
    ("create_alias", {"distinct_id": "ada", "alias": "ada@example.com"}),
]
every_write = pytest.mark.parametrize(
    ("tool", "arguments"), EVERY_WRITE, ids=[tool for tool, _ in EVERY_WRITE]
)
REDIRECTED = [(tool, given) for tool, given in EVERY_WRITE if tool != "import_events"]
every_redirectable = pytest.mark.parametrize(
    ("tool", "arguments"), REDIRECTED, ids=[tool for tool, _ in REDIRECTED]
)


# What the body says, and the reason that has to come back.
NOES: list[tuple[Reply, str]] = [
    (Reply(body="0"), ""),
    (Reply(body=" 0\n"), ""),
    (Reply(json={"status": 0, "error": "data, missing or empty"}), "data, missing or empty"),
    (Reply(json={"status": 0, "error": None}), ""),
    (Reply(json={"status": "error", "error": "some data points failed"}), "data points failed"),
]
NO_OBJECTS = ["", "2", "11", "<html>ok</html>", "null", "[]", '"1"', "\x00", '{"status":1']
ODD_OBJECTS = ["{}", '{"status":2}', '{"status":[]}', '{"status":{"a":1}}']
UNDOCUMENTED = [*NO_OBJECTS, *ODD_OBJECTS]

# Of two records sent, each of these means none that there is.
SENSELESS: list[Any] = [
    [{"index": 7, "field": "event", "message": "no"}],
    [{"index": -1, "field": "event", "message": "no"}],
    [{"index": 1e300, "field": "event", "message": "no"}],
    [{"index": "0", "message": "no"}],
    [{"index": None}],
    [None, 3, "no"],
    {"0": "no"},
    "no",
]


def ending(answer: Result) -> str:
    """How a call ended; a crash of ours has no structured content."""
    if answer.raw.structured_content is None:
        return "crashed"
    return answer.status if answer.is_error else f"{answer.status}, no error"


@every_write
async def test_a_no_in_a_200_is_a_failure(
    connect: Connect, upstream: Upstream, tool: str, arguments: dict[str, Any]
) -> None:
    for reply, reason in NOES:
        upstream.default = reply
        async with connect() as tools:
            answer = await tools.call(tool, **arguments, confirm=True)

        assert ending(answer) == "failed"
        assert answer.structured["complete"] is False
        assert reason in answer.text
    assert len(upstream.requests) == len(NOES)  # a no is not asked for again


@every_write
async def test_what_is_no_documented_answer_proves_nothing(
    connect: Connect, upstream: Upstream, tool: str, arguments: dict[str, Any]
) -> None:
    endings: dict[str, str] = {}
    async with connect() as tools:
        for body in UNDOCUMENTED:
            upstream.default = Reply(body=body)
            endings[body] = ending(await tools.call(tool, **arguments, confirm=True))

    assert endings == dict.fromkeys(UNDOCUMENTED, "failed")
    assert len(upstream.requests) == len(UNDOCUMENTED)


@pytest.mark.parametrize("failed", SENSELESS, ids=str)
@pytest.mark.parametrize(
    ("tool", "argument"),
    [("import_events", "events"), ("update_multiple_profiles", "properties_to_update")],
)
async def test_failed_records_that_make_no_sense_blame_no_other_record(
    connect: Connect, upstream: Upstream, tool: str, argument: str, failed: Any
) -> None:
    """Something was not accepted, so it is no success; but no other row may be named for it."""
    body = {
        "code": 400,
        "error": "some data points in the request failed validation",
        "status": 0,
        "num_records_imported": 1,
        "failed_records": failed,
    }
    upstream.default = Reply(400 if tool == "import_events" else 200, json=body)
    records: list[Any] = dict(EVERY_WRITE)[tool][argument]

    async with connect() as tools:
        answer = await tools.call(tool, **{argument: records * 2})

    assert ending(answer) in {"partial", "failed"}
    indices = [row["index"] for row in answer.data.get("rejected", [])]
    assert set(indices) <= {0, 1}


@every_redirectable
async def test_a_redirect_is_sent_on_never_followed_and_its_outcome_unknown(
    connect: Connect, upstream: Upstream, tool: str, arguments: dict[str, Any]
) -> None:
    redirect = f"{upstream.url}/thanks"
    upstream.on("/track", Reply(302, headers={"location": redirect}))
    upstream.on("/engage", Reply(302, headers={"location": redirect}))

    async with connect() as tools:
        answer = await tools.call(tool, **arguments, redirect=redirect, confirm=True)

    assert (answer.status, answer.is_error) == ("failed", True)
    assert "unknown" in answer.text
    (request,) = upstream.requests
    assert ("redirect", redirect) in request.query


@every_write
async def test_nobody_is_followed_anywhere(
    connect: Connect, upstream: Upstream, tool: str, arguments: dict[str, Any]
) -> None:
    """A redirect nobody asked for could carry credentials and data to another host."""
    statuses = [301, 303, 307, 308]

    async with connect() as tools:
        for status in statuses:
            upstream.default = Reply(status, headers={"location": f"{upstream.url}/elsewhere"})
            assert ending(await tools.call(tool, **arguments, confirm=True)) == "failed"

    assert upstream.to("/elsewhere") == []
    assert len(upstream.requests) == len(statuses)


async def test_a_pixel_says_nothing_of_what_became_of_the_events(
    connect: Connect, upstream: Upstream
) -> None:
    upstream.on("/track", Reply(body=b"GIF89a", headers={"content-type": "image/gif"}))
    _, arguments = EVERY_WRITE[0]

    async with connect() as tools:
        answer = await tools.call("track_events", **arguments, img=True)

    assert (answer.status, answer.is_error) == ("failed", True)
    assert "img" in answer.text
    assert len(upstream.requests) == 1


@every_write
async def test_wrong_arguments_are_answered_with_the_right_names(
    connect: Connect, upstream: Upstream, tool: str, arguments: dict[str, Any]
) -> None:
    async with connect() as tools:
        answer = await tools.call(tool, **arguments, regoin="eu", verbos=True)

    assert (answer.status, answer.is_error) == ("refused", True)
    assert "did you mean region?" in answer.text
    assert upstream.requests == []
