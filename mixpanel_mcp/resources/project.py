"""`mixpanel://project`: where the server works, and what its operator allows. No secrets."""

from collections.abc import Mapping, Sequence
from typing import Any

from mixpanel_mcp.api.regions import origins_in_use
from mixpanel_mcp.json_values import as_text, is_list, is_object
from mixpanel_mcp.resources.wording import code
from mixpanel_mcp.sanitize import clean, cut
from mixpanel_mcp.settings import Connection, Policy


def project_facts(
    connection: Connection, policy: Policy, tools: Sequence[str]
) -> dict[str, dict[str, Any]]:
    """What can be told: of credentials and paths only whether they are set."""
    return {
        "connection": {
            "name": connection.name,
            "project_id": connection.project_id,
            "workspace_id": connection.workspace_id,
            "region": connection.region.value,
            "sandbox": connection.sandbox,
            "service_account_set": bool(connection.username and connection.password),
            "project_token_set": connection.project_token is not None,
        },
        "origins": origins_in_use(connection),
        "policy": {
            "read_only": policy.read_only,
            "confirmation": policy.confirmation.value,
            "files_root_set": policy.files_root is not None,
            "allowed_projects": list(policy.allowed_projects) or "any",
            "allowed_destinations": list(policy.allowed_destinations) or "any, once confirmed",
            "further_tokens_allowed": len(policy.allowed_tokens),
            "cache_seconds": policy.cache_seconds,
            "read_seconds": policy.read_seconds,
            "write_seconds": policy.write_seconds,
            "export_seconds": policy.export_seconds,
            "tools": list(tools),
        },
    }


def project_text(facts: Mapping[str, Mapping[str, Any]]) -> str:
    """The same for people: a section for each part, a line for each fact."""
    blocks = ["# Mixpanel project"]
    for name, part in facts.items():
        blocks.append(f"## {name.capitalize()}")
        blocks.append("\n".join(_lines(part)))
    return "\n\n".join(blocks) + "\n"


def _lines(part: Mapping[str, Any], indent: str = "") -> list[str]:
    lines: list[str] = []
    for name, value in part.items():
        label = f"{indent}- {name.replace('_', ' ')}:"
        if is_object(value):
            lines += [label, *_lines(value, f"{indent}  ")]
        else:
            lines.append(f"{label} {_shown(value)}")
    return lines


def _shown(value: object) -> str:
    if value is None:
        return "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if is_object(value):
        return ", ".join(f"{name} {_shown(item)}" for name, item in value.items())
    if is_list(value):
        return ("; " if any(map(is_object, value)) else ", ").join(map(_shown, value))
    text = value if isinstance(value, str) else as_text(value)
    return code(cut(clean(text))) if isinstance(value, str) else text
