"""Events in: as they happen (`/track`), or from the past (`/import`)."""

import json
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from pydantic import Field

from mixpanel_mcp.api.client import project_token
from mixpanel_mcp.api.errors import RefusedError
from mixpanel_mcp.api.replies import Reply, failure
from mixpanel_mcp.api.request import Credential, Request, pairs, switch
from mixpanel_mcp.json_values import is_object
from mixpanel_mcp.operation import Answer, Call, Effect, InProject, Write, operation
from mixpanel_mcp.operations.acknowledgement import failed_records, require_known_outcome
from mixpanel_mcp.operations.arguments import Records, WebAddress
from mixpanel_mcp.operations.batches import (
    BatchResult,
    Tally,
    acknowledged_batch,
    answer_for,
    ingestion_post,
    send_in_batches,
)
from mixpanel_mcp.operations.event_records import prepare_events
from mixpanel_mcp.sanitize import counted

_IN_FLIGHT = 4


class TrackEvents(Write):
    """Arguments of track_events."""

    events: Records = Field(
        description="Events: {event, properties: {distinct_id, time?, $insert_id?, ...}}. "
        "time: ISO, or seconds or ms since 1970; now if missing."
    )
    ip: bool = Field(default=False, description="Locate users by this server's IP address.")
    verbose: bool = Field(default=True, description="Ask for the reason of a failure.")
    redirect: WebAddress | None = Field(
        default=None, description="Legacy; never followed, and hides the outcome."
    )
    img: bool = Field(default=False, description="Ask for a pixel, which hides the outcome.")
    use_project_token: bool = Field(
        default=True, description="No effect: the project token in each event decides here."
    )


class ImportEvents(Write, InProject):
    """Arguments of import_events."""

    events: Records = Field(
        description="Events: {event, properties: {distinct_id, time, $insert_id?, ...}}. "
        "time: ISO, or seconds or ms since 1970, UTC."
    )
    use_project_token: bool = Field(
        default=False, description="Authenticate with the project token, not the service account."
    )


@operation(
    title="Track events",
    toolset="events",
    effect=Effect.ADDS,
    docs="ingestion.openapi.yaml /track",
)
async def track_events(call: Call, args: TrackEvents) -> Answer:
    """Send events that happen now (up to 5 days old); use import_events for older ones.

    Any number of events goes out in batches. Mixpanel only acknowledges them: whether they can be
    queried shows some minutes later.
    """
    prepared = prepare_events(args.events, token=project_token(call.connection), importing=False)
    query = pairs(
        {
            "ip": switch(args.ip),
            "verbose": switch(args.verbose),
            "redirect": args.redirect,
            "img": "1" if args.img else None,
        }
    )

    def build(events: Sequence[Any]) -> Request:
        return ingestion_post(call, "/track", query, events)

    def read(request: Request, reply: Reply, count: int) -> BatchResult:
        result = acknowledged_batch(request, reply, count)
        if result.accepted:
            require_known_outcome(request, redirect=args.redirect, img=args.img)
        return result

    tally = await send_in_batches(
        call,
        prepared.events,
        build=build,
        read=read,
        in_flight=_IN_FLIGHT,
    )
    notes = list(prepared.notes)
    if not args.use_project_token:
        notes.append(
            "/track knows the project by the token in each event alone; the service account was "
            "not sent"
        )
    return answer_for(tally, _headline(tally, "acknowledged"), notes)


@operation(
    title="Import events",
    toolset="events",
    effect=Effect.ADDS,
    idempotent=True,
    docs="ingestion.openapi.yaml /import",
)
async def import_events(call: Call, args: ImportEvents) -> Answer:
    """Import past events of any age; says of each rejected event its index, field and reason.

    Any number goes out in batches. Sending an event again is safe: Mixpanel counts one per event,
    time, distinct_id and $insert_id.
    """
    prepared = prepare_events(args.events, token=None, importing=True)
    query, credential = _import_identity(call, args)

    def build(events: Sequence[Any]) -> Request:
        request = ingestion_post(call, "/import", query, events, credential=credential)
        return replace(request, compress=True)

    tally = await send_in_batches(
        call,
        prepared.events,
        build=build,
        read=_imported,
        in_flight=_IN_FLIGHT,
    )
    for row in tally.rejected:
        row["insert_id"] = prepared.events[row["index"]]["properties"]["$insert_id"]
    return answer_for(tally, _headline(tally, "imported"), prepared.notes)


def _import_identity(
    call: Call, args: ImportEvents
) -> tuple[tuple[tuple[str, str], ...], Credential]:
    """Query and credential: a project id goes with a service account, and never with a token."""
    if not args.use_project_token:
        fields = {"strict": "1", "project_id": call.project()}
        return pairs(fields), Credential.SERVICE_ACCOUNT
    if args.project_id not in {None, call.connection.project_id}:
        raise RefusedError(
            "Nothing was sent: with use_project_token the token names the project, so project_id "
            "cannot name another one. Leave one of the two out."
        )
    project_token(call.connection)
    return pairs({"strict": "1"}), Credential.PROJECT_TOKEN


def _headline(tally: Tally, verb: str) -> str:
    rejected = f"; {len(tally.rejected)} rejected" if tally.rejected else ""
    return f"Mixpanel {verb} {tally.accepted} of {counted(tally.total, 'event')}{rejected}."


def _imported(request: Request, reply: Reply, count: int) -> BatchResult:
    """Read `/import`'s answer: a 400 is partial success, and a 200 may still say less than all."""
    document = _document(reply)
    explained = document is not None and "failed_records" in document
    if reply.status != 200 and not (reply.status == 400 and explained):
        raise failure(request, reply)
    if document is None or "num_records_imported" not in document:
        return acknowledged_batch(request, reply, count)
    rejected, _ = failed_records(document, count)
    imported = document["num_records_imported"]
    believable = isinstance(imported, int) and not isinstance(imported, bool) and imported >= 0
    accepted = min(imported, count - len(rejected)) if believable else 0
    if reply.status == 400 and not rejected and not accepted:
        raise failure(request, reply)
    return BatchResult(accepted, rejected)


def _document(reply: Reply) -> dict[str, Any] | None:
    try:
        document: object = json.loads(reply.body)
    except (ValueError, RecursionError):
        return None
    return document if is_object(document) else None
