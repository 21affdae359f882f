"""JQL: a script and its values travel apart, and whatever comes back is shown as it is."""

import json
from typing import Any

import pytest
from harness import Connect, Era
from upstream import Drop, Reply, Upstream

PATH = "/api/query/jql"
SCRIPT = (
    "function main() {\n"
    '  return Events({from_date: params.from, to_date: "2026-01-31"})\n'
    '    .filter(e => e.name == "A+B & C%20" && e.properties["é"] > 1);\n'
    "}"
)


async def test_script_and_params_go_out_as_a_form(
    connect: Connect, upstream: Upstream, era: Era
) -> None:
    """query.openapi.yaml: both are form fields, and `params` is JSON as text."""
    upstream.default = Reply(json=[])

    async with connect(era=era) as tools:
        answer = await tools.call(
            "custom_jql_query", script=SCRIPT, params={"from": "2026-01-01", "ids": [1, "ü"]}
        )

    (request,) = upstream.requests
    assert (request.method, request.target) == ("POST", f"{PATH}?project_id=4242")
    assert request.headers["content-type"] == "application/x-www-form-urlencoded"
    assert request.headers["authorization"].startswith("Basic ")
    assert [name for name, _ in request.form] == ["script", "params"]
    form = dict(request.form)
    assert form["script"] == SCRIPT
    assert json.loads(form["params"]) == {"from": "2026-01-01", "ids": [1, "ü"]}
    assert answer.status == "ok"
    assert "maintenance mode" in answer.notes


async def test_a_view_of_the_data_is_named_in_the_query(
    connect: Connect, upstream: Upstream
) -> None:
    async with connect() as tools:
        await tools.call("custom_jql_query", script="1", project_id=7, workspace_id=8)

    assert upstream.last.query == [("project_id", "7"), ("workspace_id", "8")]
    assert dict(upstream.last.form) == {"script": "1"}


@pytest.mark.parametrize(
    ("params", "sent"),
    [
        ({}, {}),
        ('{"a": {"b": [true, null]}}', {"a": {"b": [True, None]}}),
        ({"quote": "\"'; drop"}, {"quote": "\"'; drop"}),
        ({"big": 12345678901234567890, "small": 1.5}, {"big": 12345678901234567890, "small": 1.5}),
        ([1, 2], [1, 2]),
    ],
)
async def test_params_are_an_object_or_its_json(
    connect: Connect, upstream: Upstream, params: Any, sent: Any
) -> None:
    upstream.default = Reply(json=[])

    async with connect() as tools:
        await tools.call("custom_jql_query", script="main", params=params)

    assert json.loads(dict(upstream.last.form)["params"]) == sent


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"script": ""}, "script"),
        ({"script": None}, "script"),
        ({"script": {"code": 1}}, "script"),
        ({"script": "main", "params": "from=2026"}, "params"),
        ({"script": "main", "params": 5}, "params"),
        ({"script": "main", "params": '{"broken": '}, "params"),
        ({"script": "main", "params": '{"not a number": NaN}'}, "params"),
        ({"script": "main", "params": '{"too large": 1e999}'}, "params"),
        ({"script": "main", "params": '{"half a character": "\\ud800"}'}, "params"),
    ],
)
async def test_what_is_no_script_or_no_json_is_refused(
    connect: Connect, upstream: Upstream, given: dict[str, Any], words: str
) -> None:
    async with connect() as tools:
        answer = await tools.call("custom_jql_query", **given)

    assert (answer.status, answer.is_error) == ("refused", True)
    assert words in answer.text
    assert upstream.requests == []


async def test_objects_of_one_shape_become_a_table(connect: Connect, upstream: Upstream) -> None:
    rows = [{"key": ["a", 1], "value": 3}, {"value": 4, "key": None}]
    upstream.default = Reply(json=rows)

    async with connect() as tools:
        answer = await tools.call("custom_jql_query", script="main")

    assert answer.text.startswith("The script returned 2 items.")
    assert 'key,value\n"[""a"",1]",3\n,4' in answer.text
    assert answer.data == rows


@pytest.mark.parametrize(
    ("reply", "items", "shown"),
    [
        ([5], [5], "[5]"),
        (["a", {"b": 1}], ["a", {"b": 1}], '["a", {"b": 1}]'),
        ([{"a": 1}, {"b": 2}], [{"a": 1}, {"b": 2}], '[{"a": 1}, {"b": 2}]'),
        ([[1, 2], [3]], [[1, 2], [3]], "[[1, 2], [3]]"),
        (7, [7], "[7]"),
        ({"a": 1}, [{"a": 1}], "a\n1"),
    ],
)
async def test_other_shapes_are_shown_as_they_are(
    connect: Connect, upstream: Upstream, reply: Any, items: list[Any], shown: str
) -> None:
    """The script decides what an element is, so nothing is forced into a table."""
    upstream.default = Reply(json=reply)

    async with connect() as tools:
        answer = await tools.call("custom_jql_query", script="main")

    assert (answer.status, answer.data) == ("ok", items)
    assert shown.replace(" ", "") in answer.text.replace(" ", "")


async def test_a_script_that_finds_nothing_says_so(connect: Connect, upstream: Upstream) -> None:
    upstream.default = Reply(json=[])

    async with connect() as tools:
        answer = await tools.call("custom_jql_query", script="main")

    assert "returned nothing" in answer.text


async def test_a_number_too_large_for_json_does_not_break_the_answer(
    connect: Connect, upstream: Upstream
) -> None:
    """Anybody may send an event with such a value; it must not make the tool useless."""
    upstream.default = Reply(body='[{"a": 1e999}, 5]')

    async with connect() as tools:
        answer = await tools.call("custom_jql_query", script="main")

    assert answer.status == "ok"
    assert answer.data[1] == 5


async def test_a_long_result_is_cut_and_what_is_left_out_is_counted(
    connect: Connect, upstream: Upstream
) -> None:
    rows = [{"name": f"user {number}", "text": "x" * 100} for number in range(5000)]
    upstream.default = Reply(json=rows)

    async with connect() as tools:
        answer = await tools.call("custom_jql_query", script="main")

    shown = answer.text.count("\nuser ")
    assert len(answer.text.encode()) <= 16_000
    assert f"({5000 - shown} more rows left out here)" in answer.text
    assert len(answer.data) == 5000


async def test_a_script_is_a_read_and_is_asked_again_after_a_fault(
    connect: Connect, upstream: Upstream
) -> None:
    upstream.on(PATH, Drop(), Reply(503, body="busy"))
    upstream.default = Reply(json=[1])

    async with connect(read_only=True) as tools:
        answer = await tools.call("custom_jql_query", script="main", params={"a": 1})

    assert answer.data == [1]
    assert len({request.body for request in upstream.to(PATH)}) == 1
    assert len(upstream.to(PATH)) == 3
