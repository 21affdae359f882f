"""`$insert_id` is derived from what an event says: the same event counts once, two count twice."""

import re
import string
from collections.abc import Mapping
from typing import Any

from harness import Connect
from hypothesis import given
from hypothesis import strategies as st
from upstream import Received, Reply, Upstream

from mixpanel_mcp.operations.event_records import insert_id

NOON = 1_767_268_800_000  # 2026-01-01T12:00:00Z
TEXTS = st.text(string.ascii_letters + '"\\$:,{}[] é', max_size=6)
PROPERTIES = st.dictionaries(
    TEXTS,
    st.recursive(
        st.none() | st.booleans() | st.integers() | TEXTS,
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
        max_leaves=6,
    ),
    max_size=5,
)


def played(**properties: Any) -> dict[str, Any]:
    return {"event": "Played", "properties": {"distinct_id": "ada", "time": NOON, **properties}}


def undated() -> dict[str, Any]:
    return {"event": "Played", "properties": {"distinct_id": "ada"}}


def imported(request: Received) -> Reply:
    return Reply(json={"code": 200, "num_records_imported": len(request.json()), "status": "OK"})


async def sent(connect: Connect, upstream: Upstream, *events: Any) -> list[dict[str, Any]]:
    """The properties of imported events as they arrive."""
    upstream.always("/import", imported)
    async with connect() as tools:
        answer = await tools.call("import_events", events=list(events))
        assert answer.status == "ok", answer.text
    return [event["properties"] for event in upstream.last.json()]


async def test_a_given_insert_id_is_kept(connect: Connect, upstream: Upstream) -> None:
    given_id, derived = await sent(connect, upstream, played(**{"$insert_id": "p-1"}), played())

    assert given_id["$insert_id"] == "p-1"
    assert re.fullmatch(r"[0-9a-f]{36}", derived["$insert_id"])


async def test_the_same_event_gets_the_same_id_in_every_call(
    connect: Connect, upstream: Upstream
) -> None:
    first = await sent(connect, upstream, played(song="Fado", rating=5))
    again = await sent(connect, upstream, played(rating=5, song="Fado"))

    assert first[0]["$insert_id"] == again[0]["$insert_id"]


async def test_one_moment_gives_one_id_however_it_is_written(
    connect: Connect, upstream: Upstream
) -> None:
    moments = [NOON, NOON // 1000, "2026-01-01T12:00:00Z", "2026-01-01T13:00:00+01:00"]

    arrived = await sent(connect, upstream, *(played(time=moment) for moment in moments))

    assert len({properties["$insert_id"] for properties in arrived}) == 1


async def test_other_content_or_another_time_gives_another_id(
    connect: Connect, upstream: Upstream
) -> None:
    events = [
        played(),
        {**played(), "event": "Paused"},
        played(time=NOON + 1),
        played(distinct_id="grace"),
        played(song="Fado"),
        played(song=["Fado"]),
        played(song="1"),
        played(song=1),
    ]

    arrived = await sent(connect, upstream, *events)

    assert len({properties["$insert_id"] for properties in arrived}) == len(events)


async def test_two_equal_events_of_now_are_two_events(connect: Connect, upstream: Upstream) -> None:
    """Whoever gives no time cannot tell them apart, and yet means both."""
    upstream.default = Reply(body="1")

    async with connect() as tools:
        await tools.call("track_events", events=[undated(), undated(), undated()])

    ids = [event["properties"]["$insert_id"] for event in upstream.last.json()]
    assert len(set(ids)) == 3


@given(properties=PROPERTIES, order=st.randoms(use_true_random=False))
def test_the_order_of_keys_does_not_matter(properties: dict[str, Any], order: Any) -> None:
    shuffled = _shuffled(properties, order)

    assert shuffled == properties
    assert _id(shuffled) == _id(properties)
    assert re.fullmatch(r"[0-9a-f]{36}", _id(properties))


@given(one=PROPERTIES, other=PROPERTIES)
def test_ids_are_equal_only_where_the_content_is(
    one: dict[str, Any], other: dict[str, Any]
) -> None:
    same = repr(_sorted(one)) == repr(_sorted(other))  # for `==`, True is 1

    assert (_id(one) == _id(other)) is same


def _id(properties: Mapping[str, Any]) -> str:
    return insert_id({"event": "Played", "properties": {"time": NOON, "own": properties}})


def _shuffled(value: Any, order: Any) -> Any:
    match value:
        case dict():
            items: list[tuple[str, Any]] = list(value.items())  # pyright: ignore[reportUnknownArgumentType, reportUnknownMemberType]
            order.shuffle(items)
            return {key: _shuffled(item, order) for key, item in items}
        case list():
            return [_shuffled(item, order) for item in value]  # pyright: ignore[reportUnknownVariableType]
        case _:
            return value


def _sorted(value: Any) -> Any:
    match value:
        case dict():
            items: list[tuple[str, Any]] = sorted(value.items())  # pyright: ignore[reportUnknownArgumentType, reportUnknownMemberType]
            return {key: _sorted(item) for key, item in items}
        case list():
            return [_sorted(item) for item in value]  # pyright: ignore[reportUnknownVariableType]
        case _:
            return value
