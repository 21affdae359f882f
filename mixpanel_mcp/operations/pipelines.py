"""Data pipelines: Mixpanel sends a project's events to a warehouse or a bucket, on its own.

The API is deprecated for new accounts; those get a 403 or 404. Trial pipelines are one per
project, and permanent.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from enum import StrEnum
from typing import Any, Literal

from pydantic import Field

from mixpanel_mcp.api.errors import InvalidArgumentsError, NotFoundError
from mixpanel_mcp.api.regions import Family, endpoint
from mixpanel_mcp.api.request import FORM, Request, form_body, pairs
from mixpanel_mcp.destinations import destination_of
from mixpanel_mcp.json_values import is_list, objects_in
from mixpanel_mcp.operation import Answer, Call, Effect, InProject, Table, Write, operation
from mixpanel_mcp.operations.arguments import Day, Names
from mixpanel_mcp.operations.replies import acknowledged, json_object
from mixpanel_mcp.sanitize import counted, quoted

_MONTHS_BACK = 6
# What Mixpanel shows for a time that never was; year 0 breaks most readers of dates.
_NEVER = re.compile(r"^0{1,4}[01]-")


class GcsRegion(StrEnum):
    """Where a bucket can be (data-pipelines.openapi.yaml, gcs_region)."""

    NORTHAMERICA_NORTHEAST1 = "northamerica-northeast1"
    US_CENTRAL1 = "us-central1"
    US_EAST1 = "us-east1"
    US_EAST4 = "us-east4"
    US_WEST1 = "us-west1"
    US_WEST2 = "us-west2"
    SOUTHAMERICA_EAST1 = "southamerica-east1"
    EUROPE_NORTH1 = "europe-north1"
    EUROPE_WEST1 = "europe-west1"
    EUROPE_WEST2 = "europe-west2"
    EUROPE_WEST3 = "europe-west3"
    EUROPE_WEST4 = "europe-west4"
    EUROPE_WEST6 = "europe-west6"
    ASIA_EAST1 = "asia-east1"
    ASIA_EAST2 = "asia-east2"
    ASIA_NORTHEAST1 = "asia-northeast1"
    ASIA_NORTHEAST2 = "asia-northeast2"
    ASIA_NORTHEAST3 = "asia-northeast3"
    ASIA_SOUTH1 = "asia-south1"
    ASIA_SOUTHEAST1 = "asia-southeast1"
    AUSTRALIA_SOUTHEAST1 = "australia-southeast1"


class ListPipelines(InProject):
    """Arguments of list_pipelines."""


class GetPipeline(InProject):
    """Arguments of get_pipeline."""

    name: str = Field(min_length=1, description="From list_pipelines.")
    summary: bool = Field(default=False, description="Only count tasks by state.")
    status: Names | None = Field(
        default=None,
        description="Only tasks in these states: pending, running, retried, failed, canceled, "
        "timed_out. All without it.",
    )


class CreateGcsPipeline(Write, InProject):
    """Arguments of create_gcs_pipeline."""

    gcs_bucket: str = Field(min_length=1, description="Bucket that receives the data.")
    gcs_region: GcsRegion = Field(description="Where the bucket is.")
    gcs_prefix: str | None = Field(default=None, description="Folder in the bucket.")
    from_date: Day | None = Field(
        default=None, description="First day, at most six months back. Required unless trial."
    )
    to_date: Day | None = Field(
        default=None, description="Last day; without it the export goes on."
    )
    frequency: Literal["daily", "hourly"] | None = Field(
        default=None, description="Only without to_date; daily if unset."
    )
    trial: bool = Field(
        default=False,
        description="The project's one trial: 30 days, daily, all events, undeletable.",
    )
    events: Names | None = Field(default=None, description="Only these events; all without it.")
    where: str | None = Field(default=None, description='Filter: properties["plan"] == "pro".')


class EditGcsPipeline(Write, InProject):
    """Arguments of edit_gcs_pipeline."""

    name: str = Field(min_length=1, description="From list_pipelines.")
    events: Names | None = Field(default=None, description="The whole new list of events.")
    where: str | None = Field(default=None, description='New filter: properties["plan"] == "pro".')


class DeletePipeline(Write, InProject):
    """Arguments of delete_pipeline."""

    name: str = Field(min_length=1, description="From list_pipelines.")
    use_project_token: bool = Field(default=False, description="No effect: not accepted here.")


@operation(
    title="List pipelines",
    toolset="pipelines",
    effect=Effect.READS,
    docs="data-pipelines.openapi.yaml /nessie/pipeline/jobs",
)
async def list_pipelines(call: Call, args: ListPipelines) -> Answer:
    """List the project's data pipelines with frequency and last dispatch."""
    del args
    pipelines = await _pipelines(call)
    rows = [
        [
            pipeline.get("name"),
            pipeline.get("Dispatcher") or pipeline.get("dispatcher"),
            pipeline.get("frequency"),
            _when(pipeline.get("last_dispatched")),
            pipeline.get("sync_enabled"),
        ]
        for pipeline in pipelines
    ]
    columns = ["name", "dispatcher", "frequency", "last_dispatched", "sync_enabled"]
    return Answer(
        headline=f"{counted(len(rows), 'pipeline')}."
        if rows
        else "The project has no pipelines here.",
        data=pipelines,
        table=Table(columns=columns, rows=rows),
        notes=["pipelines made in Mixpanel's user interface as JSON pipelines do not show here"],
    )


