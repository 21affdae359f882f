"""One line for each call that writes, or tried to; nothing of what it held."""

import json
import logging
import stat
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from doors import LAST_WINTER, READS, SUCCESS, TYPED_DOORS, every_door
from harness import Connect, Era, Person
from upstream import Drop, Reply, Upstream

EVENT = {"event": "Secret plan", "properties": {"distinct_id": "ada", "note": "5ec-ret"}}
DELETE: dict[str, Any] = {"delete_profiles": ["ada", "bob"]}


def lines_of(audit: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in audit.read_text(encoding="utf-8").splitlines()]


async def test_a_write_leaves_a_line_that_finds_it_again(
    connect: Connect, upstream: Upstream, tmp_path: Path, era: Era
) -> None:
    upstream.default = SUCCESS
    audit = tmp_path / "audit.jsonl"
    began = datetime.now(UTC)

    async with connect(era=era, audit_log=audit) as tools:
        await tools.call("track_events", events=[EVENT, EVENT], region="eu")

    (line,) = lines_of(audit)
    moment = datetime.fromisoformat(line.pop("time"))
    assert -1 < (moment - began).total_seconds() < 60
    assert len(line.pop("arguments_digest")) >= 32
    assert line == {
        "tool": "track_events",
        "connection": "default",
        "project": 4242,
        "region": "eu",
        "effect": "ADDS",
        "count": 2,
        "confirmed": "not needed",
        "outcome": "ok",
    }


async def test_the_line_says_who_agreed(
    connect: Connect, upstream: Upstream, tmp_path: Path
) -> None:
    upstream.default = SUCCESS
    audit = tmp_path / "audit.jsonl"

    async with connect(audit_log=audit) as tools:
        await tools.call("delete_profile", **DELETE)
        await tools.call("delete_profile", **DELETE, confirm=True)
    async with connect(audit_log=audit, confirmation="human") as tools:
        await tools.call("delete_profile", **DELETE, confirm=True)
    for person in (Person("decline"), Person()):
        async with connect(audit_log=audit, era="legacy", person=person) as tools:
            await tools.call("delete_profile", **DELETE, confirm=True)

    lines = lines_of(audit)
    assert [(line["confirmed"], line["outcome"].split(":")[0]) for line in lines] == [
        ("missing", "confirmation_required"),
        ("by flag", "ok"),
        ("nobody to ask", "refused"),
        ("declined", "refused"),
        ("by a person", "ok"),
    ]
    assert {(line["effect"], line["count"]) for line in lines} == {("IRREVERSIBLE", 2)}
    assert len({line["arguments_digest"] for line in lines}) == 1


async def test_the_digest_tells_other_arguments_apart(
    connect: Connect, upstream: Upstream, tmp_path: Path
) -> None:
    upstream.default = SUCCESS
    audit = tmp_path / "audit.jsonl"

    async with connect(audit_log=audit) as tools:
        for ids in (["ada"], ["eve"], ["ada"]):
            await tools.call("delete_profile", delete_profiles=ids)

    first, other, same = (line["arguments_digest"] for line in lines_of(audit))
    assert first == same != other


@every_door
async def test_each_door_leaves_one_line_when_it_stays_shut_and_one_when_it_opens(
    connect: Connect, upstream: Upstream, tmp_path: Path, door: Any
) -> None:
    upstream.default = SUCCESS
    audit = tmp_path / "audit.jsonl"

    async with connect(audit_log=audit) as tools:
        await tools.call(door.tool, **door.arguments)
        await tools.call(door.tool, **door.arguments, confirm=True)

    lines = lines_of(audit)
    assert [line["outcome"] for line in lines] == ["confirmation_required", "ok"]
    assert {line["tool"] for line in lines} == {door.tool}
    assert {line["effect"] for line in lines} == {"IRREVERSIBLE"}
    assert all(line["count"] >= 1 for line in lines)


@pytest.mark.parametrize(
    ("tool", "arguments", "policy"),
    [
        ("track_events", {"events": [{"event": 5}]}, {}),
        ("track_events", {"evnets": []}, {}),
        ("create_profile", {"properties": [{"$distinct_id": "a", "$token": "foreign"}]}, {}),
        ("raw_request", {"url": "/engage", "method": "POST", "data": {}}, {"read_only": True}),
        ("raw_request", {"url": "//evil", "method": "DELETE"}, {}),
        ("create_generic_pipeline", {"form_data": {"type": "s3-raw", "s3_bucket": "evil"}},
         {"allowed_destinations": ("s3://lake",)}),
    ],
)  # fmt: skip
async def test_a_refused_write_leaves_a_line_too(
    connect: Connect,
    upstream: Upstream,
    tmp_path: Path,
    *,
    tool: str,
    arguments: dict[str, Any],
    policy: dict[str, Any],
) -> None:
    audit = tmp_path / "audit.jsonl"

    async with connect(audit_log=audit, **policy) as tools:
        answer = await tools.call(tool, **arguments, confirm=True)

    assert answer.status == "refused"
    (line,) = lines_of(audit)
    assert line["tool"] == tool
    assert line["outcome"].startswith("refused")
    assert line["effect"] != "READS"
    assert upstream.requests == []


