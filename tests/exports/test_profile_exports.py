"""All profiles into an export: page after page, within the hour's queries, and on from there."""

import json
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import pytest
from harness import Connect, Waits
from upstream import Received, Reply, Upstream

PATH = "/api/query/engage"
PAGE = 10


class Profiles:
    """So many profiles in pages of ten; a session per listing."""

    def __init__(self, count: int) -> None:
        self.count = count
        self.asked: list[tuple[int, str | None]] = []
        self.fault: dict[int, Reply] = {}
        self.session = "s-1"

    def __call__(self, request: Received) -> Reply:
        fields = {name: values[0] for name, values in parse_qs(request.body.decode()).items()}
        page = int(fields.get("page", "0"))
        self.asked.append((page, fields.get("session_id")))
        if page in self.fault:
            return self.fault.pop(page)
        first = page * PAGE
        found = [
            {"$distinct_id": f"u{n}", "$properties": {"plan": "pro" if n % 2 else "free", "n": n}}
            for n in range(first, min(first + PAGE, self.count))
        ]
        return Reply(
            json={
                "page": page,
                "page_size": PAGE,
                "session_id": self.session,
                "status": "ok",
                "total": self.count,
                "results": found,
            }
        )


def profiles_of(folder: str) -> list[dict[str, Any]]:
    files = sorted(Path(folder).rglob("page-*.ndjson"))
    return [json.loads(line) for file in files for line in file.read_text().splitlines()]


def ids(folder: str) -> list[str]:
    return [each["$distinct_id"] for each in profiles_of(folder)]


async def test_every_page_is_fetched_once_and_can_be_asked(
    connect: Connect, upstream: Upstream, tmp_path: Path
) -> None:
    upstream.default = pages = Profiles(25)

    async with connect(files_root=tmp_path) as tools:
        answer = await tools.call("query_profiles", to_file=True, where='properties["n"] > -1')
        asked = await tools.call(
            "query_export",
            id=answer.data["id"],
            sql="SELECT properties->>'plan' AS plan, count(*) FROM profiles GROUP BY 1 ORDER BY 1",
        )
        described = await tools.call("describe_export", id=answer.data["id"])
        again = await tools.call("query_profiles", to_file=True, where='properties["n"] > -1')

    assert (answer.status, answer.data["records"]) == ("ok", 25)
    assert ids(answer.data["path"]) == [f"u{n}" for n in range(25)]
    assert pages.asked == [(0, None), (1, "s-1"), (2, "s-1")]
    assert asked.data["rows"] == [["free", 13], ["pro", 12]]
    assert described.data["records"] == 25
    assert "cost no query" in again.notes


async def test_no_profile_is_an_export_of_none(
    connect: Connect, upstream: Upstream, tmp_path: Path
) -> None:
    upstream.default = Profiles(0)
    async with connect(files_root=tmp_path) as tools:
        answer = await tools.call("query_profiles", to_file=True)
        asked = await tools.call(
            "query_export", id=answer.data["id"], sql="SELECT count(*) FROM profiles"
        )
    assert (answer.status, answer.data["records"]) == ("ok", 0)
    assert asked.data["rows"] == [[0]]


async def test_an_hour_without_queries_stops_it_and_the_same_call_goes_on(
    connect: Connect, upstream: Upstream, tmp_path: Path
) -> None:
    waits = Waits()
    upstream.default = pages = Profiles(65 * PAGE - 5)

    async with connect(files_root=tmp_path, pacing=waits.pacing()) as tools:
        first = await tools.call("query_profiles", to_file=True)
        waits.pass_time(3_700)
        second = await tools.call("query_profiles", to_file=True)

    assert (first.status, first.data["records"]) == ("partial", 60 * PAGE)
    assert first.data["next_slot"]
    assert (second.status, second.data["records"]) == ("ok", pages.count)
    assert [page for page, _ in pages.asked] == list(range(65))
    assert len(set(ids(second.data["path"]))) == pages.count


async def test_a_session_that_mixpanel_forgot_begins_anew(
    connect: Connect, upstream: Upstream, tmp_path: Path
) -> None:
    upstream.default = pages = Profiles(25)
    forgotten = Reply(status=400, json={"error": "request for page in uncached query for params"})
    pages.fault = {1: Reply(status=403, json={"error": "not now"})}

    async with connect(files_root=tmp_path) as tools:
        first = await tools.call("query_profiles", to_file=True)
        pages.fault, pages.session = {1: forgotten}, "s-2"
        second = await tools.call("query_profiles", to_file=True)

    assert first.status == "partial"
    assert (second.status, ids(second.data["path"])) == ("ok", [f"u{n}" for n in range(25)])
    assert pages.asked[-3:] == [(0, None), (1, "s-2"), (2, "s-2")]


@pytest.mark.parametrize("given", [{"page": 2, "session_id": "s"}, {"session_id": "s"}])
async def test_a_page_and_all_pages_exclude_each_other(
    connect: Connect, upstream: Upstream, tmp_path: Path, given: dict[str, Any]
) -> None:
    async with connect(files_root=tmp_path) as tools:
        answer = await tools.call("query_profiles", to_file=True, **given)
    assert answer.status == "refused"
    assert upstream.requests == []


async def test_events_and_profiles_are_asked_together(
    connect: Connect, upstream: Upstream, tmp_path: Path
) -> None:
    event = {"event": "E", "properties": {"time": 1_767_225_600_000, "distinct_id": "u1"}}
    upstream.always("/api/2.0/export", Reply(body=json.dumps(event).encode() + b"\n"))
    upstream.default = Profiles(3)
    days = {"from_date": "2026-01-01", "to_date": "2026-01-01"}

    async with connect(files_root=tmp_path) as tools:
        events = await tools.call("download_data", **days, format="ndjson")
        profiles = await tools.call("query_profiles", to_file=True)
        both = {"id": events.data["id"], "profiles_id": profiles.data["id"]}
        asked = await tools.call(
            "query_export",
            **both,
            sql="SELECT event, p.properties->>'plan' FROM events JOIN profiles p"
            " USING (distinct_id)",
        )
        report = await tools.call(
            "analyze_export", **both, report="segmentation", event="E", on='user["plan"]'
        )
        wrong = await tools.call(
            "query_export", id=both["id"], profiles_id=both["id"], sql="SELECT 1"
        )

    assert asked.data["rows"] == [["E", "pro"]]
    assert report.data["data"]["values"] == {"pro": {"2026-01-01": 1}}
    assert wrong.status == "refused"