@operation(
    title="Get pipeline status",
    toolset="pipelines",
    effect=Effect.READS,
    docs="data-pipelines.openapi.yaml /nessie/pipeline/status",
)
async def get_pipeline(call: Call, args: GetPipeline) -> Answer:
    """Get a pipeline's tasks by state: what ran, what waits, what failed."""
    _check_states(args.status)
    fields = {
        "project_id": call.project(),
        "name": args.name,
        "summary": "true" if args.summary else None,
        "status": args.status,
    }
    document = await json_object(call, _read(call, "/status", fields))
    counts, rows = _tasks(document)
    if not rows and not counts:
        return await _no_tasks(call, args, document)
    states = ", ".join(f"{count} {quoted(state)[1:-1]}" for state, count in counts.items())
    return Answer(
        headline=f"Pipeline {quoted(args.name, 200)}: {states}.",
        data=document,
        table=Table(columns=["state", "run_at", "last_finish", "from_date", "to_date"], rows=rows)
        if rows
        else Table(columns=["state", "tasks"], rows=list(counts.items())),
    )


@operation(
    title="Create a Cloud Storage pipeline",
    toolset="pipelines",
    effect=Effect.IRREVERSIBLE,
    docs="data-pipelines.openapi.yaml /nessie/pipeline/create (RawGCSPipeline)",
)
async def create_gcs_pipeline(call: Call, args: CreateGcsPipeline) -> Answer:
    """Create a pipeline that sends raw events, as JSON, to a Google Cloud Storage bucket."""
    _check_create(args, datetime.now(UTC).date())
    frequency = args.frequency or (None if args.to_date else "daily")
    form = pairs(
        {
            "project_id": call.project(),
            "type": "gcs-raw",
            "data_source": "events",
            "data_format": "json",
            "gcs_bucket": args.gcs_bucket,
            "gcs_prefix": args.gcs_prefix,
            "gcs_region": args.gcs_region.value,
            "from_date": args.from_date,
            "to_date": args.to_date,
            "trial": args.trial or None,
            "frequency": frequency,
            "events": args.events,
            "where": args.where,
        }
    )
    request = _write(call, "/create", form)
    document = await json_object(call, request)
    given = document.get("pipeline_names")
    names = [str(name) for name in given] if is_list(given) else []
    target = destination_of(dict(form))
    return Answer(
        headline=f"Created {', '.join(quoted(name, 200) for name in names) or 'a pipeline'}, which "
        f"sends to {quoted(target, 300)}.",
        data=document,
        notes=[
            "the bucket must let export-upload@mixpanel-prod-1.iam.gserviceaccount.com write "
            "(Storage Object Admin)"
        ],
    )


@operation(
    title="Edit a Cloud Storage pipeline",
    toolset="pipelines",
    effect=Effect.IRREVERSIBLE,
    idempotent=True,
    docs="data-pipelines.openapi.yaml /nessie/pipeline/edit",
)
async def edit_gcs_pipeline(call: Call, args: EditGcsPipeline) -> Answer:
    """Replace a pipeline's events or filter; bucket, dates and frequency cannot be changed.

    Syncs of older dates then hold only the new selection.
    """
    if not args.events and args.where is None:
        raise InvalidArgumentsError(["events or where: say what should change"])
    form = pairs(
        {
            "name": args.name,
            "project_id": call.project(),
            "events": args.events,
            "where": args.where,
        }
    )
    request = _write(call, "/edit", form)
    return Answer(
        headline=f"Changed the pipeline {quoted(args.name, 200)}.",
        data=await acknowledged(call, request),
    )


@operation(
    title="Delete pipeline",
    toolset="pipelines",
    effect=Effect.IRREVERSIBLE,
    idempotent=True,
    docs="data-pipelines.openapi.yaml /nessie/pipeline/cancel",
)
async def delete_pipeline(call: Call, args: DeletePipeline) -> Answer:
    """Delete a pipeline and its history, for good. Trial pipelines cannot be deleted."""
    # Mixpanel calls this endpoint "cancel", yet it drops the pipeline and all its history. The
    # tool is named for what happens, so that nobody picks it to pause.
    form = pairs({"name": args.name, "project_id": call.project()})
    request = _write(call, "/cancel", form)
    reply = await acknowledged(call, request)
    notes = (
        ["the project token does not authenticate this API, so the service account was used"]
        if args.use_project_token
        else []
    )
    return Answer(
        headline=f"Deleted the pipeline {quoted(args.name, 200)}.",
        data=reply,
        notes=notes,
    )


