"""Exports that stay: begun or gone on with, and what an answer says of them."""

import hashlib
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import anyio.to_thread

from mixpanel_mcp.api.errors import (
    BudgetSpentError,
    FailedError,
    MixpanelError,
    NotConfiguredError,
    RefusedError,
)
from mixpanel_mcp.api.request import compact_json
from mixpanel_mcp.files.exports import (
    Export,
    ExportInUseError,
    Exports,
    Manifest,
    OtherExportError,
)
from mixpanel_mcp.files.slices import Room
from mixpanel_mcp.operation import Answer, Call, Status, Table
from mixpanel_mcp.operations.export_orders import Order, Outcome
from mixpanel_mcp.operations.export_slices import SlicedExport
from mixpanel_mcp.sanitize import counted


async def download_to_files(call: Call, order: Order) -> Answer:
    """Fetch the days of an order that are missing, and say what is there.

    Raises:
        RefusedError: there is no folder for files, or another call works on the same export.
        MixpanelError: nothing came at all.
    """
    exports = exports_of(call)
    room = await anyio.to_thread.run_sync(room_for, exports, call)
    with begun(exports, manifest_of(order, call.client.pacing.now())) as export:
        run = SlicedExport(
            export,
            order,
            fetch=call.stream_encoded,
            room=room,
            pacing=call.client.pacing,
            progress=call.progress,
        )
        outcome = await run.run(call.client.budget)
    return answer_of(order, outcome)


def exports_of(call: Call) -> Exports:
    """The exports of the call's connection.

    Raises:
        NotConfiguredError: there is no folder for files.
    """
    if call.files is None:
        raise NotConfiguredError(
            "Nothing was sent: exports are files, and no folder is set for files. Ask the person "
            "to set MIXPANEL_MCP_FILES_ROOT (or --files-root) and to restart the server."
        )
    return Exports(call.files.folder)


def room_for(exports: Exports, call: Call) -> Room:
    """What the operator's limits leave, once what is too old is gone."""
    policy = call.policy
    if policy.export_max_days is not None:
        now = datetime.fromtimestamp(call.client.pacing.now(), UTC)
        exports.delete_older_than(policy.export_max_days, now)
    if policy.export_max_bytes is None:
        return Room(None)
    return Room(policy.export_max_bytes - exports.size())


def begun(exports: Exports, manifest: Manifest) -> "HeldExport":
    """Take an export for this call alone.

    Raises:
        FailedError: its folder cannot be made.
    """
    try:
        return HeldExport(exports.begin(manifest))
    except OtherExportError as error:
        raise FailedError(
            f"The folder of export {manifest.id} holds something else: ask the person to look."
        ) from error
    except OSError as error:
        raise FailedError(
            f"The export could not be written to a file: {error.strerror}."
        ) from error


class HeldExport:
    """An export that no other call may touch meanwhile."""

    def __init__(self, export: Export) -> None:
        self._export = export
        self._held = export.held()

    def __enter__(self) -> Export:
        """Take it.

        Raises:
            RefusedError: another call has it.
        """
        try:
            self._held.__enter__()
        except ExportInUseError as error:
            raise RefusedError(
                f"Nothing was sent: another call works on export {self._export.manifest.id} now. "
                "Wait for it, or look at get_export."
            ) from error
        except OSError as error:
            raise FailedError(
                f"The export could not be written to a file: {error.strerror}."
            ) from error
        # What the other one wrote while this one waited to begin counts.
        return Export.at(self._export.folder, self._export.manifest)

    def __exit__(self, *failed: object) -> None:
        self._held.__exit__(None, None, None)


def manifest_of(order: Order, now: float) -> Manifest:
    """An empty manifest for an order, under the id that the same arguments always get."""
    identity = compact_json(
        [order.project, order.region.value, order.format, order.arguments()],
    )
    digest = hashlib.sha256(identity.encode()).hexdigest()[:8]
    return Manifest(
        id=f"events-{order.from_date}-{order.to_date}-{digest}",
        kind="events",
        format=order.format,
        project=str(order.project),
        region=order.region.value,
        arguments=order.arguments(),
        made=datetime.fromtimestamp(now, UTC).isoformat(timespec="seconds"),
    )


