"""`mixpanel-mcp import`: the same import as the tool's, on files that a person names."""

import ctypes
import glob
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

from mixpanel_mcp.api.client import MixpanelClient
from mixpanel_mcp.api.errors import MixpanelError, RefusedError
from mixpanel_mcp.api.upstream import Upstream
from mixpanel_mcp.files.errors import OutsideError
from mixpanel_mcp.files.folder import Folder
from mixpanel_mcp.files.sources import OWN_ENDINGS
from mixpanel_mcp.operation import Answer, Call, Effect, Status
from mixpanel_mcp.operations.event_freight import EventFreight, columns_of
from mixpanel_mcp.operations.events import ImportEvents, import_identity
from mixpanel_mcp.operations.file_import import NamedFile, import_files
from mixpanel_mcp.safety.audit import AuditEntry, AuditTrail
from mixpanel_mcp.safety.gate import ConfirmationRequiredError, Gate
from mixpanel_mcp.safety.redaction import redactor
from mixpanel_mcp.safety.verdict import Verdict
from mixpanel_mcp.sanitize import clean, clean_data
from mixpanel_mcp.settings import Connection, Policy

# The numbers of M_TRIM_THRESHOLD, M_TOP_PAD and M_MMAP_THRESHOLD, and bytes.
_MALLOC = {-1: 256 * 2**20, -2: 16 * 2**20, -3: 128 * 2**20}

DONE, PARTLY, WRONG, REFUSED, STOPPED, INTERRUPTED = 0, 1, 2, 3, 4, 130


@dataclass(frozen=True)
class Order:
    """What the command line asks for."""

    files: Sequence[str]
    mapping: Mapping[str, str] = field(default_factory=dict[str, str])
    default_event: str | None = None
    dry_run: bool = False
    confirm: bool = False
    project_id: int | None = None


@dataclass(frozen=True)
class Outcome:
    """What to print, and the code to exit with."""

    data: Mapping[str, Any]
    text: str
    code: int


class _FlagOnly:
    """`--confirm` was typed or it was not; under `confirmation = human` that is nobody's yes."""

    async def ask(self, question: str, binding: str = "") -> Verdict:
        del question, binding
        return Verdict.NOBODY_TO_ASK


async def import_from_command_line(
    connection: Connection, policy: Policy, order: Order, say: Callable[[str], None]
) -> Outcome:
    """Import files; `say` gets a line of progress now and then."""
    _keep_freed_memory()
    arguments = ImportEvents(
        file=", ".join(order.files), confirm=order.confirm, project_id=order.project_id
    )
    entry = AuditEntry(
        tool="import (command line)",
        connection=connection.name,
        project=order.project_id or connection.project_id,
        region=connection.region.value,
        arguments={"files": [*order.files], **dict(order.mapping)},
    )
    secrets: list[str] = []
    trail = AuditTrail(policy.audit_log)
    gate = Gate(
        connection=connection,
        policy=policy,
        project_id=entry.project,
        confirm=order.confirm,
        asker=_FlagOnly(),
        entry=entry,
        secrets=secrets,
        all_connections=[connection],
    )
    upstream = Upstream(connection)
    call = Call(
        client=MixpanelClient(upstream),
        policy=policy,
        files_root=None,
        arguments=arguments,
        guard=gate,
        progress=_Progress(say),
    )
    try:
        outcome = await _outcome(call, order, arguments)
        entry.outcome = str(outcome.data["status"])
    finally:
        await upstream.close()
        if entry.effect != Effect.READS.name and not order.dry_run:
            entry.outcome = entry.outcome or "crashed or cancelled"
            trail.record(entry)
    redact = redactor([connection], secrets)
    data = cast("dict[str, Any]", redact.data(clean_data(outcome.data)))
    return Outcome(data, redact.text(outcome.text), outcome.code)


def _keep_freed_memory() -> None:
    """Let glibc keep what is freed: each batch would fetch its megabyte from the system anew.

    That is a twentieth of an import's time, for a few megabytes that stay.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None) if sys.platform == "linux" else None
    if mallopt is not None:
        for parameter, size in _MALLOC.items():
            mallopt(parameter, size)


async def _outcome(call: Call, order: Order, arguments: ImportEvents) -> Outcome:
    try:
        query, credential = import_identity(call, arguments)
        freight = EventFreight(call, query, credential, order.mapping, order.default_event)
        with ExitStack() as held:
            files = [_named(held, path) for path in _meant(order.files)]
            answer = await import_files(
                call, files, freight, columns_of(order.mapping), dry_run=order.dry_run
            )
    except ConfirmationRequiredError as needed:
        would = needed.data.get("would")
        text = f"Nothing was sent yet. This would {would}. If that is meant, add --confirm."
        data = {"status": Status.CONFIRMATION_REQUIRED.value, "error": text, **needed.data}
        return Outcome(data, text, REFUSED)
    except MixpanelError as error:
        refused = isinstance(error, RefusedError)
        status = Status.REFUSED if refused else Status.FAILED
        data = {"status": status.value, "error": str(error), **error.data}
        return Outcome(data, str(error), REFUSED if refused else STOPPED)
    return _as_outcome(answer)


def _meant(paths: Sequence[str]) -> list[str]:
    """The files that paths and patterns mean; a shell may have spelled patterns out already."""
    found: list[str] = []
    for path in paths:
        if Path(path).exists() or not glob.has_magic(path):
            found.append(path)
            continue
        # A pattern may begin at the root, where Path.glob cannot.
        matching = [each for each in sorted(glob.glob(path)) if not each.endswith(OWN_ENDINGS)]  # noqa: PTH207
        if not matching:
            raise RefusedError(f"Nothing was sent: {path!r:.200} means no file.")
        found += matching
    return list(dict.fromkeys(found))


def _named(held: ExitStack, path: str) -> NamedFile:
    try:
        # A link that a person names is followed once, here.
        file = Path(path).resolve(strict=True)
        return NamedFile(held.enter_context(Folder.opened(file.parent)), file.name)
    except (OutsideError, OSError, ValueError) as error:
        said = getattr(error, "strerror", None) or error
        raise RefusedError(f"Nothing was sent: {path!r:.200}: {said}.") from error


def _as_outcome(answer: Answer) -> Outcome:
    data = {"status": answer.status.value, **answer.data, "notes": [*answer.notes]}
    lines = [answer.headline]
    if answer.table is not None:
        lines.append(" | ".join(answer.table.columns))
        lines += [" | ".join(clean(str(cell)) for cell in row) for row in answer.table.rows]
    lines += [f"Note: {note}" for note in answer.notes]
    stopped = any(each["not_sent"] for each in answer.data.get("files", ()))
    code = STOPPED if stopped else DONE if answer.complete else PARTLY
    return Outcome(data, "\n".join(lines), code)


class _Progress:
    """A line now and then, not one a request."""

    def __init__(self, say: Callable[[str], None], seconds: float = 1.0) -> None:
        self._say = say
        self._seconds = seconds
        self._said = time.monotonic()

    async def __call__(self, done: float, total: float | None, message: str) -> None:
        del done, total
        now = time.monotonic()
        if now - self._said >= self._seconds:
            self._said = now
            self._say(message)
