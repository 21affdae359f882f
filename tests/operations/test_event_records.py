"""Events are checked and completed before anything leaves: each fault names its row and field."""

import time
from typing import Any

import pytest
from harness import Connect
from upstream import Received, Reply, Upstream

from mixpanel_mcp.operations.arguments import BANNED_IDS

NOON = 1_767_268_800_000  # 2026-01-01T12:00:00Z


def played(**properties: Any) -> dict[str, Any]:
    return {"event": "Played", "properties": {"distinct_id": "ada", "time": NOON, **properties}}


def undated(**properties: Any) -> dict[str, Any]:
    return {"event": "Played", "properties": {"distinct_id": "ada", **properties}}


def imported(request: Received) -> Reply:
    return Reply(json={"code": 200, "num_records_imported": len(request.json()), "status": "OK"})


async def faults_of(connect: Connect, upstream: Upstream, tool: str, *events: Any) -> list[str]:
    """What a refused call finds wrong; nothing may have left."""
    async with connect() as tools:
        answer = await tools.call(tool, events=list(events), confirm=True)
    assert (answer.status, answer.is_error) == ("refused", True)
    assert upstream.requests == []
    return answer.data["faults"]


async def sent(connect: Connect, upstream: Upstream, *events: Any) -> list[dict[str, Any]]:
    """The properties of imported events as they arrive."""
    upstream.always("/import", imported)
    async with connect() as tools:
        answer = await tools.call("import_events", events=list(events))
        assert answer.status == "ok", answer.text
    return [event["properties"] for event in upstream.last.json()]


async def test_an_import_without_time_names_the_row(connect: Connect, upstream: Upstream) -> None:
    faults = await faults_of(connect, upstream, "import_events", played(), undated(), played())

    (fault,) = faults
    assert fault.startswith("events[1].properties.time: is missing")


async def test_a_tracked_event_without_time_happens_now(
    connect: Connect, upstream: Upstream
) -> None:
    upstream.default = Reply(body="1")
    before = int(time.time() * 1000)

    async with connect() as tools:
        answer = await tools.call("track_events", events=[undated()])

    (event,) = upstream.last.json()
    assert before <= event["properties"]["time"] <= time.time() * 1000
    assert "1 event without time got the time of this call" in answer.notes


