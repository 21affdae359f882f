"""No spelling of a path or a body lowers the verdict: the worst reading decides."""

import json
from typing import Any
from urllib.parse import quote

import pytest
from doors import base64_of
from harness import Connect
from test_judgement import judged
from upstream import Upstream

from mixpanel_mcp.api.request import FORM, JSON, form_body, json_body
from mixpanel_mcp.operation import Effect

DELETE = {"$distinct_id": "ada", "$delete": ""}
MERGE = {"event": "$merge", "properties": {"$distinct_ids": ["ada", "eve"]}}
HARMLESS = {"event": "A", "properties": {"distinct_id": "ada"}}

CANCEL_PATHS = [
    "/API/2.0/Nessie/Pipeline/CANCEL",
    "/api/2.0/nessie/pipeline/cancel/",
    "/api/2.0//nessie/pipeline//cancel",
    "//api/2.0/nessie/pipeline/cancel",
    "/api/2.0/nessie/pipeline/./cancel",
    "/api/2.0/nessie/pipeline/%63ancel",
    "/api/2.0/nessie/pipeline/%2563ancel",
    "/api/2.0/nessie/pipeline/%252563ancel",
    "/api/2.0/nessie/pipeline%2Fcancel",
    "/api%2F2.0%2Fnessie%2Fpipeline%2Fcancel",
    "/api/2.0/nessie/pipeline%5Ccancel",
    "/api/2.0/nessie/pipeline/cancel;v=1",
    "/api/2.0/nessie/pipeline/cancel%3Bv=1",
    "/api/2.0/nessie/pipeline;v=1/cancel",
    "/api/2.0/nessie;v=1/pipeline/cancel",
    "/api;v=1/2.0/nessie/pipeline/cancel",
    "/api%3Bv=1/2.0/nessie/pipeline/cancel",
    "/;v=1/api/2.0/nessie/pipeline/cancel",
    "/api/2.0/nessie/pipeline/cancel%20",
    "/nessie/pipeline/cancel",
]


@pytest.mark.parametrize("path", CANCEL_PATHS)
@pytest.mark.parametrize("method", ["GET", "HEAD", "POST"])
def test_a_cancelled_pipeline_is_recognized_however_its_path_is_spelled(
    path: str, method: str
) -> None:
    assert judged(method, path, query=(("name", "p-1"),)).effect is Effect.IRREVERSIBLE


@pytest.mark.parametrize("path", CANCEL_PATHS)
async def test_no_spelling_of_a_path_leaves_without_a_confirmation(
    connect: Connect, upstream: Upstream, path: str
) -> None:
    async with connect() as tools:
        answer = await tools.call("raw_request", url=f"{path}?name=p-1", method="GET")

    assert answer.status in {"confirmation_required", "refused"}
    assert upstream.requests == []


@pytest.mark.parametrize(
    "path",
    [
        "/api/query/engage;v=1/delete",
        "/api/query/engage%3Bv=1/delete",
        "/api/query/engage%3Fv=1/delete",
        "/api/query/engage%23v=1/delete",
        "/api/2.0/nessie/pipeline/status;v=1/delete",
        "/api/query/jql;/../../app/projects/1/schemas",
        "/api/query/jql%2Fdelete",
    ],
)
def test_a_path_that_only_begins_like_a_known_read_is_none(path: str) -> None:
    """What stands behind a `;`, a `?` or a `#` in a path is part of it for many servers."""
    assert judged("POST", path).effect is Effect.IRREVERSIBLE


def text(*records: Any) -> bytes:
    return "\n".join(json.dumps(record) for record in records).encode()


def multipart(name: str, value: str) -> bytes:
    head = f'--b\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n'
    return f"{head}{value}\r\n--b--\r\n".encode()


