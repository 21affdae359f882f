"""Exports that are there: listed, looked at, deleted."""

import json
from pathlib import Path
from typing import Any

import anyio.to_thread
from pydantic import Field

from mixpanel_mcp.api.errors import FailedError, InvalidArgumentsError, RefusedError
from mixpanel_mcp.files.exports import Export, ExportInUseError, NoSuchExportError
from mixpanel_mcp.files.inflating import DamagedError, Unpacker
from mixpanel_mcp.json_values import is_object
from mixpanel_mcp.operation import (
    Answer,
    Arguments,
    Call,
    Effect,
    Status,
    Table,
    Write,
    operation,
)
from mixpanel_mcp.operations.export_files import exports_of, room_for, slices_table, summary
from mixpanel_mcp.sanitize import counted, quoted

_PREVIEW = 10
_READ = 256 * 1024


class ListExports(Arguments):
    """Arguments of list_exports."""


class GetExport(Arguments):
    """Arguments of get_export."""

    id: str = Field(description="As list_exports shows it.")


class DeleteExport(Write):
    """Arguments of delete_export."""

    id: str = Field(description="As list_exports shows it.")


@operation(
    title="List exports",
    toolset="export",
    effect=Effect.READS,
    docs="export.openapi.yaml /export",
    needs_files=True,
)
async def list_exports(call: Call, args: ListExports) -> Answer:
    """List the exports on the server's machine, the newest first. It costs no export."""
    del args
    exports = exports_of(call)
    await anyio.to_thread.run_sync(room_for, exports, call)
    found = [each for each in await anyio.to_thread.run_sync(exports.all) if _may_see(call, each)]
    columns = ["id", "kind", "format", "records", "bytes", "complete", "made"]
    rows = [[summary(each)[name] for name in columns] for each in found]
    return Answer(
        headline=f"{counted(len(found), 'export')}." if found else "There is no export yet.",
        data=[summary(each) for each in found],
        table=Table(columns=columns, rows=rows) if rows else None,
    )


@operation(
    title="Get export",
    toolset="export",
    effect=Effect.READS,
    docs="export.openapi.yaml /export",
    needs_files=True,
)
async def get_export(call: Call, args: GetExport) -> Answer:
    """Show an export's manifest (each file with count, bytes, SHA-256) and its first records."""
    export = await found_export(call, args.id)
    first = await anyio.to_thread.run_sync(first_records, export)
    slices = export.manifest.as_data()["slices"]
    state = "complete" if export.manifest.complete else "not complete"
    return Answer(
        headline=f"Export {export.manifest.id}: {counted(export.manifest.records, 'record')} in "
        f"{counted(len(slices), 'file')}, {state}, in {export.folder}.",
        data={**summary(export), "files": slices, "schema": _schema(export), "first": first},
        table=slices_table(export.manifest),
        complete=export.manifest.complete,
        next={"tool": "describe_export", "arguments": {"id": export.manifest.id}},
    )


@operation(
    title="Delete export",
    toolset="export",
    effect=Effect.OVERWRITES,
    docs="export.openapi.yaml /export",
    idempotent=True,
    needs_files=True,
)
async def delete_export(call: Call, args: DeleteExport) -> Answer:
    """Delete an export's files from the server's machine. Nothing changes in Mixpanel.

    The same download_data fetches it again, as long as Mixpanel has the events.
    """
    export = await found_export(call, args.id)
    what = f"export {export.manifest.id} ({counted(export.manifest.records, 'record')})"
    if not args.confirm:
        return Answer(
            headline=f"Nothing was deleted yet. This would delete {what} from this server's disk. "
            "If that is what the person wants, call again with the same arguments and "
            "confirm=true.",
            data={"would": f"delete {what}", **summary(export)},
            status=Status.CONFIRMATION_REQUIRED,
            complete=False,
            next={"tool": "delete_export", "arguments": {"id": args.id, "confirm": True}},
        )
    try:
        await anyio.to_thread.run_sync(exports_of(call).delete, export)
    except ExportInUseError as error:
        raise RefusedError(f"Nothing was deleted: a call works on {what} now.") from error
    except OSError as error:
        raise FailedError(f"Not all of {what} could be deleted: {error.strerror}.") from error
    return Answer(headline=f"Deleted {what}.", data={"deleted": export.manifest.id})


async def found_export(call: Call, name: str) -> Export:
    """The export of an id, if this call may see it.

    Raises:
        InvalidArgumentsError: there is none.
        NotConfiguredError: there is no folder for files.
    """
    try:
        export = await anyio.to_thread.run_sync(exports_of(call).find, name)
    except NoSuchExportError:
        export = None
    if export is None or not _may_see(call, export):
        raise InvalidArgumentsError(
            [f"id: there is no export {quoted(name)}; list_exports lists those there are"]
        )
    return export


def _may_see(call: Call, export: Export) -> bool:
    """Whether the operator lets calls name the project that it is of."""
    allowed = {str(project) for project in call.policy.allowed_projects}
    return not allowed or export.manifest.project in allowed


def _schema(export: Export) -> dict[str, str]:
    manifest = export.manifest
    if manifest.kind == "profiles":
        return {"distinct_id": "text", "properties": "json"}
    own = {
        "event": "text",
        "distinct_id": "text",
        "time": "timestamp, UTC",
        "insert_id": "text",
        "processed": "milliseconds",
        "properties": "json",
    }
    if manifest.format == "parquet":
        return own | dict(manifest.arguments.get("columns") or {})
    return {"event": "text", "properties": "object"}


def first_records(export: Export) -> list[Any]:
    """The first few records of files of lines; Parquet is shown by describe_export."""
    found: list[Any] = []
    for path in export.files():
        if path.suffix == ".parquet":
            break
        try:
            found += _first_lines(path, _PREVIEW - len(found))
        except (OSError, DamagedError):
            break  # it is no longer what it was; the manifest still says what that is
        if len(found) >= _PREVIEW:
            break
    return found


def _first_lines(path: Path, most: int) -> list[Any]:
    with path.open("rb") as file:
        data = file.read(_READ)
    if path.name.endswith(".gz"):
        data = b"".join(piece for piece, _ in zip(Unpacker().take(data), range(8), strict=False))
    records: list[Any] = []
    for line in data.split(b"\n")[:-1][:most]:
        try:
            record: object = json.loads(line)
        except (ValueError, RecursionError):
            break
        if is_object(record):
            records.append(record)
    return records