@pytest.mark.parametrize(
    ("written", "on_the_wire"),
    [
        ("2026-01-01T12:00:00Z", NOON),
        ("2026-01-01T12:00:00", NOON),
        ("2026-01-01 13:00:00+01:00", NOON),
        ("2026-01-01T12:00:00.250Z", NOON + 250),
        ("2026-01-01", NOON - 12 * 3_600_000),
        (NOON, NOON),
        (NOON // 1000 + 0.25, NOON + 250),
    ],
)
async def test_times_arrive_as_whole_milliseconds(
    connect: Connect, upstream: Upstream, written: Any, on_the_wire: int
) -> None:
    (properties,) = await sent(connect, upstream, played(time=written))

    assert properties["time"] == on_the_wire
    assert isinstance(properties["time"], int)


async def test_whole_seconds_stay_what_they_are_or_become_milliseconds(
    connect: Connect, upstream: Upstream
) -> None:
    """Mixpanel reads both; what matters is that it is the same moment."""
    (properties,) = await sent(connect, upstream, played(time=NOON // 1000))

    assert properties["time"] in {NOON, NOON // 1000}


@pytest.mark.parametrize("tool", ["track_events", "import_events"])
@pytest.mark.parametrize("moment", ["yesterday", "", None, True, [NOON], -5, 10**7, "1969-07-20"])
async def test_a_time_that_is_none_is_named(
    connect: Connect, upstream: Upstream, tool: str, moment: Any
) -> None:
    (fault,) = await faults_of(connect, upstream, tool, played(time=moment))

    assert fault.startswith("events[0].properties.time: ")


async def test_what_track_would_drop_is_sent_to_import_instead(
    connect: Connect, upstream: Upstream
) -> None:
    """`/track` loses events older than five days without a word."""
    old = undated(time=int(time.time()) - 6 * 86_400)

    (fault,) = await faults_of(connect, upstream, "track_events", undated(), old)

    assert fault.startswith("events[1].properties.time: ")
    assert "import_events" in fault


@pytest.mark.parametrize("field", ["distinct_id", "$insert_id"])
async def test_every_banned_id_is_refused_by_row_and_field(
    connect: Connect, upstream: Upstream, field: str
) -> None:
    banned = [*sorted(BANNED_IDS), "NULL", "Anonymous"]

    faults = await faults_of(
        connect, upstream, "import_events", *(played(**{field: each}) for each in banned)
    )

    places = [f"events[{index}].properties.{field}" for index in range(len(banned))]
    assert [fault.partition(":")[0] for fault in faults] == places


@pytest.mark.parametrize(
    ("event", "place"),
    [
        ({"properties": {"time": NOON, "distinct_id": "a"}}, "event"),
        ({**played(), "event": ""}, "event"),
        ({**played(), "event": 7}, "event"),
        ({**played(), "event": "E" * 256}, "event"),
        ({"event": "Played"}, "properties"),
        ({"event": "Played", "properties": "time=1"}, "properties"),
        ({**played(), "time": NOON}, "time"),
        (played(distinct_id=None), "properties.distinct_id"),
        (played(distinct_id=["ada"]), "properties.distinct_id"),
        (played(**{"$insert_id": "i" * 37}), "properties.$insert_id"),
        (played(**{"$insert_id": "p_1"}), "properties.$insert_id"),
        (played(**{"$insert_id": ""}), "properties.$insert_id"),
        (played(**{"$insert_id": 12}), "properties.$insert_id"),
        (played(**{f"p{index}": 1 for index in range(253)}), "properties"),
        (played(songs=[1] * 255), "properties.songs"),
        (played(songs={f"s{index}": 1 for index in range(255)}), "properties.songs"),
        (played(deep={"1": {"2": {"3": {"4": 5}}}}), "properties.deep"),
        (played(songs=["Fado" * 50] * 50), "properties.songs"),
        (played(lyrics="la" * 500_000), "properties"),
    ],
)
async def test_what_mixpanel_would_reject_is_named_before_it_leaves(
    connect: Connect, upstream: Upstream, event: Any, place: str
) -> None:
    faults = await faults_of(connect, upstream, "import_events", played(), event)

    assert [fault.partition(": ")[0] for fault in faults] == [f"events[1].{place}"]


async def test_the_derived_id_counts_among_the_properties_too(
    connect: Connect, upstream: Upstream
) -> None:
    """Fewer than 255 are allowed, and what we add would be one too many."""
    full = played(**{f"p{index}": 1 for index in range(252)})
    assert len(full["properties"]) == 254

    (fault,) = await faults_of(connect, upstream, "import_events", full)

    assert fault.startswith("events[0].properties: ")


async def test_half_a_character_is_named_and_crashes_nothing(
    connect: Connect, upstream: Upstream
) -> None:
    """JSON can spell half a surrogate pair; UTF-8 cannot, and so neither can a request."""
    (fault,) = await faults_of(connect, upstream, "import_events", played(), played(song="\ud83c"))

    assert fault.startswith("events[1].")


async def test_many_faults_are_counted_and_the_first_ones_shown(connect: Connect) -> None:
    async with connect() as tools:
        answer = await tools.call("import_events", events=[undated()] * 60)

    assert len(answer.data["faults"]) == 50
    assert "and 10 more" in answer.text


async def test_nobody_s_events_may_be_imported_on_purpose(
    connect: Connect, upstream: Upstream
) -> None:
    """An empty distinct_id means nobody; with the ids of Simplified ID Merge none is needed."""
    device = {"event": "Played", "properties": {"time": NOON, "$device_id": "d-1"}}

    anonymous, simplified = await sent(connect, upstream, played(distinct_id=""), device)

    assert anonymous["distinct_id"] == ""
    assert "distinct_id" not in simplified


async def test_long_texts_are_sent_and_the_answer_says_what_is_kept(
    connect: Connect, upstream: Upstream
) -> None:
    upstream.always("/import", imported)

    async with connect() as tools:
        answer = await tools.call("import_events", events=[played(lyrics="la" * 200)])

    assert upstream.last.json()[0]["properties"]["lyrics"] == "la" * 200
    assert "1 text longer than 255 characters" in answer.notes
