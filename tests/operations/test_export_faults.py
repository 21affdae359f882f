"""Exports that break: the answer is an error that says what is there and what is missing."""

import gzip
import json
from pathlib import Path
from typing import Any

import pytest
from harness import CANARY_PASSWORD, Connect, Era
from upstream import Drop, Hang, Reply, Upstream

PATH = "/api/2.0/export"
DAYS: dict[str, Any] = {"from_date": "2026-01-01", "to_date": "2026-01-02"}


def lines(count: int) -> bytes:
    return b"".join(
        b'{"event":"Bought","properties":{"time":%d,"distinct_id":"u%d"}}\n'
        % (1_767_225_600 + number, number)
        for number in range(count)
    )


def files_in(folder: Path) -> list[Path]:
    return list(folder.iterdir())


def zipped_half(body: bytes) -> bytes:
    packed = gzip.compress(body)
    return packed[: len(packed) // 2]


GZIP = {"content-encoding": "gzip"}

# Three whole events, and then each of the ways in which an export ends wrongly.
BROKEN = {
    "terminated-early": Reply(body=lines(3) + b"terminated early\n"),
    "terminated-early-unended": Reply(body=lines(3) + b"terminated early"),
    "no-json": Reply(body=lines(3) + b"<html>oops</html>\n" + lines(1)),
    "no-event": Reply(body=lines(3) + b'{"event":5,"properties":{}}\n'),
    "no-properties": Reply(body=lines(3) + b'{"event":"Bought"}\n'),
    "an-error-at-the-end": Reply(body=lines(3) + b'{"error":"query failed"}\n'),
    "last-line-cut": Reply(body=lines(4)[:-20]),
    "no-text": Reply(body=lines(3) + b'{"event":"\xff\xfe","properties":{}}\n'),
    "deeply-nested": Reply(body=lines(3) + b"[" * 100_000 + b"\n"),
    "connection-cut": Reply(pieces=[lines(3), lines(1)[:10]], cut=True),
    "connection-cut-between-lines": Reply(pieces=[lines(2), lines(1)], cut=True),
    "gzip-damaged": Reply(pieces=[gzip.compress(lines(3)), b"not gzip at all"], headers=GZIP),
}
every_break = pytest.mark.parametrize("broken", BROKEN.values(), ids=BROKEN)


@every_break
async def test_a_broken_export_is_an_error_that_counts_what_came(
    connect: Connect, upstream: Upstream, broken: Reply
) -> None:
    upstream.default = broken

    async with connect() as tools:
        answer = await tools.call("download_data", **DAYS)

    assert (answer.status, answer.is_error) == ("failed", True)
    assert answer.structured["complete"] is False
    assert answer.data["events_received"] == 3
    assert "The export is incomplete" in answer.text
    assert "missing" in answer.text
    assert len(upstream.requests) == 1


@pytest.mark.parametrize(
    "ending", [b"terminated early\n", b"{", b'{"error":"x"}\n', b"not json\n" + lines(1)]
)
async def test_what_came_stays_in_a_file_that_says_it_is_incomplete(
    connect: Connect, upstream: Upstream, tmp_path: Path, era: Era, ending: bytes
) -> None:
    upstream.default = Reply(body=lines(700) + ending)

    async with connect(era=era, files_root=tmp_path) as tools:
        answer = await tools.call("download_data", **DAYS)

    (file,) = files_in(tmp_path)
    assert ".incomplete" in file.name
    assert (answer.status, answer.is_error) == ("failed", True)
    assert answer.data["events_received"] == 700
    assert answer.data["incomplete_file"] == str(file)
    assert file.name in answer.text
    assert file.read_bytes() == lines(700)


async def test_a_lost_connection_keeps_the_file_of_what_came(
    connect: Connect, upstream: Upstream, tmp_path: Path
) -> None:
    upstream.default = Reply(pieces=[lines(400), lines(401)[len(lines(400)) :][:-5]], cut=True)

    async with connect(files_root=tmp_path) as tools:
        answer = await tools.call("download_data", **DAYS)

    (file,) = files_in(tmp_path)
    assert answer.data["events_received"] == 400
    assert answer.data["incomplete_file"] == str(file)
    assert len(answer.data["first_events"]) == 20
    assert file.read_bytes() == lines(400)


async def test_gzip_that_ends_early_is_noticed_though_the_transfer_is_whole(
    connect: Connect, upstream: Upstream
) -> None:
    """Only gzip's own trailer tells; the length of the transfer says that all is well."""
    body = b"".join(
        json.dumps({"event": "E", "properties": {"time": n, "x": n * 7919 % 10007}}).encode()
        + b"\n"
        for n in range(150)
    )
    upstream.default = Reply(body=zipped_half(body), headers=GZIP)

    async with connect() as tools:
        answer = await tools.call("download_data", **DAYS)

    assert (answer.status, answer.is_error) == ("failed", True)
    assert "incomplete" in answer.text
    assert 0 < answer.data["events_received"] < 150


async def test_gzip_without_its_trailer_is_incomplete_though_every_line_is_there(
    connect: Connect, upstream: Upstream
) -> None:
    upstream.default = Reply(body=gzip.compress(lines(3))[:-8], headers=GZIP)

    async with connect() as tools:
        answer = await tools.call("download_data", **DAYS)

    assert (answer.status, answer.data["events_received"]) == ("failed", 3)


async def test_the_error_names_the_time_of_the_last_whole_event(
    connect: Connect, upstream: Upstream
) -> None:
    upstream.default = Reply(body=lines(3) + b"terminated early")

    async with connect() as tools:
        answer = await tools.call("download_data", **DAYS)

    assert "2026-01-01T00:00:02" in answer.text
    assert "terminated early" in answer.text


@pytest.mark.parametrize("time", ["1e300", "-1e300", "1e999", "true", '"soon"', "null", "1e14"])
async def test_an_odd_time_in_the_last_event_does_not_hide_the_break(
    connect: Connect, upstream: Upstream, time: str
) -> None:
    """The time is a stranger's value: whoever sends one could else make every export crash."""
    odd = f'{{"event":"Bought","properties":{{"time":{time}}}}}\n'
    upstream.default = Reply(body=odd.encode() + b"terminated early")

    async with connect() as tools:
        answer = await tools.call("download_data", **DAYS)

    assert answer.status == "failed"
    assert answer.data["events_received"] == 1


@pytest.mark.parametrize("value", ["1e999", "-1e999", "NaN", '"\\ud800"', "9" * 400])
async def test_an_odd_value_in_an_event_does_not_stop_the_export(
    connect: Connect, upstream: Upstream, value: str
) -> None:
    odd = f'{{"event":"Bought","properties":{{"time":1,"x":{value}}}}}\n'
    upstream.default = Reply(body=odd.encode() + lines(1))

    async with connect() as tools:
        answer = await tools.call("download_data", **DAYS)

    assert (answer.status, answer.data["count"]) == ("ok", 2)


@pytest.mark.parametrize(
    "reply",
    [
        Reply(json={"error": "too many export requests in progress for this project"}),
        Reply(body=b"terminated early\n"),
        Reply(body="<html>busy</html>", headers={"content-type": "text/html"}),
        Reply(body=b"[]"),
        Reply(body=gzip.compress(b"")[:-4], headers=GZIP),
        Reply(body=b"x", headers={"content-encoding": "br"}),
        Reply(pieces=[b'{"event":'], cut=True),
    ],
    ids=["error-object", "terminated", "html", "list", "gzip", "brotli", "cut"],
)
async def test_a_200_without_a_single_event_can_be_a_failure(
    connect: Connect, upstream: Upstream, tmp_path: Path, reply: Reply
) -> None:
    upstream.default = reply

    async with connect(files_root=tmp_path) as tools:
        answer = await tools.call("download_data", **DAYS)

    assert (answer.status, answer.is_error) == ("failed", True)
    assert answer.structured["complete"] is False
    assert files_in(tmp_path) == []


@pytest.mark.parametrize(
    ("reply", "words"),
    [
        (Reply(400, body="to_date cannot be later than today"), "change the arguments"),
        (Reply(401, json={"error": "Unable to authenticate", "status": "error"}), "MIXPANEL_"),
        (Reply(403, json={"error": "Date range exceeds 30 days into the past"}), "further back"),
        (Reply(404, body="<html>not found</html>"), "does not exist"),
    ],
    ids=["400", "401", "403", "404"],
)
async def test_a_refusal_is_asked_once_with_mixpanels_own_words(
    connect: Connect, upstream: Upstream, reply: Reply, words: str
) -> None:
    upstream.default = reply

    async with connect() as tools:
        answer = await tools.call("download_data", **DAYS)

    assert (answer.status, answer.data["http_status"]) == ("failed", reply.status)
    assert words in answer.text
    assert "<html>" not in answer.text
    if reply.status == 400:
        assert answer.data["mixpanel_says"] == "to_date cannot be later than today"
    assert len(upstream.requests) == 1
    assert CANARY_PASSWORD not in answer.text


@pytest.mark.parametrize(
    "fault", [Reply(429, json={"error": "too many"}), Reply(502, body="<html>"), Drop()]
)
async def test_an_export_that_did_not_begin_is_asked_for_again(
    connect: Connect, upstream: Upstream, fault: Reply | Drop
) -> None:
    upstream.on(PATH, fault, fault)
    upstream.default = Reply(body=lines(2))

    async with connect() as tools:
        answer = await tools.call("download_data", **DAYS)

    assert (answer.status, answer.data["count"]) == ("ok", 2)
    assert len(upstream.requests) == 3


async def test_a_redirect_is_not_followed(connect: Connect, upstream: Upstream) -> None:
    upstream.on(PATH, Reply(302, headers={"location": f"{upstream.url}/elsewhere"}))

    async with connect() as tools:
        answer = await tools.call("download_data", **DAYS)

    assert answer.status == "failed"
    assert [request.path for request in upstream.requests] == [PATH]


async def test_an_export_that_never_answers_ends_at_its_own_deadline(
    connect: Connect, upstream: Upstream
) -> None:
    upstream.default = Hang()

    async with connect(export_seconds=0.8, read_seconds=3600) as tools:
        answer = await tools.call("download_data", **DAYS)

    assert (answer.status, answer.is_error) == ("failed", True)
    assert len(upstream.requests) == 2


@pytest.mark.parametrize("missing", ["username", "password", "project_id"])
async def test_without_credentials_nothing_is_asked(
    connect: Connect, upstream: Upstream, missing: str
) -> None:
    async with connect(connection={missing: None}) as tools:
        answer = await tools.call("download_data", **DAYS)

    assert answer.status == "refused"
    assert f"MIXPANEL_{missing.upper()}" in answer.text
    assert upstream.requests == []