def answer_of(order: Order, outcome: Outcome) -> Answer:
    """What is there after a run.

    Raises:
        MixpanelError: nothing is.
    """
    manifest = outcome.export.manifest
    if outcome.error is not None and not manifest.slices:
        raise outcome.error
    missing = len(outcome.missing)
    data = summary(outcome.export) | {
        "fetched_now": outcome.fetched,
        "missing_days": outcome.missing,
        "plan": str(outcome.plan),
    }
    notes = _notes(manifest, outcome)
    if missing:
        data |= _error_data(outcome.error)
    return Answer(
        headline=_headline(order, outcome),
        data=data,
        table=slices_table(manifest),
        notes=notes,
        status=Status.PARTIAL if missing else Status.OK,
        complete=not missing,
        next=None if missing else {"tool": "describe_export", "arguments": {"id": manifest.id}},
        scope={
            "from_date": order.from_date,
            "to_date": order.to_date,
            "time_zone": "UTC (projects from before 2023: the project's)",
        },
    )


def _headline(order: Order, outcome: Outcome) -> str:
    manifest = outcome.export.manifest
    there = (
        f"{counted(manifest.records, 'event')} of {counted(len(manifest.slices), 'day')} are in "
        f"export {manifest.id}: {outcome.export.folder} ({manifest.bytes} bytes, {order.format})."
    )
    if not outcome.missing:
        return there
    return (
        f"{there} {counted(len(outcome.missing), 'day')} are missing: {outcome.error} What is "
        "there is whole and kept: call again with the same arguments, and only the rest is fetched."
    )


def _notes(manifest: Manifest, outcome: Outcome) -> list[str]:
    notes: list[str] = []
    if not outcome.fetched and not outcome.missing:
        notes.append(
            "it was there already, so this cost no export; delete_export first to fetch it anew"
        )
    open_days = [key for key, one in sorted(manifest.slices.items()) if not one.is_final]
    if open_days:
        notes.append(
            f"{open_days[0]} was not over yet when it was fetched: the same call fetches it again"
        )
    if manifest.duplicates:
        notes.append(f"{manifest.duplicates} copies of events were left out")
    elif manifest.kind == "events" and not manifest.arguments.get("deduplicate"):
        notes.append("an export may hold an event more than once; reports count it once")
    if not manifest.records and not outcome.missing and manifest.arguments.get("event_name"):
        notes.append(
            "an empty export does not tell whether the names exist: they are case-sensitive, and "
            "an unknown name is no error"
        )
    return notes


def _error_data(error: MixpanelError | None) -> Mapping[str, Any]:
    if isinstance(error, BudgetSpentError):
        return {"next_slot": error.data.get("next_slot")}
    return {} if error is None else {"stopped_by": str(error), "mixpanel_says": error.said}


def summary(export: Export) -> dict[str, Any]:
    """An export for programs, without its slices."""
    manifest = export.manifest
    return {
        "id": manifest.id,
        "kind": manifest.kind,
        "path": str(export.folder),
        "format": manifest.format,
        "records": manifest.records,
        "bytes": manifest.bytes,
        "duplicates_left_out": manifest.duplicates,
        "made": manifest.made,
        "complete": manifest.complete,
        "project": manifest.project,
        "region": manifest.region,
        "arguments": dict(manifest.arguments),
    }


def slices_table(manifest: Manifest) -> Table | None:
    """A row a file."""
    if not manifest.slices:
        return None
    first = "day" if manifest.kind == "events" else "page"
    rows = [[key, one.records, one.bytes, one.file] for key, one in sorted(manifest.slices.items())]
    return Table(columns=[first, "records", "bytes", "file"], rows=rows)
