"""The schemas that tools publish: flat, and without what pydantic adds and no model needs."""

from collections.abc import Mapping, Sequence
from typing import Any, cast

from mixpanel_mcp.json_values import is_list, is_object
from mixpanel_mcp.operation import SHARED_ARGUMENTS, Arguments

_KEPT_AS_IS = {"enum", "required", "default"}
_NAMED = {"properties"}
_DEFINITIONS = "$defs"


def schema_of(arguments: type[Arguments], connections: Sequence[str] = ()) -> dict[str, Any]:
    """The schema of an operation's arguments: its own first, then those that tools share.

    Args:
        arguments: the operation's model.
        connections: the names a call can choose from, the default first; none where it cannot.
    """
    full = arguments.model_json_schema(by_alias=True)
    schema = cast("dict[str, Any]", _slim(_inlined(full, full.pop(_DEFINITIONS, {}))))
    schema.pop("description", None)
    fields: dict[str, Any] = schema["properties"]
    own = {name: field for name, field in fields.items() if name not in SHARED_ARGUMENTS}
    shared = {name: fields[name] for name in SHARED_ARGUMENTS if name in fields}
    return {**schema, "properties": own | _choice(connections) | shared}


def _choice(connections: Sequence[str]) -> dict[str, Any]:
    if not connections:
        return {}
    description = f"The project to work on; {connections[0]} if left out."
    return {"connection": {"type": "string", "enum": [*connections], "description": description}}


def _inlined(node: Any, definitions: Mapping[str, dict[str, Any]]) -> Any:
    """Put each definition in the place that refers to it: not every client follows references."""
    if is_list(node):
        return [_inlined(item, definitions) for item in node]
    if not is_object(node):
        return node
    flat = {name: _inlined(value, definitions) for name, value in node.items() if name != "$ref"}
    if "$ref" not in node:
        return flat
    definition = dict(definitions[node["$ref"].removeprefix(f"#/{_DEFINITIONS}/")])
    # The docstring of a type speaks to maintainers; to the model speaks the field that uses it.
    definition.pop("description", None)
    return {**_inlined(definition, definitions), **flat}


def _slim(node: Any) -> Any:
    """Drop titles, empty defaults and `X or null` unions: a schema is paid for on every turn."""
    if is_list(node):
        return [_slim(item) for item in node]
    if not is_object(node):
        return node
    slim: dict[str, Any] = {}
    for name, value in _without_null(node).items():
        if name in _NAMED and is_object(value):
            slim[name] = {child: _slim(schema) for child, schema in value.items()}
        elif not _is_noise(name, value):
            slim[name] = value if name in _KEPT_AS_IS else _slim(value)
    return slim


def _without_null(node: dict[str, Any]) -> dict[str, Any]:
    arms = node.get("anyOf")
    if not is_list(arms) or {"type": "null"} not in arms:
        return node
    rest = [arm for arm in arms if arm != {"type": "null"}]
    others = {name: value for name, value in node.items() if name != "anyOf"}
    return {**(rest[0] if len(rest) == 1 else {"anyOf": rest}), **others}


def _is_noise(name: str, value: object) -> bool:
    return (name == "title" and isinstance(value, str)) or (
        name == "default" and value in (None, False)
    )
