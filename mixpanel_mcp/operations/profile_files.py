"""All profiles into files: page after page, each proved and kept, so that none comes twice."""

import hashlib
import json
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import anyio.to_thread

from mixpanel_mcp.api.errors import (
    BudgetSpentError,
    FailedError,
    MixpanelError,
    RejectedError,
    UnreadableReplyError,
)
from mixpanel_mcp.api.replies import failure
from mixpanel_mcp.api.request import Request, compact_json
from mixpanel_mcp.files.exports import Export, Manifest, Slice
from mixpanel_mcp.files.root import own_folder
from mixpanel_mcp.files.slices import NoRoomError, Room, SliceFile, Written
from mixpanel_mcp.json_values import is_list, is_object
from mixpanel_mcp.operation import Answer, Call, Status
from mixpanel_mcp.operations.export_files import (
    begun,
    exports_of,
    room_for,
    slices_table,
    summary,
)
from mixpanel_mcp.operations.export_slices import unsaved
from mixpanel_mcp.sanitize import counted

_PAGE_SIZE = 1000
_FOLDER = "pages"

# The request for a page of a session; page 0 begins one.
PageOf = Callable[[int, str | None], Request]


async def profiles_to_files(call: Call, arguments: Mapping[str, Any], page_of: PageOf) -> Answer:
    """Page through everything that matches; each page is one of the project's 60 queries an hour.

    Raises:
        RefusedError: there is no folder for files, or another call works on the same export.
        MixpanelError: nothing came at all.
    """
    exports = exports_of(call)
    call.take_export_time()
    room = await anyio.to_thread.run_sync(room_for, exports, call)
    with begun(exports, _manifest(call, arguments)) as export:
        try:
            own_folder(export.folder, _FOLDER)
        except OSError as error:
            raise FailedError(
                f"The export could not be written to a file: {error.strerror}."
            ) from error
        run = _Pages(call, export, page_of, room)
        try:
            await run.fetch()
            error = None
        except MixpanelError as stopped:
            if not export.manifest.slices:
                raise
            error = stopped
    return _answer(export, run.fetched, error)


def _manifest(call: Call, arguments: Mapping[str, Any]) -> Manifest:
    project, workspace = call.project(), call.workspace_id
    identity = compact_json([project, workspace, call.region.value, dict(arguments)])
    digest = hashlib.sha256(identity.encode()).hexdigest()[:8]
    now = datetime.fromtimestamp(call.client.pacing.now(), UTC)
    return Manifest(
        id=f"profiles-{digest}",
        kind="profiles",
        format="ndjson",
        project=str(project),
        region=call.region.value,
        arguments={**arguments, "workspace_id": workspace},
        made=now.isoformat(timespec="seconds"),
    )


