"""Check what the sandbox answers against Mixpanel's own OpenAPI files.

    python tests/contract/check_replies.py [FOLDER]

The folder is `../shared/openapi` beside the repository; where it is not there, the check says so
and passes. Each reply must fit the schema of its status, and have every field that the example of
the specification has. The exit code tells.
"""

import asyncio
import re
import sys
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

TESTS = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(TESTS), str(TESTS.parent)]

import httpx  # noqa: E402
from questions import QUESTIONS, TODAY, Question  # noqa: E402
from wire import Spec  # noqa: E402

from mixpanel_mcp.sandbox import create_app  # noqa: E402

SPECS = ("ingestion", "identity", "query", "export", "data-pipelines")
# What differs on purpose: the label, what is found (an expression), and why.
KNOWN = (
    ("/engage", r"'user-\d+' is not of type 'integer'", "typed integer; ids are texts"),
    ("/engage", r"\$\.results\[0\]\.\$distinct_id: text", "an integer in the example, too"),
    ("/funnels", r"None is not of type 'integer'|.*avg_time: null", "no step before the first"),
    (
        "/nessie/pipeline/status",
        r"\d+ is not of type 'array'",
        "with summary=true states are counted",
    ),
)


async def check(folder: Path) -> tuple[list[str], int]:
    """Ask everything, and list what no specification has promised."""
    specs = {name: Spec(folder / f"{name}.openapi.yaml") for name in SPECS}
    found: list[str] = []
    app = create_app(today=lambda: date.fromisoformat(TODAY))
    app.state.project.open()
    transport = httpx.ASGITransport(app=app)
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
        for question in QUESTIONS:
            answer = await _ask(client, question)
            place = f"{question.method.upper()} {question.label} ({answer.status_code})"
            if answer.status_code != question.status:
                found.append(f"{place}: expected {question.status}: {answer.text[:200]}")
                continue
            wrong = faults(specs[question.spec], question, answer)
            found += [f"{place}: {fault}" for fault in wrong if not _known(question.label, fault)]
    app.state.project.close()
    return found, len(QUESTIONS)


async def _ask(client: httpx.AsyncClient, question: Question) -> httpx.Response:
    return await client.request(
        question.method,
        question.path,
        params=question.query,
        data=question.form or None,
        json=question.body,
        auth=question.auth,
    )


def _known(label: str, fault: str) -> bool:
    return any(label == known and re.match(what, fault) for known, what, _ in KNOWN)


def faults(spec: Spec, question: Question, answer: httpx.Response) -> Iterator[str]:
    operation = spec.operation(question.label, question.method)
    if operation is None:
        yield "the specification has no such operation"
        return
    responses: dict[str, Any] = operation["responses"]
    declared = responses.get(str(answer.status_code))
    if declared is None:
        # The query API's pages have only successes; what a refusal looks like is known elsewhere.
        return
    content: dict[str, Any] = spec.resolved(declared).get("content", {})
    kind = answer.headers["content-type"].partition(";")[0]
    if content and kind not in content:
        yield f"came as {kind}, not as {' or '.join(content)}"
        return
    media = content.get(kind, {})
    value = _value(answer, kind)
    schema = spec.resolved(media["schema"]) if "schema" in media else None
    if schema is not None:
        yield from spec.errors(schema, value)
    for example in _examples(media):
        yield from _differences(example, value, schema or {}, spec, "$")


def _value(answer: httpx.Response, kind: str) -> Any:
    if kind == "application/json":
        return answer.json()
    return int(answer.text) if answer.text.isdecimal() else answer.text


def _examples(media: dict[str, Any]) -> Iterator[Any]:
    if "example" in media:
        yield media["example"]
    for named in media.get("examples", {}).values():
        yield named["value"]
        return


def _differences(
    example: Any, value: Any, schema: dict[str, Any], spec: Spec, place: str
) -> Iterator[str]:
    """Compare field by field; where a schema has no names for the fields, any of them will do."""
    schema = spec.resolved(schema)
    if _type(example) != _type(value):
        yield f"{place}: {_type(value)}, where the example has {_type(example)}"
    elif _type(value) == "object":
        yield from _fields(example, value, schema, spec, place)
    elif _type(value) == "array" and example and value:
        yield from _differences(example[0], value[0], schema.get("items", {}), spec, f"{place}[0]")


def _fields(
    example: dict[str, Any], value: Any, schema: dict[str, Any], spec: Spec, place: str
) -> Iterator[str]:
    named: dict[str, Any] = schema.get("properties", {})
    if not named and "additionalProperties" in schema:
        of_any = schema["additionalProperties"]
        sample, found = next(iter(example.values())), next(iter(value.values()), None)
        if found is not None:
            yield from _differences(sample, found, of_any, spec, f"{place}.*")
        return
    for name, sample in example.items():
        if name in named and name not in value:
            yield f"{place}.{name} is missing"
        elif name in named:
            yield from _differences(sample, value[name], named[name], spec, f"{place}.{name}")


_TYPES: dict[type, str] = {
    bool: "boolean",
    int: "number",
    float: "number",
    str: "text",
    dict: "object",
    list: "array",
}


def _type(value: object) -> str:
    return _TYPES.get(type(value), "null")


def main() -> int:
    given = sys.argv[1:]
    folder = Path(given[0]) if given else TESTS.parent.parent / "shared" / "openapi"
    if not folder.is_dir():
        print(f"contract: {folder} is not there, so no reply is checked")  # noqa: T201
        return 0
    found, asked = asyncio.run(check(folder))
    for line in found:
        print(f"contract: {line}")  # noqa: T201
    verdict = f"{len(found)} faults" if found else "all as Mixpanel specifies them"
    print(f"contract: {asked} replies of the sandbox: {verdict}")  # noqa: T201
    return 1 if found else 0


if __name__ == "__main__":
    raise SystemExit(main())
