"""Too much, too deep, or not what was promised: a counted answer or an error, never a crash."""

import gzip
import json
import tracemalloc
from typing import Any

import pytest
from doors import YESTERDAY
from harness import Connect
from upstream import Reply, Upstream

EXPORT = {"from_date": YESTERDAY, "to_date": YESTERDAY}
WIDE = "ä" * 600
MANY: list[tuple[str, dict[str, Any], Any]] = [
    ("list_saved_funnels", {}, [{"funnel_id": n, "name": f"funnel {n}"} for n in range(9_000)]),
    (
        "query_insights_saved_reports",
        {"bookmark_id": 1},
        {"headers": [WIDE] * 500, "series": {f"s{n}": {"2026-01-01": n} for n in range(9_000)}},
    ),
    ("custom_jql_query", {"script": "main"}, [{f"{n}{WIDE}": n for n in range(12)}] * 3),
    ("custom_jql_query", {"script": "main"}, ["x" * 100] * 9_000),
    (
        "query_profiles",
        {"where": "x" * 20_000, "distinct_ids": [f"user-{n}" for n in range(1_000)]},
        {
            "page_size": 40,
            "session_id": "s",
            "results": [
                {"$distinct_id": f"user-{n}", "$properties": {f"{m}{WIDE}": n for m in range(20)}}
                for n in range(40)
            ],
        },
    ),
    ("list_pipelines", {}, {"1": [{"name": f"p-{n}"} for n in range(9_000)]}),
    ("get_pipeline", {"name": "p"}, {f"state {n}": 1 for n in range(9_000)}),
    ("raw_request", {"url": "/x", "method": "GET"}, {"a": ["x" * 100] * 9_000}),
    ("raw_request", {"url": "/x", "method": "GET", "response_type": "text"}, ["x" * 100] * 9_000),
]


@pytest.mark.parametrize(("tool", "arguments", "reply"), MANY, ids=[tool for tool, _, _ in MANY])
async def test_a_text_stays_short_and_counts_what_it_leaves_out(
    connect: Connect, upstream: Upstream, tool: str, arguments: dict[str, Any], reply: Any
) -> None:
    """About 8,000 tokens, at two bytes a token; whatever it is that is long."""
    upstream.default = Reply(json=reply)

    async with connect() as tools:
        answer = await tools.call(tool, **arguments)

    assert answer.status == "ok", answer.text[:300]
    assert len(answer.text.encode()) <= 16_500
    assert "left out" in answer.text or " more" in answer.text or "characters)" in answer.text
    assert len(json.dumps(answer.structured)) < 8_000_000


async def test_data_that_is_too_large_for_programs_is_cut_and_counted(
    connect: Connect, upstream: Upstream
) -> None:
    upstream.default = Reply(json=["x" * 1_000] * 3_000)

    async with connect() as tools:
        answer = await tools.call("custom_jql_query", script="main")

    kept = len(answer.data)
    assert 500 < kept < 3_000
    assert f"{3_000 - kept} items were left out" in answer.notes
    assert answer.structured["complete"] is False


async def test_an_event_with_endless_names_stays_short(
    connect: Connect, upstream: Upstream
) -> None:
    properties = {"time": 1, "distinct_id": "a", **{f"{n}{WIDE}": WIDE for n in range(200)}}
    line = json.dumps({"event": WIDE, "properties": properties}) + "\n"
    upstream.default = Reply(body=line * 3)

    async with connect() as tools:
        answer = await tools.call("download_data", **EXPORT)

    assert len(answer.text.encode()) <= 16_500


READS: list[tuple[str, dict[str, Any]]] = [
    ("list_saved_funnels", {}),
    ("query_funnel_saved_reports", {"funnel_id": 1, **EXPORT}),
    ("query_insights_saved_reports", {"bookmark_id": 1}),
    ("custom_jql_query", {"script": "main"}),
    ("query_profiles", {"distinct_ids": ["ada"]}),
    ("list_pipelines", {}),
    ("get_pipeline", {"name": "p"}),
    ("download_data", EXPORT),
    ("raw_request", {"url": "/x", "method": "GET"}),
]
every_read = pytest.mark.parametrize(("tool", "arguments"), READS, ids=[tool for tool, _ in READS])


