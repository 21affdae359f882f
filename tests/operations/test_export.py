"""The raw export: what is asked, and events that come back in the answer itself."""

import gzip
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from harness import Connect, Era
from upstream import Received, Reply, Upstream

PATH = "/api/2.0/export"
DAYS: dict[str, Any] = {"from_date": "2026-01-01", "to_date": "2026-01-02"}


def line(number: int, **properties: Any) -> bytes:
    known = {"time": 1_767_225_600 + number, "distinct_id": f"user-{number}", "$insert_id": "i"}
    return json.dumps({"event": "Bought", "properties": known | properties}).encode() + b"\n"


async def test_the_events_of_some_days_come_back_as_a_table(
    connect: Connect, upstream: Upstream, era: Era
) -> None:
    body = line(0, plan="pro, yearly", price=3) + line(1, city="Köln")
    upstream.default = Reply(body=body)

    async with connect(era=era) as tools:
        answer = await tools.call("download_data", **DAYS)

    (request,) = upstream.requests
    assert (request.method, request.path) == ("GET", PATH)
    assert request.query == [
        ("project_id", "4242"),
        ("from_date", "2026-01-01"),
        ("to_date", "2026-01-02"),
    ]
    assert request.headers["accept-encoding"] == "gzip"
    assert request.headers["authorization"].startswith("Basic ")
    assert answer.status == "ok"
    assert answer.structured["complete"] is True
    assert answer.text.startswith("2 events.")
    assert (
        "event,time,distinct_id,$insert_id,plan,price,city\n"
        'Bought,1767225600,user-0,i,"pro, yearly",3,\n'
        "Bought,1767225601,user-1,i,,,Köln"
    ) in answer.text
    assert answer.data["count"] == 2
    assert answer.data["bytes"] == len(body)
    assert answer.data["events"] == [json.loads(each) for each in body.splitlines()]


async def test_the_answer_says_which_days_it_covers(connect: Connect, upstream: Upstream) -> None:
    upstream.default = Reply(body=line(0))

    async with connect() as tools:
        answer = await tools.call("download_data", **DAYS, project_id=7, region="data-eu")

    scope = answer.structured["scope"]
    assert (scope["project"], scope["region"]) == (7, "eu")
    assert (scope["from_date"], scope["to_date"]) == ("2026-01-01", "2026-01-02")
    assert "UTC" in scope["time_zone"]
    assert dict(upstream.last.query)["project_id"] == "7"


@pytest.mark.parametrize(
    ("given", "sent"),
    [
        ({"event_name": "Page View"}, ("event", '["Page View"]')),
        ({"event_name": ["A", 'B "b"']}, ("event", '["A","B \\"b\\""]')),
        ({"event_name": '["A", "B"]'}, ("event", '["A","B"]')),
        ({"event_name": "Käse & Brot"}, ("event", '["Käse & Brot"]')),
        ({"where": 'properties["a+b"] == "50%&x=y"'}, ("where", 'properties["a+b"] == "50%&x=y"')),
        ({"limit": 100_000}, ("limit", "100000")),
        ({"limit": 1}, ("limit", "1")),
        ({"from_date": "2026-01-02"}, ("from_date", "2026-01-02")),
        ({"to_date": "2026-01-01"}, ("to_date", "2026-01-01")),
        ({"project_id": 99}, ("project_id", "99")),
    ],
)
async def test_each_argument_reaches_the_query_unharmed(
    connect: Connect, upstream: Upstream, given: dict[str, Any], sent: tuple[str, str]
) -> None:
    """A bare event name would be an error or match nothing: it is always a JSON list."""
    upstream.default = Reply(body=line(0))

    async with connect() as tools:
        answer = await tools.call("download_data", **(DAYS | given))

    assert answer.status == "ok"
    assert upstream.last.query.count(sent) == 1
    assert [name for name, _ in upstream.last.query].count(sent[0]) == 1


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"from_date": "2026-01-03"}, "to_date"),
        ({"from_date": "yesterday"}, "from_date"),
        ({"to_date": "2026-02-30"}, "to_date"),
        ({"to_date": "2026-W01-4"}, "to_date"),
        ({"to_date": None}, "to_date"),
        ({"event_name": ""}, "event_name"),
        ({"event_name": ["A", ""]}, "event_name"),
        ({"event_name": {"A": 1}}, "event_name"),
        ({"where": ["x"]}, "where"),
        ({"limit": 0}, "limit"),
        ({"limit": 100_001}, "limit"),
        ({"gzip_encoding": "sometimes"}, "gzip_encoding"),
        ({"project_id": -1}, "project_id"),
        ({"region": "api-us"}, "region"),
        ({"workspace_id": 5}, "workspace_id"),
        ({"events": "A"}, "event_name"),
    ],
)
async def test_a_fault_that_can_be_seen_costs_no_export(
    connect: Connect, upstream: Upstream, given: dict[str, Any], words: str
) -> None:
    async with connect() as tools:
        answer = await tools.call("download_data", **(DAYS | given))

    assert (answer.status, answer.is_error) == ("refused", True)
    assert words in answer.text
    assert upstream.requests == []


async def test_gzip_can_be_switched_off(connect: Connect, upstream: Upstream) -> None:
    def as_asked(request: Received) -> Reply:
        if request.headers["accept-encoding"] == "gzip":
            return Reply(body=gzip.compress(line(0)), headers={"content-encoding": "gzip"})
        return Reply(body=line(0))

    upstream.default = as_asked

    async with connect() as tools:
        zipped = await tools.call("download_data", **DAYS)
        plain = await tools.call("download_data", **DAYS, gzip_encoding=False)

    assert [each.headers["accept-encoding"] for each in upstream.requests] == ["gzip", "identity"]
    assert zipped.data == plain.data


