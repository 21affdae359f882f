"""The quick way through a file's events says what the thorough one says, and lets nothing by."""

import json
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from mixpanel_mcp.files.event_lines import Checked, Completed, EventLines
from mixpanel_mcp.operations.arguments import BANNED_IDS
from mixpanel_mcp.operations.file_rows import EventRows

ROWS = EventRows({}, None)
PLAIN = {"time": 1_760_000_000, "distinct_id": "ada", "$insert_id": "e-1"}

NAMES = st.sampled_from(
    [
        "time",
        "distinct_id",
        "$insert_id",
        "token",
        "TOKEN",
        "to\u212aen",
        "$token",
        "api_key",
        "Key",
    ]
) | st.text(max_size=5)
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.sampled_from(["anon", " NULL ", "-1", "", "true", "key", "{", "}}", "\ud83d", "\u00e9"])
    | st.text(max_size=8)
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(NAMES, inner, max_size=3),
    max_leaves=8,
)
NOTHING: dict[str, Any] = {}


def made(event: object, properties: dict[str, Any], more: dict[str, Any]) -> dict[str, Any]:
    return {"event": event, "properties": properties, **more}


def written(value: object, ascii_only: bool, spaces: bool) -> bytes:  # noqa: FBT001 - drawn
    separators = (", ", ": ") if spaces else (",", ":")
    text = json.dumps(value, ensure_ascii=ascii_only, separators=separators)
    return text.encode(errors="surrogatepass")


def merged(base: dict[str, Any], more: dict[str, Any]) -> dict[str, Any]:
    return {**base, **more}


PROPERTIES = st.builds(
    merged,
    st.just(PLAIN) | st.just(NOTHING),
    st.dictionaries(NAMES, VALUES, max_size=4)
    | st.fixed_dictionaries({"distinct_id": SCALARS})
    | st.fixed_dictionaries({"$insert_id": SCALARS})
    | st.fixed_dictionaries({"time": SCALARS}),
)

EVENTS = st.builds(
    made,
    st.sampled_from(["Played", "$merge", "", "x" * 256, "Caf\u00e9"]) | SCALARS,
    PROPERTIES,
    st.just(NOTHING) | st.dictionaries(st.sampled_from(["Event", "extra"]), SCALARS, max_size=1),
)
LINES = st.builds(written, EVENTS | VALUES, st.booleans(), st.booleans()) | st.binary(
    max_size=20
).filter(lambda line: b"\n" not in line)


def checked(*lines: bytes) -> Checked:
    quick = EventLines(ROWS.completed, BANNED_IDS)
    return quick.check([line + b"\n" for line in lines], range(1, len(lines) + 1))


def line_of(event: object = "Played", **properties: Any) -> bytes:
    return json.dumps({"event": event, "properties": {**PLAIN, **properties}}).encode()


@given(st.lists(LINES, min_size=1, max_size=3))
@example([line_of(a=[[1]])])
def test_both_ways_agree_on_what_is_right_and_which_id_it_gets(lines: list[bytes]) -> None:
    found = checked(*lines)

    thorough = [ROWS.completed(line + b"\n") for line in lines]
    right = [read for read in thorough if isinstance(read, Completed)]
    assert list(found.insert_ids) == [read.insert_id for read in right]
    assert list(found.names) == [read.name for read in right]
    assert list(found.times) == [read.time for read in right]
    wrong = [n for n, read in enumerate(thorough, 1) if isinstance(read, (list, tuple))]
    assert [rejection.line for rejection in found.rejected] == wrong
    sent = [json.loads(line) for line in found.lines()]
    assert sent == [json.loads(read.line) for read in right]


def read_in_full(*lines: bytes) -> int:
    """How many lines the quick way left to the thorough one."""
    full: list[bytes] = []

    def complete(line: bytes) -> Any:
        full.append(line)
        return ROWS.completed(line)

    EventLines(complete, BANNED_IDS).check([line + b"\n" for line in lines], range(len(lines)))
    return len(full)


def test_what_is_plain_goes_through_as_the_bytes_it_came_in() -> None:
    lines = [line_of(n=n, city="S\u00e3o Paulo", tags=["a", "b"]) for n in range(100)]

    assert checked(*lines).body == b"".join(line + b"\n" for line in lines)
    assert read_in_full(*lines) == 0


def test_one_odd_line_does_not_slow_down_its_neighbours() -> None:
    lines = [line_of(n=n) for n in range(2_000)]
    lines[777] = line_of(place={"lat": 1})

    assert read_in_full(*lines) <= 32


HIDDEN = {
    "a second name before": b'{"event":"$merge","event":"a","properties":%s}',
    "a second name with a space": b'{"event" :"$merge","event":"a","properties":%s}',
    "a second name behind": b'{"event":"a","properties":%s,"event":"$merge"}',
    "a second name in escapes": b'{"\\u0065vent":"$merge","event":"a","properties":%s}',
    "a name in large letters": b'{"EVENT":"$merge","event":"a","properties":%s}',
    "properties twice": b'{"event":"a","properties":{"token":"x"},"properties":%s}',
    "a line in a line": b'{"event":"a","properties":%s} {"event":"$merge","properties":{}}',
}


@pytest.mark.parametrize("hidden", HIDDEN.values(), ids=HIDDEN)
def test_nothing_hides_beside_an_event(hidden: bytes) -> None:
    found = checked(hidden % json.dumps(PLAIN).encode())

    assert found.body == b""
    assert len(found.rejected) == 1


TOKENS = [
    b'"token"',
    b'"Token"',
    b'"TOKEN"',
    b'"$token"',
    b'"\\u0024token"',
    b'"tok\\u0065n"',
    b'"to\\u212aen"',
    '"to\u212aen"'.encode(),
    b'"api_key"',
    b'"API_KEY"',
    b'"api\\u005fkey"',
    b'"project_token"',
    b'"Project_toKEN"',
]


@pytest.mark.parametrize("name", TOKENS, ids=[name.decode() for name in TOKENS])
def test_every_spelling_of_a_token_is_watched(name: bytes) -> None:
    properties = json.dumps(PLAIN).encode()[:-1] + b"," + name + b':"foreign"}'
    found = checked(line_of(), b'{"event":"a","properties":' + properties + b"}", line_of())

    assert found.watched == [1]


def test_too_much_is_too_much_on_both_ways() -> None:
    many = {f"p{n}": n for n in range(300)}
    deep: Any = {"a": {"a": {"a": {"a": 1}}}}
    lines = [
        line_of(**many),
        line_of(items=list(range(300))),
        line_of(deep=deep),
        line_of(text="x" * 1_000_001),
        line_of(items=["x" * 100] * 100),
    ]
    found = checked(*lines)

    assert found.body == b""
    reasons = [rejection.faults[0][1] for rejection in found.rejected]
    expected = ["303 of at most 254", "300 of at most 254", "nested", "1 MB", "8192"]
    for reason, part in zip(reasons, expected, strict=True):
        assert part in reason


def test_a_list_is_measured_as_it_would_be_written_anew() -> None:
    """Of `1e15` four bytes are read and eighteen written."""
    inner = b"[" + b",".join([b"1e15"] * 200) + b"]"
    line = line_of(values="HERE").replace(b'"HERE"', b"[" + b",".join([inner] * 3) + b"]")

    (rejection,) = checked(line).rejected

    assert len(line) < 8192
    assert "bytes, and a list or object may have 8192" in rejection.faults[0][1]
