"""The raw export: windows, filters, refusals, compression, and flat memory."""

from __future__ import annotations

import gzip
from typing import TYPE_CHECKING

import pytest
from sandbox_client import NOON, PROJECT_ID, event, update

from mixpanel_mcp.analytics.events import Event, add_events
from mixpanel_mcp.analytics.raw_export import export_lines

if TYPE_CHECKING:
    import httpx
    from sandbox_client import SandboxClient

DAY = 86_400


async def test_both_dates_are_inclusive(empty: SandboxClient) -> None:
    midnight = NOON - DAY // 2
    times = [midnight - 1, midnight, midnight + DAY - 1, midnight + DAY]
    await empty.import_events(*(event(time=time) for time in times))

    exported = await empty.exported(from_date="2026-03-09", to_date="2026-03-09")

    assert [each["properties"]["time"] for each in exported] == times[1:3]


async def test_names_and_limit_select(empty: SandboxClient) -> None:
    await empty.import_events(event("A"), event("B"), event("C"), event("A"))

    names = [each["event"] for each in await empty.exported(event='["A", "C"]')]
    limited = await empty.exported(limit="2")
    none = await empty.export(event='["a"]')

    assert names == ["A", "C", "A"]
    assert [each["event"] for each in limited] == ["A", "B"]
    assert (none.status_code, none.text) == (200, "")


async def test_text_survives_unharmed(empty: SandboxClient) -> None:
    """Line separators inside values are not line ends, and quotes stay quoted."""
    odd = 'a"b\\c\u2028\n\t\u0000é🎵'
    await empty.import_events(event(odd, distinct_id=odd, odd={odd: [odd]}))

    (exported,) = await empty.exported()

    assert exported["event"] == exported["properties"]["distinct_id"] == odd
    assert exported["properties"]["odd"] == {odd: [odd]}


@pytest.mark.parametrize(
    ("parameters", "error"),
    [
        ({"to_date": "2026-03-11"}, "to_date cannot be later than today"),
        ({"from_date": ""}, "Missing required parameter: from_date"),
        ({"to_date": "09/03/2026"}, "to_date must be a date in YYYY-MM-DD format"),
        ({"to_date": "2026-02-30"}, "to_date must be a date in YYYY-MM-DD format"),
        ({"from_date": "2026-03-10", "to_date": "2026-03-09"}, "cannot be later than to_date"),
        ({"event": "Song played"}, "event must be a JSON array of strings"),
        ({"event": '"Song played"'}, "event must be a JSON array of strings"),
        ({"limit": "100001"}, "limit cannot be over 100000"),
        ({"limit": "0"}, "limit must be at least 1"),
        ({"limit": "ten"}, "limit must be an integer"),
        ({"time_in_ms": "yes"}, "time_in_ms must be one of"),
        ({"where": 'properties["a"'}, "where is not a valid expression: expected `]` at column 15"),
        ({"where": 'properties["a"] and'}, "at column 20"),
        ({"where": "5"}, "where is not a valid expression: expected a condition"),
    ],
)
async def test_refusals_are_plain_text(
    empty: SandboxClient, parameters: dict[str, str], error: str
) -> None:
    answer = await empty.export(**parameters)

    assert answer.status_code == 400
    assert answer.headers["content-type"].startswith("text/plain")
    assert error in answer.text


async def test_where_selects(empty: SandboxClient) -> None:
    numbers = [event(**{"$insert_id": f"n-{n}", "n": n, "t": "x" * n}) for n in range(5)]
    await empty.import_events(*numbers)

    async def found(where: str) -> list[int]:
        return [each["properties"]["n"] for each in await empty.exported(where=where)]

    assert await found('properties["n"] > 2') == [3, 4]
    assert await found('"xx" in properties["t"] and properties["n"] < 4') == [2, 3]
    assert await found('event["$time"] < datetime("2026-03-09T00:00:00")') == []
    assert await found('properties["missing"] == 1') == []


async def test_where_may_ask_for_the_user(empty: SandboxClient) -> None:
    await empty.engage(update("ada", set={"plan": "pro"}))
    await empty.import_events(
        event(distinct_id="ada"), event(distinct_id="ben", **{"$insert_id": "song-2"})
    )

    (found,) = await empty.exported(where='user["plan"] == "pro"')

    assert found["properties"]["distinct_id"] == "ada"


async def test_merged_ids_are_exported_as_one(empty: SandboxClient) -> None:
    await empty.import_events(
        event(distinct_id="ada"),
        event(distinct_id="a@example.com", **{"$insert_id": "song-2"}),
        {"event": "$merge", "properties": {"$distinct_ids": ["ada", "a@example.com"]}},
    )

    first, second = await empty.exported(event='["Song played"]')
    by_where = await empty.exported(where='properties["distinct_id"] == "ada"')

    assert {first["properties"]["distinct_id"], second["properties"]["distinct_id"]} == {"ada"}
    assert "$distinct_id_before_identity" not in first["properties"]
    assert second["properties"]["$distinct_id_before_identity"] == "a@example.com"
    assert [each for each in by_where if each["event"] == "Song played"] == [first, second]


async def test_the_token_does_not_open_the_export(empty: SandboxClient) -> None:
    answer = await empty.get("/api/2.0/export", auth=("sandbox-token-0123456789abcdef0123", ""))

    assert answer.status_code == 401
    assert answer.json()["status"] == "error"


@pytest.mark.parametrize(
    ("accepted", "events", "encoding"),
    [
        ("gzip", 100, "gzip"),
        ("br, gzip;q=0.5", 100, "gzip"),
        ("gzip", 1, None),
        ("identity", 100, None),
        ("gzip;q=0", 100, None),
    ],
)
async def test_only_larger_bodies_are_zipped_on_demand(
    empty: SandboxClient, accepted: str, events: int, encoding: str | None
) -> None:
    await empty.import_events(*(event(n=n) for n in range(events)))

    empty.headers["Accept-Encoding"] = accepted
    answer = await empty.export()

    assert answer.headers.get("content-encoding") == encoding
    assert len(answer.text.splitlines()) == events


async def test_a_large_export_comes_in_pieces_from_one_moment(empty: SandboxClient) -> None:
    """Others go on writing meanwhile, and no piece is large."""
    store = empty.project.store
    row = Event("Many", "ada", NOON * 1000, "i", NOON * 1000, '{"text":"' + "x" * 200 + '"}')
    add_events(store, [row] * 50_000)

    lines = 0
    largest = 0
    for piece in export_lines(store, from_time=0, to_time=NOON * 2_000):
        if not lines:
            await empty.import_events(event("Late"))
        lines += piece.count(b"\n")
        largest = max(largest, len(piece))

    assert lines == 50_000
    assert largest < 1_000_000


async def test_gzip_is_valid_to_the_last_byte(empty: SandboxClient) -> None:
    await empty.import_events(*(event(n=n) for n in range(2_000)))
    await empty.import_events(*(event(n=n) for n in range(2_000)))

    empty.headers["Accept-Encoding"] = "gzip"
    request = empty.build_request(
        "GET",
        "/api/2.0/export",
        params={"project_id": PROJECT_ID, "from_date": "2026-03-01", "to_date": "2026-03-10"},
    )
    response: httpx.Response = await empty.send(request, stream=True)
    raw = b"".join([piece async for piece in response.aiter_raw()])

    assert gzip.decompress(raw).count(b"\n") == 4_000
