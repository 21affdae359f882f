"""Compares a request with Mixpanel's own specification of its endpoint."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import yaml
from jsonschema import Draft202012Validator
from upstream import Received

FORM = "application/x-www-form-urlencoded"
JSON = "application/json"

# What we send although no specification has it, and why: (label's path, name).
BEYOND: Mapping[tuple[str, str], str] = {
    ("/track", "verbose"): "identity events go to /track, whose own page has it",
    ("/track", "redirect"): "an input of the connector document, gone from the specifications",
    ("/engage", "redirect"): "an input of the connector document, gone from the specifications",
    ("/engage", "ip"): "the deletion's page leaves it out; it is the same endpoint",
    ("/nessie/pipeline/create", "project_id"): "generic calls name the project in the query",
    ("/nessie/pipeline/edit", "project_id"): "generic calls name the project in the query",
}
# What a specification asks for although its own text, or another page, says when it must be absent.
LEFT_OUT: Mapping[tuple[str, str], str] = {
    ("/import", "project_id"): "never beside a project token, which names the project",
    ("/nessie/pipeline/create", "from_date"): "a trial has its own",
}
# Values that the specification types otherwise than its own examples and Mixpanel do.
MISTYPED: Mapping[tuple[str, str], str] = {
    ("/engage", "behaviors"): "typed integer; it is JSON text",
    ("/engage", "output_properties"): "typed array; it is JSON text in a form field",
    ("/engage", "filter_by_cohort"): "typed object or text; it is JSON text in a form field",
    ("/nessie/pipeline/create", "events"): "typed text; several names repeat the key",
    ("/nessie/pipeline/edit", "events"): "typed text; several names repeat the key",
}


class Spec:
    """One of Mixpanel's OpenAPI files."""

    def __init__(self, path: Path) -> None:
        self.document: dict[str, Any] = yaml.safe_load(path.read_text(encoding="utf-8"))
        server: str = self.document["servers"][0]["url"]
        self.prefix = urlsplit(server).path

    def operation(self, label: str, method: str) -> dict[str, Any] | None:
        """An endpoint's declaration, with the parameters of its whole path."""
        item: dict[str, Any] = self.document["paths"].get(label, {})
        if method not in item:
            return None
        shared = [*item.get("parameters", []), *item[method].get("parameters", [])]
        security = item[method].get("security", self.document.get("security", []))
        parameters = [self.resolved(one) for one in shared]
        return {**item[method], "parameters": parameters, "security": security}

    def resolved(self, node: dict[str, Any]) -> dict[str, Any]:
        while "$ref" in node:
            target: Any = self.document
            for step in str(node["$ref"]).removeprefix("#/").split("/"):
                target = target[step]
            node = target
        return node

    def errors(self, schema: Mapping[str, Any], value: Any) -> Iterator[str]:
        whole = {**schema, "components": self.document.get("components", {})}
        validator: Any = Draft202012Validator(whole)
        for error in validator.iter_errors(value):
            yield str(error.message)[:300]

    def branches(self, schema: dict[str, Any]) -> list[dict[str, Any]]:
        """Every plain object schema that a schema may stand for."""
        schema = self.resolved(schema)
        if "oneOf" in schema or "anyOf" in schema:
            return [
                branch
                for one in schema.get("oneOf", schema.get("anyOf", []))
                for branch in self.branches(one)
            ]
        if "allOf" in schema:
            parts = [branch for one in schema["allOf"] for branch in self.branches(one)]
            properties: dict[str, Any] = {}
            required: list[str] = []
            for part in parts:
                properties |= part.get("properties", {})
                required += part.get("required", [])
            return [{"type": "object", "properties": properties, "required": required}]
        return [schema]


def faults(spec: Spec, label: str, method: str, request: Received) -> Iterator[str]:
    """Everything in a request that its specification does not allow."""
    plain = label.partition("#")[0]
    operation = spec.operation(label, method)
    if operation is None:
        yield f"the specification has no {method.upper()} {label}"
        return
    if (request.method.lower(), request.path) != (method, spec.prefix + plain):
        yield f"went to {request.method} {request.path}, not to {spec.prefix + plain}"
        return
    yield from _query_faults(spec, plain, operation, request)
    yield from _body_faults(spec, plain, operation, request)
    yield from _security_faults(operation, request)