@pytest.mark.parametrize("answer", [Drop(), Reply(500), Reply(401), Reply(200, body="0")])
async def test_a_failed_write_leaves_a_line_too(
    connect: Connect, upstream: Upstream, tmp_path: Path, answer: Any
) -> None:
    upstream.default = answer
    audit = tmp_path / "audit.jsonl"

    async with connect(audit_log=audit) as tools:
        await tools.call("track_events", events=[EVENT])

    (line,) = lines_of(audit)
    assert line["outcome"].startswith("failed")


async def test_reads_leave_none(connect: Connect, upstream: Upstream, tmp_path: Path) -> None:
    audit = tmp_path / "audit.jsonl"
    upstream.on("/api/query/funnels/list", Reply(json=[]), Reply(401))

    async with connect(audit_log=audit) as tools:
        await tools.call("list_saved_funnels")
        await tools.call("list_saved_funnels")
        await tools.call("list_saved_funnels", unknown=1)
        await tools.call("query_profiles")
        for read in READS:
            await tools.call("raw_request", **read)

    assert lines_of(audit) == []


async def test_nothing_of_the_arguments_is_in_the_trail(
    connect: Connect, upstream: Upstream, tmp_path: Path
) -> None:
    audit = tmp_path / "audit.jsonl"
    upstream.default = Reply(400, json={"error": "upstream words"})

    async with connect(audit_log=audit) as tools:
        for door in TYPED_DOORS:
            await tools.call(door.tool, **door.arguments, confirm=True)
        await tools.call("track_events", events=[EVENT])
        await tools.call("raw_request", url="/my-path?q=my-query", method="PUT", data="my-body")

    trail = audit.read_text(encoding="utf-8")
    held = (
        "ada",
        "Secret plan",
        "5ec-ret",
        "lake",
        "p-1",
        "Signed up",
        "upstream",
        "my-",
        str(LAST_WINTER),
    )
    assert [word for word in held if word in trail] == []


async def test_the_trail_is_its_owners_alone_and_grows(
    connect: Connect, upstream: Upstream, tmp_path: Path
) -> None:
    upstream.default = SUCCESS
    audit = tmp_path / "audit.jsonl"

    for _ in range(2):
        async with connect(audit_log=audit) as tools:
            await tools.call("track_events", events=[EVENT])

    assert stat.S_IMODE(audit.stat().st_mode) == 0o600
    assert len(lines_of(audit)) == 2


async def test_a_link_in_the_place_of_the_trail_stops_the_start(
    connect: Connect, tmp_path: Path
) -> None:
    target = tmp_path / "target"
    target.write_text("untouched", encoding="utf-8")
    (tmp_path / "audit.jsonl").symlink_to(target)

    with pytest.raises(OSError, match=r"symbolic links|audit"):
        async with connect(audit_log=tmp_path / "audit.jsonl"):
            pass

    assert target.read_text(encoding="utf-8") == "untouched"


async def test_a_trail_that_was_turned_into_a_link_is_not_followed(
    connect: Connect,
    upstream: Upstream,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The call has happened; its line goes to the log instead of somebody's file."""
    upstream.default = SUCCESS
    audit, target = tmp_path / "audit.jsonl", tmp_path / "target"
    target.write_text("untouched", encoding="utf-8")

    async with connect(audit_log=audit) as tools:
        audit.unlink()
        audit.symlink_to(target)
        answer = await tools.call("track_events", events=[EVENT])

    assert answer.status == "ok"
    assert target.read_text(encoding="utf-8") == "untouched"
    assert "track_events" in caplog.text


async def test_without_a_file_the_trail_goes_to_the_log(
    connect: Connect, upstream: Upstream, caplog: pytest.LogCaptureFixture
) -> None:
    upstream.default = SUCCESS
    caplog.set_level(logging.INFO, logger="mixpanel_mcp.audit")

    async with connect() as tools:
        await tools.call("track_events", events=[EVENT])

    records = [record for record in caplog.records if record.name == "mixpanel_mcp.audit"]
    assert [json.loads(record.getMessage())["outcome"] for record in records] == ["ok"]