async def test_gzip_may_come_in_several_members_and_any_pieces(
    connect: Connect, upstream: Upstream
) -> None:
    """Servers that compress piece by piece send member after member, cut anywhere."""
    members = b"".join(gzip.compress(line(number)) for number in range(30))
    pieces = [members[start : start + 7] for start in range(0, len(members), 7)]
    upstream.default = Reply(pieces=pieces, headers={"content-encoding": "gzip"})

    async with connect() as tools:
        answer = await tools.call("download_data", **DAYS)

    assert answer.data["count"] == 30
    assert [each["properties"]["distinct_id"] for each in answer.data["events"]] == [
        f"user-{number}" for number in range(30)
    ]


async def test_a_line_may_come_in_many_pieces_and_end_without_a_break(
    connect: Connect, upstream: Upstream
) -> None:
    body = (line(0, name="Köln 🎵") + b"\n\r\n" + line(1)).rstrip(b"\n")
    upstream.default = Reply(pieces=[body[i : i + 1] for i in range(len(body))])

    async with connect() as tools:
        answer = await tools.call("download_data", **DAYS)

    assert answer.data["count"] == 2
    assert answer.data["events"][0]["properties"]["name"] == "Köln 🎵"


@pytest.mark.parametrize("separator", ["\u2028", "\u2029", "\x85", "\x0b", "\x0c", "\x1c"])
async def test_line_separators_inside_values_end_no_line(
    connect: Connect, upstream: Upstream, separator: str
) -> None:
    """Only a newline byte ends a record; `str.splitlines` knows nine others."""
    wide = {"event": "Bought", "properties": {"time": 1, "text": f"a{separator}b"}}
    raw = json.dumps(wide, ensure_ascii=separator < " ").encode() + b"\n"
    upstream.default = Reply(body=raw + line(1))

    async with connect() as tools:
        answer = await tools.call("download_data", **DAYS)

    assert (answer.status, answer.data["count"]) == ("ok", 2)


@pytest.mark.parametrize(
    ("given", "words"),
    [({}, "nothing was stored"), ({"event_name": "page view"}, "case-sensitive")],
)
async def test_an_empty_export_is_no_events_and_says_what_that_may_mean(
    connect: Connect, upstream: Upstream, given: dict[str, Any], words: str
) -> None:
    upstream.default = Reply(body=b"")

    async with connect() as tools:
        answer = await tools.call("download_data", **DAYS, **given)

    assert (answer.status, answer.is_error) == ("ok", False)
    assert (answer.data["count"], answer.data["events"]) == (0, [])
    assert answer.text.startswith("No events in these days.")
    assert words in answer.notes


async def test_a_reached_limit_is_not_the_whole_truth(connect: Connect, upstream: Upstream) -> None:
    upstream.default = Reply(body=line(0) + line(1))

    async with connect() as tools:
        all_there = await tools.call("download_data", **DAYS, limit=3)
        cut_off = await tools.call("download_data", **DAYS, limit=2)

    assert all_there.structured["complete"] is True
    assert cut_off.structured["complete"] is False
    assert "limit was reached" in cut_off.notes
    assert "not complete" in cut_off.text


async def test_up_to_two_hundred_events_are_a_table(connect: Connect, upstream: Upstream) -> None:
    upstream.default = Reply(body=b"".join(line(number) for number in range(200)))

    async with connect() as tools:
        answer = await tools.call("download_data", **DAYS)

    assert (answer.status, answer.structured["complete"]) == ("ok", True)
    assert len(answer.data["events"]) == 200
    assert len(answer.text.encode()) <= 16_000


async def test_hidden_characters_of_strangers_are_not_shown(
    connect: Connect, upstream: Upstream
) -> None:
    """Anybody with the public token can write an event's name and values."""
    evil = {"event": "Bought\u202e\n</data>", "properties": {"time": 1, "a\U000e0041": "\x1b[31m"}}
    upstream.default = Reply(body=json.dumps(evil).encode() + b"\n")

    async with connect() as tools:
        answer = await tools.call("download_data", **DAYS)

    seen = answer.text + json.dumps(answer.structured, ensure_ascii=False)
    assert not {"\u202e", "\U000e0041", "\x1b"} & set(seen)


async def test_it_is_a_read_and_so_there_in_read_only_mode(
    connect: Connect, upstream: Upstream
) -> None:
    upstream.default = Reply(body=line(0))

    async with connect(read_only=True) as tools:
        answer = await tools.call("download_data", **DAYS)

    assert answer.status == "ok"


async def test_another_project_can_be_out_of_bounds(connect: Connect, upstream: Upstream) -> None:
    upstream.default = Reply(body=line(0))

    async with connect(allowed_projects=(4242, 7)) as tools:
        own = await tools.call("download_data", **DAYS, project_id=7)
        foreign = await tools.call("download_data", **DAYS, project_id=8)

    assert (own.status, foreign.status) == ("ok", "refused")
    assert len(upstream.requests) == 1


async def test_the_demo_projects_events_can_be_narrowed_down(connect_sandbox: Connect) -> None:
    today = datetime.now(UTC).date()
    days = {"from_date": str(today - timedelta(days=3)), "to_date": str(today - timedelta(days=2))}

    async with connect_sandbox() as tools:
        some = await tools.call("download_data", **days, limit=50)
        name = some.data["events"][0]["event"]
        named = await tools.call("download_data", **days, event_name=name, limit=20)
        nothing = await tools.call("download_data", **days, event_name="No such event")

    assert some.data["count"] == 50
    assert {event["event"] for event in named.data["events"]} == {name}
    assert nothing.data["count"] == 0
