"""A script at fault gets a 400 with the message, the line and the trace of its own lines."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from jql_client import asked, refusal
from jql_scripts import fault
from sandbox_client import PROJECT_ID, update

from mixpanel_mcp.sandbox.jql import process

if TYPE_CHECKING:
    from sandbox_client import SandboxClient

MARCH = {"from_date": "2026-03-01", "to_date": "2026-03-09"}


@pytest.mark.parametrize(
    ("form", "error"),
    [
        ({}, "Missing required parameter: script"),
        ({"script": ""}, "Missing required parameter: script"),
        ({"script": "function main(){}", "params": "[1]"}, "params must be a JSON object"),
        ({"script": "function main(){}", "params": "{a: 1}"}, "params must be a JSON object"),
        ({"script": "function main(){}", "format": "xml"}, "format must be one of json, csv"),
    ],
    ids=["no script", "empty script", "a list", "no JSON", "another format"],
)
async def test_parameters_are_checked_first(
    empty: SandboxClient, form: dict[str, str], error: str
) -> None:
    for base in ("/api/query", "/api/2.0"):
        answer = await empty.post(f"{base}/jql", params={"project_id": PROJECT_ID}, data=form)
        assert answer.status_code == 400
        assert answer.json()["error"] == error


async def test_csv_is_not_made_up(empty: SandboxClient) -> None:
    form = {"script": "function main(){ return People() }", "format": "csv"}
    answer = await empty.post("/api/query/jql", params={"project_id": PROJECT_ID}, data=form)
    assert answer.status_code == 501


async def test_an_uncaught_exception_shows_its_line(empty: SandboxClient) -> None:
    script = """// counts plans
function plan(user) {
  return user.properties.plan.name;
}

