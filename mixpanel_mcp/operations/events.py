"""Events in: as they happen (`/track`), or from the past (`/import`)."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from pydantic import Field

from mixpanel_mcp.api.client import project_token
from mixpanel_mcp.api.errors import InvalidArgumentsError, RefusedError
from mixpanel_mcp.api.replies import Reply
from mixpanel_mcp.api.request import Credential, Pairs, Request, pairs, switch
from mixpanel_mcp.operation import Answer, Call, Effect, InProject, Write, operation
from mixpanel_mcp.operations.acknowledgement import require_known_outcome
from mixpanel_mcp.operations.arguments import Mapping, Records, WebAddress
from mixpanel_mcp.operations.batches import (
    BatchResult,
    Tally,
    acknowledged_batch,
    answer_for,
    ingestion_post,
    send_in_batches,
)
from mixpanel_mcp.operations.event_records import prepare_events
from mixpanel_mcp.operations.import_replies import imported_batch
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

    events: Records | None = Field(
        default=None,
        description="Events: {event, properties: {distinct_id, time, $insert_id?, ...}}. "
        "time: ISO, or seconds or ms since 1970, UTC.",
    )
    file: str | None = Field(
        default=None,
        description="Or a file below the files root, or a pattern (*): NDJSON, JSON, CSV, TSV, "
        "Parquet, each also .gz.",
    )
    mapping: Mapping | None = Field(
        default=None,
        description="Columns of flat rows: {event, time, distinct_id, insert_id: COLUMN}; the "
        "others become properties.",
    )
    default_event: str | None = Field(
        default=None, min_length=1, description="Event name of rows that have none."
    )
    dry_run: bool = Field(default=False, description="Check the file, send nothing.")
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
    query, credential = import_identity(call, args)
    if (args.events is None) == (args.file is None):
        raise InvalidArgumentsError(["events, file: pass one of the two"])
    if args.file is not None:
        return await _import_file(call, args, args.file, query, credential)
    if args.events is None or args.dry_run or args.mapping or args.default_event:
        raise InvalidArgumentsError(["mapping, default_event, dry_run: are for file"])
    prepared = prepare_events(args.events, token=None, importing=True)

    def build(events: Sequence[Any]) -> Request:
        request = ingestion_post(call, "/import", query, events, credential=credential)
        return replace(request, compress=True)

    tally = await send_in_batches(
        call,
        prepared.events,
        build=build,
        read=imported_batch,
        in_flight=_IN_FLIGHT,
    )
    for row in tally.rejected:
        row["insert_id"] = prepared.events[row["index"]]["properties"]["$insert_id"]
    return answer_for(tally, _headline(tally, "imported"), prepared.notes)


async def _import_file(
    call: Call, args: ImportEvents, file: str, query: Pairs, credential: Credential
) -> Answer:
    # What reads files is of no use to a server that never does.
    from mixpanel_mcp.operations.event_freight import EventFreight, columns_of  # noqa: PLC0415
    from mixpanel_mcp.operations.file_import import files_below_root, import_files  # noqa: PLC0415

    mapping = args.mapping or {}
    freight = EventFreight(call, query, credential, mapping, args.default_event)
    with files_below_root(call, file) as files:
        return await import_files(call, files, freight, columns_of(mapping), dry_run=args.dry_run)


def import_identity(call: Call, args: ImportEvents) -> tuple[Pairs, Credential]:
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