_DELETE_TEXT = json.dumps([DELETE])
BODIES: list[tuple[str, dict[str, Any]]] = [
    ("NDJSON", {"body": text({"$distinct_id": "a", "$set": {"b": 1}}, DELETE)}),
    ("CRLF between the lines", {"body": text(DELETE, DELETE).replace(b"\n", b"\r\n")}),
    ("Base64 form", {"body": form_body([("data", base64_of([DELETE]))]), "content_type": FORM}),
    (
        "URL-safe Base64 without padding",
        {"body": b"data=" + base64_of(DELETE).replace("+", "-").rstrip("=").encode()},
    ),
    ("form under a JSON header", {"body": b"data=" + _DELETE_TEXT.encode(), "content_type": JSON}),
    ("JSON under a form header", {"body": _DELETE_TEXT.encode(), "content_type": FORM}),
    (
        "form inside JSON",
        {"body": json_body([{"$distinct_id": "a", "$set": {"b": "&data=" + base64_of(DELETE)}}])},
    ),
    ("escaped verb", {"body": b'[{"$distinct_id": "ada", "$\\u0064elete": ""}]'}),
    (
        "second of two equal keys",
        {"body": b'[{"$distinct_id": "a", "$set": {"b": 1}, "$set": {"c": 1}, "$delete": ""}]'},
    ),
    (
        "two data fields",
        {"body": form_body([("data", '{"$distinct_id":"a","$set":{}}'), ("data", _DELETE_TEXT)])},
    ),
    (
        "body and query differ",
        {
            "body": json_body({"$distinct_id": "a", "$set": {"b": 1}}),
            "query": (("data", _DELETE_TEXT),),
        },
    ),
    ("encoded twice", {"body": form_body([("data", quote(_DELETE_TEXT, safe=""))])}),
    (
        "multipart",
        {
            "body": multipart("data", _DELETE_TEXT),
            "content_type": "multipart/form-data; boundary=b",
        },
    ),
    ("UTF-16", {"body": _DELETE_TEXT.encode("utf-16"), "content_type": JSON}),
    ("byte order mark", {"body": b"\xef\xbb\xbf" + _DELETE_TEXT.encode(), "content_type": JSON}),
    ("undecodable", {"body": b"\xff\xfe\x00" + _DELETE_TEXT.encode()}),
    ("list in a list", {"body": json_body([[DELETE]])}),
    (
        "upper-case verb",
        {"body": json_body([{"$distinct_id": "a", "$set": {"b": 1}, "$DELETE": ""}])},
    ),
    (
        "method override",
        {
            "body": json_body({"$distinct_id": "a", "$set": {"b": 1}}),
            "query": (("_method", "DELETE"),),
        },
    ),
    ("no verb at all", {"body": json_body([{"$distinct_id": "ada"}])}),
    ("nothing", {}),
    ("deep JSON", {"body": b"[" * 100_000 + b"]" * 100_000}),
]
_BODY_NAMES = [name for name, _ in BODIES]


@pytest.mark.parametrize("wrapped", [each for _, each in BODIES], ids=_BODY_NAMES)
@pytest.mark.parametrize("path", ["/engage", "/groups"])
def test_a_deletion_is_recognized_however_its_body_is_wrapped(
    path: str, wrapped: dict[str, Any]
) -> None:
    assert judged("POST", path, **wrapped).effect is Effect.IRREVERSIBLE


@pytest.mark.parametrize(
    "wrapped",
    [each for name, each in BODIES if name != "nothing"],
    ids=[name for name in _BODY_NAMES if name != "nothing"],
)
@pytest.mark.parametrize("path", ["/api/query/engage", "/api/2.0/engage"])
def test_a_profile_query_that_carries_a_profile_update_is_no_read(
    path: str, wrapped: dict[str, Any]
) -> None:
    """One of the two endpoints named `engage` writes; what fits neither is not let through."""
    assert judged("POST", path, **wrapped).effect is Effect.IRREVERSIBLE


@pytest.mark.parametrize(
    "body",
    [
        json_body([HARMLESS, MERGE]),
        text(HARMLESS, MERGE),
        json_body([HARMLESS, {**MERGE, "event": "$MERGE "}]),
        json_body([{**MERGE, "event": "$mer\u200bge"}]),
        b'[{"event": "A", "event": "$merge", "properties": {}}]',
        json_body([{"event": "A", "Event": "$merge", "properties": {"$distinct_ids": ["a", "b"]}}]),
        json_body([[MERGE]]),
        json_body([{**MERGE, "event": ["$merge"]}]),
        json_body([{"event": "A", "properties": "{}"}]),
        form_body([("data", base64_of(HARMLESS)), ("data", base64_of(MERGE))]),
        json_body([{"event": "A", "properties": {"p": "&data=" + base64_of(MERGE)}}]),
        multipart("data", json.dumps(MERGE)),
        b"",
        b"[]",
        b"\x80",
    ],
)
@pytest.mark.parametrize("path", ["/track", "/import"])
def test_a_merge_is_recognized_however_it_is_wrapped(path: str, body: bytes) -> None:
    """Some parsers take `Event` for `event`, and the last of two: both readings count."""
    assert judged("POST", path, body=body).effect is Effect.IRREVERSIBLE


@pytest.mark.parametrize("name", ["_method", "_METHOD", "_Method"])
@pytest.mark.parametrize("where", ["query", "form", "JSON"])
def test_a_read_that_asks_to_be_another_method_is_none(where: str, name: str) -> None:
    asks: dict[str, Any] = {
        "query": {"query": ((name, "DELETE"),)},
        "form": {"body": form_body([(name, "DELETE")]), "content_type": FORM},
        "JSON": {"body": json_body({name: "DELETE"}), "content_type": JSON},
    }[where]

    assert judged("POST", "/api/query/cohorts/list", **asks).effect is Effect.IRREVERSIBLE


@pytest.mark.parametrize("name", ["_method", "_METHOD"])
async def test_a_get_that_asks_to_be_a_delete_waits_for_a_confirmation(
    connect: Connect, upstream: Upstream, name: str
) -> None:
    async with connect() as tools:
        answer = await tools.call(
            "raw_request",
            url="/api/app/projects/4242/schemas",
            method="GET",
            query_parameters={name: "DELETE"},
        )

    assert answer.status in {"confirmation_required", "refused"}
    assert upstream.requests == []