def _query_faults(
    spec: Spec, plain: str, operation: Mapping[str, Any], request: Received
) -> Iterator[str]:
    declared = {one["name"]: one for one in operation["parameters"] if one["in"] == "query"}
    sent = _grouped(request.query)
    for name in sorted(set(declared) - set(sent)):
        if declared[name].get("required") and (plain, name) not in LEFT_OUT:
            yield f"query: {name} is required"
    for name, values in sent.items():
        if name not in declared:
            if (plain, name) not in BEYOND:
                yield f"query: {name} is not declared"
            continue
        schema = spec.resolved(declared[name].get("schema", {}))
        for error in spec.errors(schema, _typed(spec, schema, values)):
            yield f"query: {name}: {error}"


def _body_faults(
    spec: Spec, plain: str, operation: Mapping[str, Any], request: Received
) -> Iterator[str]:
    declared = spec.resolved(operation.get("requestBody", {}))
    content_type = request.headers.get("content-type", "")
    if not request.content:
        if declared.get("required"):
            yield "body: is required"
        return
    content: dict[str, Any] = declared.get("content", {})
    if content_type not in content:
        yield f"body: {content_type!r} is not among {sorted(content)}"
        return
    schema: dict[str, Any] = content[content_type].get("schema", {})
    if content_type == FORM:
        yield from _form_faults(spec, plain, schema, _grouped(request.form))
    else:
        value: object = json.loads(request.content)
        if spec.resolved(schema).get("type") == "string":
            return  # "blob": a list whose objects the pages of the single verbs describe
        for error in spec.errors(schema, value):
            yield f"body: {error}"


def _form_faults(
    spec: Spec, plain: str, schema: dict[str, Any], sent: Mapping[str, list[str]]
) -> Iterator[str]:
    """The form is right if one of the alternatives has nothing against it."""
    found: list[list[str]] = []
    for branch in spec.branches(schema):
        properties: dict[str, Any] = branch.get("properties", {})
        kind = spec.resolved(properties.get("type", {})).get("default")
        if kind is not None and "type" in sent and sent["type"] != [kind]:
            continue
        found.append(list(_branch_faults(spec, plain, branch, sent)))
        if not found[-1]:
            return
    yield from min(found, key=len, default=["form: no alternative fits"])


def _branch_faults(
    spec: Spec, plain: str, branch: Mapping[str, Any], sent: Mapping[str, list[str]]
) -> Iterator[str]:
    properties: dict[str, Any] = branch.get("properties", {})
    for name in branch.get("required", []):
        if name not in sent and (plain, name) not in LEFT_OUT:
            yield f"form: {name} is required"
    for name, values in sent.items():
        if name not in properties:
            yield f"form: {name} is not declared"
        elif (plain, name) not in MISTYPED:
            schema = spec.resolved(properties[name])
            for error in spec.errors(schema, _typed(spec, schema, values)):
                yield f"form: {name}: {error}"


def _security_faults(operation: Mapping[str, Any], request: Received) -> Iterator[str]:
    """Basic where an account is asked for, nothing where the payload's token suffices."""
    open_to_all = {} in operation["security"]
    basic = request.headers.get("authorization", "").startswith("Basic ")
    if open_to_all and "authorization" in request.headers:
        yield "security: sends credentials that nobody asks for"
    if not open_to_all and not basic:
        yield "security: sends no credentials"


def _grouped(fields: list[tuple[str, str]]) -> dict[str, list[str]]:
    grouped: dict[str, list[str]] = {}
    for name, value in fields:
        grouped.setdefault(name, []).append(value)
    return grouped


def _typed(spec: Spec, schema: Mapping[str, Any], values: list[str]) -> object:
    """Text as the type that its schema gives it; what does not fit stays text, and fails."""
    if schema.get("type") == "array":
        items = spec.resolved(schema.get("items", {}))
        return [_typed(spec, items, [value]) for value in values]
    if len(values) > 1:
        return values
    (value,) = values
    kinds = {part.get("type") for part in (schema, *schema.get("allOf", []))}
    if kinds & {"integer", "number", "boolean"}:
        try:
            return json.loads(value)
        except ValueError:
            return value
    return value