def _read(call: Call, path: str, fields: Mapping[str, Any]) -> Request:
    return Request(
        family=Family.DATA,
        region=call.region,
        method="GET",
        path=endpoint(Family.DATA, f"/nessie/pipeline{path}"),
        query=pairs(fields),
    )


def _write(call: Call, path: str, form: Sequence[tuple[str, str]]) -> Request:
    return Request(
        family=Family.DATA,
        region=call.region,
        method="POST",
        path=endpoint(Family.DATA, f"/nessie/pipeline{path}"),
        body=form_body(form),
        content_type=FORM,
    )


async def _pipelines(call: Call) -> list[dict[str, Any]]:
    """All pipelines: an opaque number maps to a list of them, or in older replies to one."""
    request = _read(call, "/jobs", {"project_id": call.project()})
    document = await json_object(call, request)
    return [
        pipeline
        for value in document.values()
        for pipeline in objects_in(value if is_list(value) else [value])
    ]


def _tasks(document: Mapping[str, Any]) -> tuple[dict[str, int], list[Sequence[object]]]:
    """Count tasks by state, and list them where the reply has more than counts."""
    counts: dict[str, int] = {}
    rows: list[Sequence[object]] = []
    for state in sorted(document):
        value: Any = document[state]
        if isinstance(value, int):
            counts[state] = value
        elif is_list(value):
            tasks = objects_in(value)
            counts[state] = len(tasks)
            rows += [_task_row(state, task) for task in tasks]
    return {state: count for state, count in counts.items() if count}, rows


def _task_row(state: str, task: Mapping[str, Any]) -> Sequence[object]:
    times = (task.get(name) for name in ("run_at", "last_finish", "from_date", "to_date"))
    return [state, *map(_when, times)]


def _when(value: object) -> object:
    """Keep Mixpanel's many spellings of a time as they are, but for the one that means never."""
    return "never" if isinstance(value, str) and _NEVER.match(value) else value


async def _no_tasks(call: Call, args: GetPipeline, document: Mapping[str, Any]) -> Answer:
    """Say whether the pipeline exists: an unknown name may just look empty."""
    names = [str(pipeline.get("name")) for pipeline in await _pipelines(call)]
    if args.name not in names:
        known = ", ".join(quoted(name) for name in names[:20]) or "none"
        raise NotFoundError(
            f"There is no pipeline {quoted(args.name, 200)} in this project; there are: {known}.",
            status=200,
        )
    states = f" in the states {', '.join(args.status)}" if args.status else ""
    return Answer(
        headline=f"Pipeline {quoted(args.name, 200)} exists and has no tasks{states}.",
        data=document,
    )


_STATES = ("pending", "running", "retried", "failed", "canceled", "timed_out")


def _check_states(states: Sequence[str] | None) -> None:
    unknown = [state for state in states or [] if state not in _STATES]
    if unknown:
        raise InvalidArgumentsError(
            [f"status: {quoted(unknown[0])} is none of {', '.join(_STATES)}"]
        )


def _check_create(args: CreateGcsPipeline, today: date) -> None:
    faults = [*_destination_faults(args), *_date_faults(args, today)]
    if args.trial:
        faults += _trial_faults(args, today)
    elif args.from_date is None:
        faults.append("from_date: is required unless trial is true")
    if args.to_date is not None and args.frequency is not None:
        faults.append("frequency: applies only to exports without to_date; leave it out")
    if faults:
        raise InvalidArgumentsError(faults)


def _destination_faults(args: CreateGcsPipeline) -> Iterator[str]:
    try:
        destination_of({"type": "gcs-raw", "gcs_bucket": args.gcs_bucket})
    except ValueError as error:
        yield f"gcs_bucket: {error}"
        return
    try:
        fields = {"gcs_bucket": args.gcs_bucket, "gcs_prefix": args.gcs_prefix or ""}
        destination_of({"type": "gcs-raw", **fields})
    except ValueError as error:
        yield f"gcs_prefix: {error}"


def _date_faults(args: CreateGcsPipeline, today: date) -> Iterator[str]:
    if args.from_date is not None:
        earliest = months_before(today, _MONTHS_BACK)
        if date.fromisoformat(args.from_date) < earliest:
            yield f"from_date: lies more than six months back (not before {earliest})"
    if args.to_date is not None and args.from_date is not None and args.to_date < args.from_date:
        yield "to_date: lies before from_date"


def _trial_faults(args: CreateGcsPipeline, today: date) -> Iterator[str]:
    if args.events or args.where:
        yield "events and where: a trial exports all events"
    if args.frequency == "hourly":
        yield "frequency: a trial is daily"
    if args.from_date and date.fromisoformat(args.from_date) < today - timedelta(days=1):
        yield "from_date: a trial reaches back one day; leave it out"


def months_before(day: date, months: int) -> date:
    """The same day some months earlier, or the last one that month has."""
    count = day.year * 12 + day.month - 1 - months
    year, month = divmod(count, 12)
    first_of_next = date(year + month // 11, (month + 1) % 12 + 1, 1)
    return min(date(year, month + 1, 1) + timedelta(days=day.day - 1), first_of_next - timedelta(1))
