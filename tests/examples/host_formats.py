"""What hosts accept in their files of servers, as their documentation has it, for stdio servers.

A schema knows the fields of a host that start a process, and no others, so that a field of one host
in the file of another is found. `expand` does what the host does to a value of `env`.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

Variables = Mapping[str, str]

_TEXTS: dict[str, Any] = {"type": "array", "items": {"type": "string"}}
_ENVIRONMENT: dict[str, Any] = {"type": "object", "additionalProperties": {"type": "string"}}
_PROCESS: dict[str, Any] = {
    "command": {"type": "string", "minLength": 1},
    "args": _TEXTS,
    "env": _ENVIRONMENT,
}
_STDIO: dict[str, Any] = {"const": "stdio"}


def _file(
    key: str,
    server: Mapping[str, Any],
    *,
    required: tuple[str, ...] = ("command",),
    **more: Any,
) -> dict[str, Any]:
    return {
        "type": "object",
        "required": [key],
        "additionalProperties": False,
        "properties": {
            key: {
                "type": "object",
                "minProperties": 1,
                "additionalProperties": {
                    "type": "object",
                    "required": list(required),
                    "additionalProperties": False,
                    "properties": {**_PROCESS, **server},
                },
            },
            **more,
        },
    }


@dataclass(frozen=True)
class HostFormat:
    """A host's file: where the servers stand, what is valid, and how variables are put in."""

    schema: Mapping[str, Any]
    expand: Callable[[str, Variables], str]
    key: str = "mcpServers"
    knows_variables: bool = True


def _as_written(value: str, _: Variables) -> str:
    return value


def _replacing(pattern: str) -> Callable[[str, Variables], str]:
    """Put in variables by name; `default` is the pattern's group for what holds without one."""
    compiled = re.compile(pattern)

    def expand(value: str, variables: Variables) -> str:
        def put_in(found: re.Match[str]) -> str:
            groups = found.groupdict()
            name, default = groups["name"], groups.get("default")
            return variables[name] if default is None else variables.get(name, default)

        return compiled.sub(put_in, value)

    return expand


_CURLY_ENV = _replacing(r"\$\{env:(?P<name>\w+)\}")

# code.visualstudio.com/docs/copilot/reference/mcp-configuration, "Input variable properties".
_INPUTS: dict[str, Any] = {
    "type": "array",
    "items": {
        "type": "object",
        "required": ["type", "id", "description"],
        "additionalProperties": False,
        "properties": {
            "type": {"const": "promptString"},
            "id": {"type": "string", "pattern": "^[a-z][a-z-]*$"},
            "description": {"type": "string"},
            "password": {"type": "boolean"},
        },
    },
}

FORMATS: dict[str, HostFormat] = {
    # modelcontextprotocol.io/quickstart/user. Variables arrive as they are written.
    "claude-desktop/claude_desktop_config.json": HostFormat(
        _file("mcpServers", {}), _as_written, knows_variables=False
    ),
    # code.claude.com/docs/en/mcp, "Environment variable expansion in .mcp.json".
    "claude-code/.mcp.json": HostFormat(
        _file("mcpServers", {"type": _STDIO}),
        _replacing(r"\$\{(?P<name>\w+)(?::-(?P<default>[^}]*))?\}"),
    ),
    # cursor.com/docs/mcp, "STDIO server configuration" and "Config interpolation".
    "cursor/.cursor/mcp.json": HostFormat(
        _file("mcpServers", {"type": _STDIO, "envFile": {"type": "string"}}), _CURLY_ENV
    ),
    # code.visualstudio.com/docs/copilot/reference/mcp-configuration.
    "vscode/.vscode/mcp.json": HostFormat(
        _file(
            "servers",
            {"type": _STDIO, "envFile": {"type": "string"}},
            required=("type", "command"),
            inputs=_INPUTS,
        ),
        _replacing(r"\$\{input:(?P<name>[a-z-]+)\}"),
        key="servers",
    ),
    # docs.windsurf.com/windsurf/cascade/mcp, "mcp_config.json" and "Config interpolation".
    "windsurf/mcp_config.json": HostFormat(_file("mcpServers", {}), _CURLY_ENV),
    # github.com/google-gemini/gemini-cli/blob/main/docs/tools/mcp-server.md.
    "gemini-cli/.gemini/settings.json": HostFormat(
        _file(
            "mcpServers",
            {
                "cwd": {"type": "string"},
                "timeout": {"type": "integer", "minimum": 1},
                "trust": {"type": "boolean"},
                "includeTools": _TEXTS,
                "excludeTools": _TEXTS,
            },
        ),
        _replacing(r"\$(?P<name>\w+)"),
    ),
    # Claude Code's format too.
    "sandbox/.mcp.json": HostFormat(_file("mcpServers", {"type": _STDIO}), _as_written),
}
