"""Data pipelines: Mixpanel sends a project's events to a warehouse or a bucket, on its own.

The API is deprecated for new accounts; those get a 403 or 404. Trial pipelines are one per
project, and permanent.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import Field

from mixpanel_mcp.api.errors import InvalidArgumentsError
from mixpanel_mcp.api.regions import Family, endpoint
from mixpanel_mcp.api.request import FORM, Request, form_body, pairs
from mixpanel_mcp.json_values import is_list, objects_in
from mixpanel_mcp.operation import Answer, Cached, Call, Effect, InProject, Table, Write, operation
from mixpanel_mcp.operations.arguments import IgnoresProjectToken, Names
from mixpanel_mcp.operations.replies import acknowledged, json_object, lacking
from mixpanel_mcp.sanitize import clean, counted, quoted

# What Mixpanel shows for a time that never was; year 0 breaks most readers of dates.
_NEVER = re.compile(r"^0{1,4}[01]-")


class ListPipelines(Cached, InProject):
    """Arguments of list_pipelines."""


class GetPipeline(Cached, InProject):
    """Arguments of get_pipeline."""

    name: str = Field(min_length=1, description="From list_pipelines.")
    summary: bool = Field(default=False, description="Only count tasks by state.")
    status: Names | None = Field(
        default=None,
        description="Only tasks in these states: pending, running, retried, failed, canceled, "
        "timed_out. All without it.",
    )


class EditGcsPipeline(Write, InProject):
    """Arguments of edit_gcs_pipeline."""

    name: str = Field(min_length=1, description="From list_pipelines.")
    events: Names | None = Field(default=None, description="The whole new list of events.")
    where: str | None = Field(default=None, description='New filter: properties["plan"] == "pro".')


class DeletePipeline(IgnoresProjectToken, Write, InProject):
    """Arguments of delete_pipeline."""

    name: str = Field(min_length=1, description="From list_pipelines.")


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
        notes=[
            *_hidden([pipeline.get("name") for pipeline in pipelines]),
            "pipelines made in Mixpanel's user interface as JSON pipelines do not show here",
        ],
    )


def _hidden(names: Sequence[object]) -> Sequence[str]:
    """What to know of names that cannot be taken from where they are shown."""
    count = sum(isinstance(name, str) and clean(name) != name for name in names)
    if not count:
        return []
    return [
        f"{counted(count, 'name')} here lost hidden characters or line breaks: a call with such a "
        "name as it is shown finds nothing; where a link or a resource leads to the pipeline, its "
        "URI has the whole name, escaped"
    ]


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
    known = [f"{count} {state}" for state, count in counts.items() if state in _SEEN_STATES]
    return Answer(
        headline=f"Pipeline {quoted(args.name, 200)}: {', '.join(known) or 'tasks'}.",
        data=document,
        table=Table(columns=["state", "run_at", "last_finish", "from_date", "to_date"], rows=rows)
        if rows
        else Table(columns=["state", "tasks"], rows=list(counts.items())),
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
    request = pipeline_write(call, "/edit", form)
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
    request = pipeline_write(call, "/cancel", form)
    reply = await acknowledged(call, request)
    return Answer(
        headline=f"Deleted the pipeline {quoted(args.name, 200)}.",
        data=reply,
        notes=args.token_notes(),
    )


def _read(call: Call, path: str, fields: Mapping[str, Any]) -> Request:
    return Request(
        family=Family.DATA,
        region=call.region,
        method="GET",
        path=endpoint(Family.DATA, f"/nessie/pipeline{path}"),
        query=pairs(fields),
    )


def pipeline_write(call: Call, path: str, form: Sequence[tuple[str, str]]) -> Request:
    """A request that changes pipelines: a form, never JSON."""
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
    groups = [value for name, value in document.items() if name != "status"]
    pipelines = [
        pipeline
        for group in groups
        for pipeline in objects_in(group if is_list(group) else [group])
    ]
    if not pipelines and any(group for group in groups if isinstance(group, str) or is_list(group)):
        raise lacking("a list of pipelines")
    return pipelines


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
        return Answer(
            headline=f"There is no pipeline {quoted(args.name, 200)} among this project's "
            f"{len(names)}.",
            data=document,
            table=Table(columns=_OTHER_NAMES, rows=[[name] for name in names]),
        )
    states = f" in the states {', '.join(args.status)}" if args.status else ""
    return Answer(
        headline=f"Pipeline {quoted(args.name, 200)} exists and has no tasks{states}.",
        data=document,
    )


_OTHER_NAMES = ("name",)


def found_no_pipeline(answer: Answer) -> bool:
    """Whether get_pipeline answered that there is none of that name."""
    return answer.table is not None and answer.table.columns is _OTHER_NAMES


_STATES = ("pending", "running", "retried", "failed", "canceled", "timed_out")
# Mixpanel also reports a state that nobody can ask for.
_SEEN_STATES = {*_STATES, "succeeded"}


def _check_states(states: Sequence[str] | None) -> None:
    unknown = [state for state in states or [] if state not in _STATES]
    if unknown:
        raise InvalidArgumentsError(
            [f"status: {quoted(unknown[0])} is none of {', '.join(_STATES)}"]
        )
