"""`/track` and `/import`: events in.

Sources: `ingestion.openapi.yaml`, reference pages `track-event`, `import-events`. "Events without
a valid token will be ignored" (`event-deduplication`): they are answered with `1` and not stored.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

from anyio import to_thread
from starlette.responses import JSONResponse, Response

from mixpanel_mcp.analytics.events import Event, add_events
from mixpanel_mcp.sandbox.acknowledgement import Receipt, acknowledge
from mixpanel_mcp.sandbox.authentication import is_our_token, require_importer
from mixpanel_mcp.sandbox.bodies import MissingDataError, Submission, read_submission
from mixpanel_mcp.sandbox.identities import OriginalIdentities, is_identity
from mixpanel_mcp.sandbox.json_values import is_object
from mixpanel_mcp.sandbox.replies import refused_ingestion
from mixpanel_mcp.sandbox.simplified_identities import SimplifiedIdentities
from mixpanel_mcp.sandbox.state import Project, project_of
from mixpanel_mcp.sandbox.validation import (
    InvalidRecordError,
    event_parts,
    imported_event,
    insert_id_of,
    leniently_imported_event,
    tracked_event,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.requests import Request

MOST_RECORDS = 2_000


async def track(request: Request) -> Response:
    try:
        submission = await read_submission(request)
    except MissingDataError as error:
        nothing = Submission([], dict(request.query_params))
        return acknowledge(nothing, Receipt(error=str(error)))
    admit(request, submission)
    caller = None
    if submission.on("ip") and request.client:
        caller = hashlib.sha256(request.client.host.encode()).hexdigest()[:32]
    return await to_thread.run_sync(_track, project_of(request), submission, caller)


async def import_events(request: Request) -> Response:
    require_importer(request)
    try:
        submission = await read_submission(request)
    except MissingDataError as error:
        if request.query_params.get("strict") != "1":
            nothing = Submission([], dict(request.query_params))
            return acknowledge(nothing, Receipt(error=str(error)))
        raise refused_ingestion(
            400, str(error), num_records_imported=0, failed_records=[]
        ) from error
    admit(request, submission)
    work = _import_strictly if submission.switches.get("strict") == "1" else _import_leniently
    return await to_thread.run_sync(work, project_of(request), submission)


def admit(request: Request, submission: Submission) -> None:
    """Let a batch in that is neither too large nor too soon, or refuse."""
    if len(submission.records) > MOST_RECORDS:
        raise refused_ingestion(413, f"request exceeds max limit of {MOST_RECORDS} records")
    rate_limits = project_of(request).rate_limits
    if rate_limits is not None:
        rate_limits.admit(request.url.path, submission)


def _track(project: Project, submission: Submission, caller: str | None) -> Response:
    now = project.clock.now()

    def check(record: object) -> Event | None:
        event_parts(record)
        return tracked_event(record, now, caller) if _has_our_token(record) else None

    receipt = _store(project, submission.records, check, importing=False)
    return acknowledge(submission, receipt)


def _import_strictly(project: Project, submission: Submission) -> Response:
    now = project.clock.now()
    receipt = _store(
        project, submission.records, lambda record: imported_event(record, now), importing=True
    )
    if receipt.failures:
        raise refused_ingestion(
            400,
            "some data points in the request failed validation",
            num_records_imported=receipt.accepted,
            failed_records=receipt.failures,
        )
    return JSONResponse({"code": 200, "num_records_imported": receipt.accepted, "status": "OK"})


def _import_leniently(project: Project, submission: Submission) -> Response:
    now = project.clock.now()
    receipt = _store(
        project,
        submission.records,
        lambda record: leniently_imported_event(record, now),
        importing=True,
    )
    return acknowledge(submission, receipt)


def _store(
    project: Project,
    records: list[Any],
    check: Callable[[object], Event | None],
    *,
    importing: bool,
) -> Receipt:
    """Store the good ones, and say of each bad one what is wrong with it."""
    receipt = Receipt()
    events: list[Event] = []
    with project.store.transaction():
        identities = _identities(project, records)
        for index, record in enumerate(records):
            try:
                if is_identity(record) and (importing or _has_our_token(record)):
                    event = identities.event(record, project.clock.now(), importing=importing)
                else:
                    event = check(identities.identified(record))
            except InvalidRecordError as error:
                receipt.failures.append(_failure(index, record, error))
                continue
            receipt.accepted += 1
            # `bot-traffic`: an event with a truthy `$ignore` is dropped without a word.
            if event and not _properties(record).get("$ignore"):
                events.append(event)
                identities.note(record, event)
        add_events(project.store, events)
        identities.save()
    return receipt


def _identities(project: Project, records: list[Any]) -> OriginalIdentities | SimplifiedIdentities:
    if project.id_merge == "simplified":
        return SimplifiedIdentities(project.store)
    return OriginalIdentities(project.store, records)


def _failure(index: int, record: object, error: InvalidRecordError) -> dict[str, Any]:
    return {
        "index": index,
        "insert_id": insert_id_of(record).encode(errors="replace").decode(),
        "field": error.field.encode(errors="replace").decode(),
        "message": error.message.encode(errors="replace").decode(),
    }


def _has_our_token(record: object) -> bool:
    return is_our_token(_properties(record).get("token"))


def _properties(record: object) -> dict[str, Any]:
    properties = record.get("properties") if is_object(record) else None
    return properties if is_object(properties) else {}