def nested(depth: int, key: str) -> str:
    return f'{{"{key}":' * depth + "1" + "}" * depth


@every_read
async def test_deep_json_ends_in_an_answer(
    connect: Connect, upstream: Upstream, tool: str, arguments: dict[str, Any]
) -> None:
    crashed: list[tuple[int, str]] = []

    async with connect() as tools:
        for depth in (200, 600, 900, 930, 960, 100_000):
            for key in ("series", "results", "event", "data"):
                upstream.default = Reply(body=nested(depth, key))
                answer = await tools.call(tool, **arguments)
                if answer.raw.structured_content is None or len(answer.text.encode()) > 16_500:
                    crashed.append((depth, key))

    assert crashed == []


SHAPES = [
    "null",
    "[]",
    "[null, 1, []]",
    '"text"',
    "NaN",
    "1e999",
    '{"data": [1], "results": 5, "series": [1], "headers": 7, "date_range": [1], "page_size": "x"}',
    '{"data": {"d": 1, "e": {"steps": 5}, "f": {"s": [1]}}, "results": [1, {"$properties": [1]}]}',
    '{"computed_at": NaN, "date_range": {"from_date": NaN}, "headers": [NaN], "series": {"a": 1}}',
    '{"results": [{"$distinct_id": {}, "$properties": 5}], "total": -Infinity, "session_id": NaN}',
    '{"data": {"d": {"steps": [{"count": "x", "event": [], "step_conv_ratio": "y"}]}}}',
    '{"data": {"d": {"steps": [{"count": null}]}}, "1": [5, null], "2": 5, "x": {"name": 7}}',
    '[{"funnel_id": [], "name": {}}]',
    '{"event": "A", "properties": {"time": "x"}}',
    '{"event": "A", "properties": {"time": 1e300}}\n{',
    "9" * 5_000,
    "\ufeff[]",
    "",
]


@every_read
async def test_a_reply_of_another_shape_ends_in_an_answer(
    connect: Connect, upstream: Upstream, tool: str, arguments: dict[str, Any]
) -> None:
    """A crash would hide from the model what happened, and from us that it did."""
    crashed: list[str] = []

    async with connect() as tools:
        for shape in SHAPES:
            upstream.default = Reply(body=shape)
            answer = await tools.call(tool, **arguments)
            if answer.raw.structured_content is None:
                crashed.append(shape)

    assert crashed == []


@pytest.mark.parametrize(
    ("tool", "arguments"),
    [READS[3], READS[7], READS[8]],
    ids=["custom_jql_query", "download_data", "raw_request"],
)
async def test_a_gzip_bomb_is_given_up(
    connect: Connect, upstream: Upstream, tool: str, arguments: dict[str, Any]
) -> None:
    """80 MB from 80 kB: more than a reply may have, and in the export a line without an end."""
    bomb = gzip.compress(b"[" + b" " * 80_000_000, 6)
    upstream.default = Reply(body=bomb, headers={"content-encoding": "gzip"})
    tracemalloc.start()

    async with connect() as tools:
        answer = await tools.call(tool, **arguments)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()

    assert (answer.status, answer.is_error) == ("failed", True)
    assert peak < 200_000_000


async def test_an_endless_line_in_an_export_is_given_up(
    connect: Connect, upstream: Upstream
) -> None:
    upstream.default = Reply(
        pieces=[b'{"event": "A", "properties": {"a": "'] + [b"x" * 500_000] * 50
    )

    async with connect() as tools:
        answer = await tools.call("download_data", **EXPORT)

    assert (answer.status, answer.is_error) == ("failed", True)
    assert "does not end" in answer.text


async def test_ten_megabytes_of_arguments_are_answered(
    connect: Connect, upstream: Upstream
) -> None:
    event = {"event": "A", "properties": {"distinct_id": "ada", "big": "x" * 10_000_000}}

    async with connect() as tools:
        answer = await tools.call("track_events", events=[event])

    assert (answer.status, answer.is_error) == ("refused", True)
    assert len(answer.text) < 1_000
    assert upstream.requests == []
