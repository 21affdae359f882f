"""The classifier allows what it knows; everything else waits for a person's yes."""

from typing import Any

import pytest
from doors import READS, every_read
from harness import Connect
from hypothesis import given
from hypothesis import strategies as st
from upstream import Upstream

from mixpanel_mcp.api.request import FORM, JSON, Pairs, Repeat, Request, form_body, json_body
from mixpanel_mcp.operation import Effect
from mixpanel_mcp.operations.raw_path import family_of
from mixpanel_mcp.safety.judgement import Judgement, judge
from mixpanel_mcp.settings import Region

_WORDS = ("api", "app", "query", "2.0", "projects", "4242", "me", "jql", "engagement", "trackers")
_ENDPOINTS = ("track", "import", "engage", "groups", "nessie", "export")

_segment = st.sampled_from(_WORDS) | st.text("abcdefghij-_.~$", min_size=1, max_size=8)
unknown_paths = st.lists(_segment, min_size=1, max_size=5).map(
    lambda parts: "/unknown-" + "/".join(parts)
) | st.lists(_segment, min_size=1, max_size=4).map(lambda parts: "/api/app/x" + "/".join(parts))
bodies = st.binary(max_size=60) | st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner),
    max_leaves=6,
).map(json_body)


def judged(
    method: str,
    path: str,
    *,
    body: bytes = b"",
    query: Pairs = (),
    content_type: str | None = None,
    headers: Pairs = (),
) -> Judgement:
    return judge(
        Request(
            family=family_of(path),
            region=Region.US,
            method=method,
            path=path,
            query=query,
            headers=headers,
            body=body,
            content_type=content_type,
        )
    )


@given(
    method=st.sampled_from(["POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS", "PURGE"]),
    path=unknown_paths,
    body=bodies,
    kind=st.sampled_from([None, JSON, FORM, "text/csv", "multipart/form-data; boundary=b"]),
)
def test_an_unknown_request_counts_as_irreversible(
    method: str, path: str, body: bytes, kind: str | None
) -> None:
    judgement = judged(method, path, body=body, content_type=kind)

    assert judgement.effect is Effect.IRREVERSIBLE
    assert judgement.repeat is Repeat.UNSAFE
    assert method in judgement.summary


@given(path=unknown_paths, query=st.lists(st.tuples(st.text(max_size=5), st.text(max_size=5))))
def test_an_unknown_get_without_data_is_a_read(path: str, query: list[tuple[str, str]]) -> None:
    plain = tuple(pair for pair in query if pair[0] != "data")

    assert judged("GET", path, query=plain).effect is Effect.READS


@given(path=unknown_paths, body=bodies.filter(bool))
def test_an_unknown_get_that_carries_data_counts_as_irreversible(path: str, body: bytes) -> None:
    assert judged("GET", path, body=body).effect is Effect.IRREVERSIBLE
    assert judged("GET", path, query=(("data", "e30="),)).effect is Effect.IRREVERSIBLE


@given(
    endpoint=st.sampled_from(_ENDPOINTS[:5]),
    rest=st.lists(_segment, min_size=1, max_size=3),
    method=st.sampled_from(["GET", "HEAD", "POST", "PUT", "DELETE"]),
)
def test_the_neighbourhood_of_a_writing_endpoint_is_no_place_for_guesses(
    endpoint: str, rest: list[str], method: str
) -> None:
    path = f"/{endpoint}/" + "/".join(rest)

    assert judged(method, path, body=b"" if method == "GET" else b"[]").effect >= Effect.ADDS


@pytest.mark.parametrize(
    "path", ["/track", "/import", "/engage", "/groups", "/nessie/pipeline/create"]
)
@pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE"])
def test_a_method_that_an_endpoint_is_not_known_for_is_not_its_write(
    path: str, method: str
) -> None:
    """POST, and the GET that Mixpanel takes for it, are documented; the others are guesses."""
    harmless = {
        "/track": [{"event": "A", "properties": {"distinct_id": "ada"}}],
        "/import": [{"event": "A", "properties": {"distinct_id": "ada"}}],
    }.get(path, [{"$distinct_id": "ada", "$group_id": "a", "$group_key": "b", "$set": {"a": 1}}])

    judgement = judged(method, path, body=json_body(harmless), content_type=JSON)

    assert judgement.effect is Effect.IRREVERSIBLE


@every_read
async def test_each_known_read_needs_no_confirmation(
    connect: Connect, upstream: Upstream, read: dict[str, Any]
) -> None:
    async with connect() as tools:
        answer = await tools.call("raw_request", **read)

    assert answer.status == "ok", answer.text
    assert [request.method for request in upstream.requests] == [read["method"]]


async def test_random_unknown_requests_do_not_leave_without_a_confirmation(
    connect: Connect, upstream: Upstream
) -> None:
    """Through the front door: method by method, on paths that look like Mixpanel's."""
    paths = [f"/api/{base}/{word}x/{word}" for base in ("app", "query", "2.0") for word in _WORDS]
    paths += [read["url"].split("?")[0] + "/delete" for read in READS]

    async with connect() as tools:
        for path in paths:
            for method in ("POST", "PUT", "PATCH", "DELETE", "HEAD"):
                answer = await tools.call("raw_request", url=path, method=method)
                assert (answer.status, answer.is_error) == ("confirmation_required", False), path
            answer = await tools.call("raw_request", url=path, method="GET", data={"a": 1})
            assert answer.status == "confirmation_required", path

    assert upstream.requests == []


