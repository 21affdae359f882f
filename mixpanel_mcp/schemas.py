"""The schemas that tools publish: flat, and without what pydantic adds and no model needs."""

from typing import Any, cast

from mixpanel_mcp.json_values import is_list, is_object
from mixpanel_mcp.operation import SHARED_ARGUMENTS, Arguments

_KEPT_AS_IS = {"enum", "required", "default"}
_NAMED = {"properties", "$defs"}


def schema_of(arguments: type[Arguments]) -> dict[str, Any]:
    """The schema of an operation's arguments: its own first, then those that tools share."""
    schema = cast("dict[str, Any]", _slim(arguments.model_json_schema(by_alias=True)))
    schema.pop("description", None)
    fields: dict[str, Any] = schema["properties"]
    own = {name: field for name, field in fields.items() if name not in SHARED_ARGUMENTS}
    shared = {name: fields[name] for name in SHARED_ARGUMENTS if name in fields}
    return {**schema, "properties": own | shared}


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