function main() {
  return Events(plan({properties: {}}));
}"""
    fault = "TypeError: cannot read property 'name' of undefined"
    assert await refusal(empty, script) == (
        f"Uncaught exception {fault} (line 3, column 10)\n"
        "    return user.properties.plan.name;\n"
        "           ^\n"
        "\n"
        "Stack trace:\n"
        f"{fault}\n"
        "    at plan (<anonymous>:3:10)\n"
        "    at main (<anonymous>:7:17)"
    )


@pytest.mark.parametrize(
    ("script", "message", "line"),
    [
        ("function main() {\n  return Events(;\n}", "SyntaxError: unexpected token", 2),
        ("var a = 1;\n\nundefinedName();", "ReferenceError: undefinedName is not defined", 3),
        ("var a;\n\nthrow new RangeError('far')", "RangeError: far", 3),
        ("\r\n\r\nfunction main() { return x.y }", "ReferenceError: x is not defined", 3),
        ("//\r\u2028\u2029function main() { x.y }", "ReferenceError: x is not defined", 4),
        ("\nfunction main() { return 5 }", "TypeError: main() must return Events()", 2),
        ("\n\nfunction main() {}", "TypeError: main() must return Events()", 3),
        ("function main() {\n  return Events() }", "TypeError: Events() needs an object", 2),
        ("function main() {\n  return People(5) }", "TypeError: People() needs an object", 2),
        ("function main() {\n  return People().limit(3) }", "TypeError: not a function", 2),
        ("function main() {\n\n  return People().map(5) }", "TypeError: map() needs", 3),
        ("async function main() { return People() }", "TypeError: main() must return", 1),
    ],
)
def test_the_line_is_the_scripts_own(script: str, message: str, line: int) -> None:
    error = fault(script)
    assert error.startswith(f"Uncaught exception {message}")
    assert f"(line {line}, column " in error
    assert f":{line}:" in error


async def test_an_item_may_be_what_breaks_a_script(empty: SandboxClient) -> None:
    await empty.engage(update("ada", set={"a": 1}))
    for transformation, line in (
        ("\n .map(user => user.x.y)", 2),
        ("\n .reduce(\n   (sums, users) => users[0].x.y)", 3),
        ("\n\n .groupBy([user => user.x.y], mixpanel.reducer.count())", 3),
        ("\n\n\n .sortAsc(user => user.x.y)", 4),
    ):
        error = await refusal(empty, f"function main() {{ return People(){transformation} }}")
        assert "TypeError: cannot read property 'y' of undefined" in error
        assert f"(line {line}, column " in error


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({}, "Events() needs from_date as a date of the form YYYY-MM-DD"),
        ({"from_date": "2026-03-01"}, "Events() needs to_date as a date"),
        ({**MARCH, "from_date": "2026-02-30"}, "Events() needs from_date as a date"),
        ({**MARCH, "from_date": "0000-03-01"}, "Events() needs from_date as a date"),
        ({**MARCH, "from_date": "1 March"}, "Events() needs from_date as a date"),
        ({**MARCH, "from_date": 20260301}, "Events() needs from_date as a date"),
        ({**MARCH, "to_date": "2026-02-01"}, "from_date that is not later than to_date"),
        ({**MARCH, "event_selectors": "Buy"}, "event_selectors must be a list of objects"),
        ({**MARCH, "event_selectors": ["Buy"]}, "event_selectors must be a list of objects"),
        ({**MARCH, "event_selectors": [{"event": 5}]}, "event_selectors must be a list"),
    ],
)
def test_what_events_wants_is_said(options: dict[str, Any], error: str) -> None:
    refused = fault("function main() {\n return Events(params) }", options)
    assert error in refused
    assert "(line 2, column " in refused


@pytest.mark.parametrize(
    ("collection", "error"),
    [
        (
            "Events(_.extend({event_selectors: [{}, {selector: '1 +'}]}, params))",
            "event_selectors[1].selector: ",
        ),
        ("Events(_.extend({event_selectors: [{selector: 'user[\"a\"]'}]}, params))", "use join()"),
        ("People({user_selectors: [{selector: '(true'}]})", "user_selectors[0].selector: "),
        (
            "join(Events(params), People(), {selectors: [{selector: 'true and'}]})",
            "selectors[0].selector: ",
        ),
    ],
)
async def test_a_selector_is_an_expression(
    empty: SandboxClient, collection: str, error: str
) -> None:
    refused = await refusal(empty, f"function main() {{\n\n return {collection} }}", MARCH)
    assert error in refused
    assert refused.endswith("(line 3)")


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        ("", "join() needs Events(), People()"),
        ("People(), Events(params)", "join() needs Events(), People()"),
        ("Events(params).map(x => x), People()", "join() takes Events() and People() as they are"),
        ("Events(params), People().filter(x => x)", "join() takes Events() and People()"),
        ("Events(params), People(), {type: 'outer'}", "one of full, left, right, inner"),
        ("Events(params), People(), {selectors: 'x'}", "selectors must be a list of objects"),
    ],
)
def test_what_join_wants_is_said(arguments: str, error: str) -> None:
    refused = fault(f"function main() {{ return join({arguments}) }}", MARCH)
    assert error in refused


@pytest.mark.parametrize(
    ("thrown", "error"),
    [
        ("5", "Uncaught exception 5"),
        ("null", "Uncaught exception null"),
        ("{code: 3}", 'Uncaught exception {"code":3}'),
        ("Symbol('x')", "Uncaught exception Symbol(x)"),
        ("new Proxy({}, {get() { throw 1 }})", "Uncaught exception "),
        ("new Error('half \\ud800 a pair')", "Uncaught exception Error: half ? a pair"),
        ("new Error('x'.repeat(1e6))", "Uncaught exception Error: xxxxx"),
        ("_.extend(new Error('y'), {stack: '<input>:' + '9'.repeat(5000)})", "Error: y"),
        ("_.extend(new Error('y'), {stack: 'at '.repeat(1e5)})", "Error: y"),
    ],
)
def test_whatever_is_thrown_can_be_told(thrown: str, error: str) -> None:
    refused = fault(f"function main() {{ throw {thrown} }}")
    assert error in refused
    assert len(refused) < 10_000
    assert refused.encode()


def test_what_has_no_text_is_told_too() -> None:
    assert fault("throw Symbol('x')") == "Uncaught exception something was thrown that has no text"


async def test_without_an_engine_jql_says_what_to_install(
    empty: SandboxClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    command = "import sys; sys.modules['quickjs'] = None; "
    monkeypatch.setattr(process, "COMMAND", command + process.COMMAND)
    answer = await asked(empty, "function main() { return People() }")
    assert answer.status_code == 501
    assert "pip install quickjs-ng" in answer.json()["error"]
