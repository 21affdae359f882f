"""What a passthrough request carries: data, forms and files, encoded as Mixpanel reads them."""

import json
from typing import Any

import pytest
from harness import Connect, Era
from upstream import Reply, Upstream

FORM = "application/x-www-form-urlencoded"
# A path whose effect nobody knows, so that any body may go there once it is confirmed.
SEND: dict[str, Any] = {"url": "/api/app/me", "method": "POST", "confirm": True}


@pytest.mark.parametrize(
    ("data", "body", "content_type"),
    [
        ({"a": [1, "ü"]}, '{"a":[1,"ü"]}', "application/json"),
        ([1, {"b": None}], '[1,{"b":null}]', "application/json"),
        ('{"a": 1}', '{"a":1}', "application/json"),
        (5, "5", "application/json"),
        (True, "true", "application/json"),
        (0, "0", "application/json"),
        ("name=p&events=A%20B", "name=p&events=A%20B", FORM),
        ('{"a":1}\n{"b":2}\n', '{"a":1}\n{"b":2}\n', "text/plain"),
        ("plain words", "plain words", "text/plain"),
        ("id,name\n1,Köln\n", "id,name\n1,Köln\n", "text/plain"),
    ],
)
async def test_data_is_json_or_the_text_itself(
    connect: Connect, upstream: Upstream, data: Any, body: str, content_type: str
) -> None:
    async with connect() as tools:
        answer = await tools.call("raw_request", **SEND, data=data)

    assert answer.status == "ok"
    assert upstream.last.body.decode() == body
    assert upstream.last.headers["content-type"] == content_type
    assert upstream.last.headers["content-length"] == str(len(body.encode()))


async def test_lines_of_json_can_be_imported(connect: Connect, upstream: Upstream) -> None:
    events = [
        {"event": "A", "properties": {"time": 1, "distinct_id": str(n), "$insert_id": str(n)}}
        for n in range(3)
    ]
    lines = "\n".join(map(json.dumps, events))
    upstream.default = Reply(json={"code": 200, "num_records_imported": 3, "status": "OK"})

    async with connect() as tools:
        answer = await tools.call(
            "raw_request",
            url="/import?strict=1",
            method="POST",
            data=lines,
            headers={"Content-Type": "application/x-ndjson"},
        )

    assert answer.status == "ok"
    assert upstream.last.headers["content-type"] == "application/x-ndjson"
    assert upstream.last.body.decode() == lines


@pytest.mark.parametrize(
    "given",
    [
        {"data": '{"a": NaN}'},
        {"data": "[-Infinity]"},
        {"data": '{"a": 1e999}'},
        {"data": '["\\ud800"]'},
        {"data": '{"\\udfff": 1}'},
        {"data": "half a character: \ud800"},
        {"form_data": '{"a": {"b": NaN}}'},
        {"form_data": '{"a": "\\ud800"}'},
        {"query_parameters": '{"a": "\\ud800"}'},
        {"query_parameters": '{"a": {"b": 1e999}}'},
    ],
)
async def test_what_json_cannot_carry_is_refused(
    connect: Connect, upstream: Upstream, given: dict[str, Any]
) -> None:
    """JSON inside a text is read here, and Python's reader takes more than JSON allows."""
    async with connect() as tools:
        answer = await tools.call("raw_request", **SEND, **given)

    assert (answer.status, answer.is_error) == ("refused", True)
    assert next(iter(given)) in answer.text
    assert upstream.requests == []


async def test_a_form_is_urlencoded_and_lists_repeat_their_key(
    connect: Connect, upstream: Upstream, era: Era
) -> None:
    form = {"events": ["A & B", "C+D"], "flag": True, "n": 1, "o": {"k": [1]}, "none": None}

    async with connect(era=era) as tools:
        await tools.call("raw_request", **SEND, form_data=form)
        await tools.call("raw_request", **SEND, form_data=json.dumps(form))

    first, second = upstream.requests
    assert first.headers["content-type"] == second.headers["content-type"] == FORM
    assert first.body == second.body
    assert first.form == [
        ("events", "A & B"),
        ("events", "C+D"),
        ("flag", "true"),
        ("n", "1"),
        ("o", '{"k":[1]}'),
    ]


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"data": "x", "form_data": {"a": 1}}, "data"),
        ({"data": {"a": 1}, "file_data": {"f": "data:,x"}}, "data"),
        ({"form_data": "a=1"}, "form_data"),
        ({"form_data": [["a", 1]]}, "form_data"),
        ({"file_data": ["a.csv"]}, "file_data"),
        ({"file_data": {"f": 5}}, "file_data"),
        ({"file_data": {"f": "data:text/plain"}}, "data: URI"),
        ({"file_data": {"f": "data:;base64,###"}}, "Base64"),
        ({"file_data_file_names": {"f": "a.csv"}}, "file_data_file_names"),
        ({"file_data": {"f": "data:,x"}, "file_data_file_names": {"g": "a"}}, "file_data_file"),
        ({"query_parameters": "a=1"}, "query_parameters"),
    ],
)
async def test_two_bodies_or_half_of_one_are_refused(
    connect: Connect, upstream: Upstream, given: dict[str, Any], words: str
) -> None:
    async with connect() as tools:
        answer = await tools.call("raw_request", **SEND, **given)

    assert (answer.status, answer.is_error) == ("refused", True)
    assert words in answer.text
    assert upstream.requests == []


async def test_data_beside_an_empty_form_is_not_lost(connect: Connect, upstream: Upstream) -> None:
    async with connect() as tools:
        answer = await tools.call("raw_request", **SEND, data={"a": 1}, form_data={})

    if answer.status == "ok":
        assert upstream.last.json() == {"a": 1}
    else:
        assert answer.status == "refused"
        assert upstream.requests == []


async def test_the_generic_tools_take_data_too(connect: Connect, upstream: Upstream) -> None:
    data = "type=s3-raw&s3_bucket=lake"

    async with connect() as tools:
        created = await tools.call("create_generic_pipeline", data=data, confirm=True)

    assert created.status == "ok"
    assert upstream.last.body.decode() == data
    assert upstream.last.headers["content-type"] == FORM