SET = {"$distinct_id": "ada", "$set": {"plan": "pro"}}
EVENT = {"event": "A", "properties": {"distinct_id": "ada"}}
WRITES: list[tuple[str, Any, Effect]] = [
    ("/track", EVENT, Effect.ADDS),
    ("/import", EVENT, Effect.ADDS),
    ("/engage", SET, Effect.OVERWRITES),
    ("/groups", {**SET, "$group_key": "company", "$group_id": "acme"}, Effect.OVERWRITES),
    ("/engage", {"$distinct_id": "ada", "$delete": ""}, Effect.IRREVERSIBLE),
    (
        "/track",
        {"event": "$merge", "properties": {"$distinct_ids": ["a", "b"]}},
        Effect.IRREVERSIBLE,
    ),
    ("/import", {"event": " $Identify", "properties": {}}, Effect.IRREVERSIBLE),
]


@pytest.mark.parametrize(("path", "record", "effect"), WRITES)
@pytest.mark.parametrize("method", ["GET", "HEAD", "POST"])
def test_a_write_is_a_write_by_any_method_and_in_any_wrapping(
    method: str, path: str, record: Any, effect: Effect
) -> None:
    document = json_body([record])
    wrappings: list[dict[str, Any]] = [
        {"body": document, "content_type": JSON},
        {"body": json_body(record), "content_type": "text/plain"},
        {"body": document, "headers": (("Content-Type", FORM),)},
        {"body": form_body([("data", document.decode())]), "content_type": FORM},
        {"body": form_body([("data", document.decode())]), "content_type": JSON},
        {"query": (("data", document.decode()),)},
    ]

    assert [judged(method, path, **each).effect for each in wrappings] == [effect] * len(wrappings)


def event(**properties: Any) -> Any:
    return {"event": "A", "properties": {"distinct_id": "ada", **properties}}


@pytest.mark.parametrize(
    ("path", "record", "repeat"),
    [
        *(
            ("/engage", {"$distinct_id": "a", verb: {"a": 1}}, Repeat.SAFE)
            for verb in ("$set", "$set_once", "$union", "$remove")
        ),
        ("/engage", {"$distinct_id": "a", "$unset": ["a"]}, Repeat.SAFE),
        ("/engage", {"$distinct_id": "a", "$delete": ""}, Repeat.SAFE),
        ("/engage", {"$distinct_id": "a", "$add": {"a": 1}}, Repeat.UNSAFE),
        ("/engage", {"$distinct_id": "a", "$append": {"a": 1}}, Repeat.UNSAFE),
        ("/groups", {"$group_key": "c", "$group_id": "a", "$set": {"a": 1}}, Repeat.SAFE),
        ("/import", event(**{"time": 1_767_614_400, "$insert_id": "a-1"}), Repeat.SAFE),
        ("/track", event(**{"time": 1_767_614_400, "$insert_id": "a-1"}), Repeat.SAFE),
        ("/track", event(time=1_767_614_400), Repeat.UNSAFE),
        ("/track", event(**{"$insert_id": "a-1"}), Repeat.UNSAFE),
        ("/track", {"event": "$identify", "properties": {}}, Repeat.UNSAFE),
        (
            "/import",
            {"event": "$merge", "properties": {"$insert_id": "a", "time": 9}},
            Repeat.UNSAFE,
        ),
        ("/api/2.0/nessie/pipeline/create", {"type": "s3-raw"}, Repeat.UNSAFE),
        ("/api/2.0/nessie/pipeline/edit", {"name": "p"}, Repeat.SAFE),
        ("/api/2.0/nessie/pipeline/cancel", {"name": "p"}, Repeat.SAFE),
        ("/api/2.0/nessie/pipeline/pause", {"name": "p"}, Repeat.UNSAFE),
        ("/api/query/jql", {"script": "main"}, Repeat.READ),
    ],
)
def test_what_may_be_sent_again_follows_from_what_it_does(
    path: str, record: Any, repeat: Repeat
) -> None:
    assert judged("POST", path, body=json_body(record), content_type=JSON).repeat is repeat


def test_one_counting_verb_makes_the_whole_batch_unrepeatable() -> None:
    batch = [SET, {"$distinct_id": "b", "$append": {"a": 1}}, {"$distinct_id": "c", "$delete": ""}]

    judgement = judged("POST", "/engage", body=json_body(batch), content_type=JSON)

    assert (judgement.effect, judgement.repeat) == (Effect.IRREVERSIBLE, Repeat.UNSAFE)


def test_one_event_without_an_id_of_its_own_makes_the_whole_batch_unrepeatable() -> None:
    batch = [event(**{"time": 1_767_614_400, "$insert_id": "a-1"}), event(time=1_767_614_400)]

    assert judged("POST", "/track", body=json_body(batch)).repeat is Repeat.UNSAFE
