"""Every way in which a page of profiles can fail: the same call goes on, and each comes once."""

import gzip
import json
from pathlib import Path
from urllib.parse import parse_qs

import pytest
from days import GZIP, leftovers, read
from harness import Connect
from upstream import Answer, Drop, Hang, Received, Reply, Upstream

PATH = "/api/query/engage"
PAGE, COUNT = 10, 35


def listing(page: int) -> dict[str, object]:
    numbers = range(page * PAGE, min((page + 1) * PAGE, COUNT))
    found = [{"$distinct_id": f"u{n}", "$properties": {"n": n}} for n in numbers]
    told = {"page": page, "page_size": PAGE, "session_id": "s-1", "status": "ok", "total": COUNT}
    return {**told, "results": found}


def answered(request: Received) -> Reply:
    return Reply(json=listing(int(parse_qs(request.body.decode()).get("page", ["0"])[0])))


WHOLE = json.dumps(listing(1)).encode()

FAULTS: dict[str, Answer] = {
    "no answer": Drop(),
    "a stall": Hang(),
    "cut": Reply(body=WHOLE[:99], cut=True),
    "half a document": Reply(body=WHOLE[:99]),
    "a longer content-length": Reply(body=WHOLE, length=len(WHOLE) + 9),
    "a shorter content-length": Reply(body=WHOLE, length=len(WHOLE) - 9),
    "no trailer": Reply(body=gzip.compress(WHOLE)[:-8], headers=GZIP),
    "a wrong checksum": Reply(body=gzip.compress(WHOLE)[:-8] + b"12345678", headers=GZIP),
    "429": Reply(429, json={"error": "slow"}, headers={"retry-after": "3"}),
    "500": Reply(500, body="no"),
    "401": Reply(401, json={"error": "no"}),
    "413": Reply(413),
    "html": Reply(body="<html>"),
    "an error in a 200": Reply(json={"error": "query failed", "status": "error"}),
}


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS)
async def test_a_page_that_fails_is_not_missing_at_the_end(
    connect: Connect, upstream: Upstream, tmp_path: Path, fault: Answer
) -> None:
    upstream.on(PATH, answered, fault)
    upstream.default = answered

    seconds = 1 if isinstance(fault, Hang) else 60
    async with connect(files_root=tmp_path, read_seconds=60, export_seconds=seconds) as tools:
        first = await tools.call("query_profiles", to_file=True)
        answer = await tools.call("query_profiles", to_file=True)

    assert first.status in {"ok", "partial"}
    assert first.structured["complete"] is (first.status == "ok")
    assert (answer.status, answer.data["records"]) == ("ok", COUNT)
    manifest = json.loads((Path(answer.data["path"]) / "manifest.json").read_text())
    found = [
        profile["$distinct_id"]
        for each in manifest["slices"]
        for profile in read(Path(answer.data["path"]) / each["file"])
    ]
    assert found == [f"u{number}" for number in range(COUNT)]
    assert leftovers(tmp_path) == []


async def test_a_listing_that_begins_anew_leaves_no_page_of_the_old_one(
    connect: Connect, upstream: Upstream, tmp_path: Path
) -> None:
    """Who reads all files of the folder would count profiles twice."""
    forgotten = Reply(400, json={"error": "request for page in uncached query for params"})
    upstream.on(PATH, answered, answered, answered, Reply(401, json={"error": "no"}), forgotten)
    upstream.default = Reply(json={**listing(3), "page": 0})

    async with connect(files_root=tmp_path) as tools:
        first = await tools.call("query_profiles", to_file=True)
        second = await tools.call("query_profiles", to_file=True)

    assert (first.status, first.data["pages"]) == ("partial", 3)
    assert (second.status, second.data["records"]) == ("ok", COUNT % PAGE)
    pages = [name for name in _names(tmp_path) if name.startswith("page-")]
    assert pages == ["page-000000.ndjson"]


def _names(folder: Path) -> list[str]:
    return [path.name for path in folder.rglob("*")]