class _Pages:
    def __init__(self, call: Call, export: Export, page_of: PageOf, room: Room) -> None:
        self._call = call
        self._export = export
        self._page_of = page_of
        self._room = room
        self.fetched = 0

    async def fetch(self) -> None:
        """Fetch what is missing.

        Raises:
            MixpanelError: it stopped before the end; the pages that came are kept.
        """
        if self._export.manifest.complete:
            return
        position = self._export.manifest.position
        session, page = position.get("session_id"), position.get("page", 0)
        if page and not isinstance(session, str):
            session, page = None, 0
        resumed = page > 0
        while True:
            try:
                profiles, size, session, total = await self._page(page, session)
            except RejectedError as error:
                if not resumed or error.status != 400:
                    raise
                # Mixpanel forgets a session after a while; its pages belong together.
                resumed, session, page = False, None, 0
                self._saved(self._export.forget)
                continue
            resumed = False
            more = len(profiles) >= size and session is not None
            await self._keep(page, profiles, {"session_id": session, "page": page + 1})
            page += 1
            await self._call.progress(
                self._export.manifest.records, total, f"{self._export.manifest.records} profiles"
            )
            if not more:
                break
        self._saved(self._export.close)

    async def _page(
        self, page: int, session: str | None
    ) -> tuple[list[dict[str, Any]], int, str | None, int | None]:
        request = self._page_of(page, session)
        reply = await self._call.send(request)
        if reply.status != 200:
            raise failure(request, reply)
        document: object = reply.json()
        profiles = document.get("results") if is_object(document) else None
        if not is_object(document) or not is_list(profiles) or not all(map(is_object, profiles)):
            raise UnreadableReplyError(
                "Mixpanel's answer has no list of profiles, although its specification promises "
                "one. Nothing can be concluded from it; try once more."
            )
        size, total = document.get("page_size"), document.get("total")
        named = document.get("session_id")
        return (
            profiles,
            size if isinstance(size, int) and size > 0 else _PAGE_SIZE,
            named if isinstance(named, str) and named else None,
            total if isinstance(total, int) and total >= 0 else None,
        )

    async def _keep(
        self, page: int, profiles: list[dict[str, Any]], position: Mapping[str, Any]
    ) -> None:
        key = f"{page:06}"
        file = f"{_FOLDER}/page-{key}.ndjson"
        try:
            written = await anyio.to_thread.run_sync(partial(self._written, file, profiles))
        except NoRoomError as error:
            raise FailedError(
                "The exports would take more than the operator allows (EXPORT_MAX_BYTES). Delete "
                "exports that are no longer needed (delete_export), or ask for less."
            ) from error
        except OSError as error:
            raise FailedError(
                f"The file could not be written to its end: {error.strerror}. The pages before "
                "are kept; call again with the same arguments once there is room."
            ) from error
        one = Slice(
            key=key,
            file=file,
            records=len(profiles),
            bytes=written.bytes,
            unpacked_bytes=written.unpacked_bytes,
            sha256=written.sha256,
            fetched=datetime.fromtimestamp(self._call.client.pacing.now(), UTC).isoformat(),
        )
        self._saved(partial(self._export.record, one, position), self._export.path(one))
        self.fetched += 1

    def _written(self, file: str, profiles: list[dict[str, Any]]) -> Written:
        with SliceFile(
            self._export.folder / file,
            arrives_packed=False,
            kept_packed=False,
            room=self._room,
            hashed=True,
        ) as out:
            for profile in profiles:
                out.take(json.dumps(_whole(profile), ensure_ascii=False).encode() + b"\n")
            return out.finish()

    def _saved(self, save: Callable[[], None], file: Path | None = None) -> None:
        """Save the manifest; a file that it could not take in goes."""
        try:
            save()
        except OSError as error:
            if file is not None:
                file.unlink(missing_ok=True)
            raise unsaved(error) from error


def _whole(profile: Mapping[str, Any]) -> dict[str, Any]:
    """A profile with the two fields that every one has; ids are texts."""
    properties = profile.get("$properties")
    return {
        **profile,
        "$distinct_id": str(profile.get("$distinct_id", "")),
        "$properties": properties if is_object(properties) else {},
    }


def _answer(export: Export, fetched: int, error: MixpanelError | None) -> Answer:
    manifest = export.manifest
    there = (
        f"{counted(manifest.records, 'profile')} are in export {manifest.id}: {export.folder} "
        f"({manifest.bytes} bytes, ndjson)."
    )
    data = summary(export) | {"pages": len(manifest.slices), "fetched_now": fetched}
    notes: list[str] = []
    if error is not None:
        there += (
            f" The rest is missing: {error} What is there is kept: call again with the same "
            "arguments, and it goes on from there."
        )
        if isinstance(error, BudgetSpentError):
            data["next_slot"] = error.data.get("next_slot")
    elif not fetched:
        notes.append(
            "it was there already, so this cost no query; delete_export first to fetch it anew"
        )
    return Answer(
        headline=there,
        data=data,
        table=slices_table(manifest),
        notes=notes,
        status=Status.OK if error is None else Status.PARTIAL,
        complete=error is None,
        next=None
        if error is not None
        else {"tool": "describe_export", "arguments": {"id": manifest.id}},
    )
