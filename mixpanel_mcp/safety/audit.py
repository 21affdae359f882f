"""One JSON line for each call that writes, or tried to."""

import hashlib
import json
import logging
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self

from mixpanel_mcp.logs import told
from mixpanel_mcp.operation import Effect, Operation
from mixpanel_mcp.settings import Connection

_log = logging.getLogger("mixpanel_mcp.audit")


@dataclass
class AuditEntry:
    """What is known of a call; of its arguments only a digest is written."""

    tool: str
    connection: str
    project: int | None
    region: str
    arguments: Mapping[str, Any]
    effect: str = Effect.READS.name
    count: int = 0
    confirmed: str = "not needed"
    outcome: str = ""
    caller: str | None = None

    @classmethod
    def of(
        cls,
        row: Operation,
        connection: Connection,
        given: Mapping[str, Any],
        caller: str | None = None,
    ) -> Self:
        """The entry of a call that has just come, for the connection's own project."""
        return cls(
            tool=row.name,
            connection=connection.name,
            project=connection.project_id,
            region=connection.region.value,
            arguments=given,
            caller=caller,
        )


class AuditTrail:
    """Appends to a file that only its owner reads, or to the log where no file is set."""

    def __init__(self, path: Path | None, is_shared: Callable[[], bool] = lambda: True) -> None:
        """Open the file.

        Args:
            path: the file; the log is used without it.
            is_shared: whether replicas count together; a line says where they do not.

        Raises:
            OSError: the file cannot be written.
        """
        self._path = path
        self._is_shared = is_shared
        if path is not None:
            self._append("")  # a file that cannot be written to is a fault at the start

    def record(self, entry: AuditEntry) -> None:
        now = datetime.now(UTC).isoformat(timespec="milliseconds")
        fields = {**_fields(entry), **({} if self._is_shared() else {"shared": False})}
        line = json.dumps({"time": now, **fields}, ensure_ascii=False)
        if self._path is None:
            said = f"{entry.tool}: {entry.outcome}"
            _log.info("%s", line, extra=told(message=said, **fields))
            return
        try:
            self._append(line + "\n")
        except OSError as error:
            # The call has happened; what is left is to say so where somebody may look.
            said = f"the audit log cannot be written ({error.strerror})"
            _log.error("%s: %s", said, line, extra=told(message=said, **fields))

    def _append(self, text: str) -> None:
        if self._path is None:
            return
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | getattr(os, "O_NOFOLLOW", 0)
        with os.fdopen(os.open(self._path, flags, 0o600), "a", encoding="utf-8") as file:
            file.write(text)


def _fields(entry: AuditEntry) -> dict[str, Any]:
    """In this order; callers are named where there are any."""
    fields = {
        "tool": entry.tool,
        "connection": entry.connection,
        "project": entry.project,
        "region": entry.region,
        "arguments_digest": arguments_digest(entry.arguments),
        "effect": entry.effect,
        "count": entry.count,
        "confirmed": entry.confirmed,
        "outcome": entry.outcome,
    }
    return {**fields, "caller": entry.caller} if entry.caller else fields


def arguments_digest(arguments: Mapping[str, Any]) -> str:
    """A fingerprint by which the same arguments can be recognized, and nothing read.

    `confirm` is left out: asking and doing have the same digest.
    """
    content = {name: value for name, value in arguments.items() if name != "confirm"}
    canonical = json.dumps(content, sort_keys=True, default=str)
    return hashlib.sha256(canonical.encode(errors="replace")).hexdigest()[:32]
