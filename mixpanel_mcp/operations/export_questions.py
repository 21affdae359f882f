"""Questions over exports: no query is spent, however many are asked."""

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Annotated, Any, Literal

import anyio
import anyio.to_thread
from pydantic import BeforeValidator, Field

from mixpanel_mcp.api.errors import FailedError, InvalidArgumentsError
from mixpanel_mcp.files.asking import SPARE, Answerer, Gone
from mixpanel_mcp.files.exports import Export
from mixpanel_mcp.files.parquet import ConversionError, DuckDBMissingError, write_parquet
from mixpanel_mcp.json_values import is_list, is_object
from mixpanel_mcp.operation import Answer, Arguments, Call, Effect, Table, operation
from mixpanel_mcp.operations.arguments import Day, from_json
from mixpanel_mcp.operations.export_days import no_duckdb
from mixpanel_mcp.operations.exports import found_export
from mixpanel_mcp.sanitize import counted, quoted

_LONGEST_SQL = 20_000
# DuckDB takes hundreds of megabytes; questions wait for one another.
_CONVERTING = anyio.CapacityLimiter(1)


class ExportId(Arguments):
    """What every question names."""

    id: str = Field(description="As list_exports shows it.")


class Joined(ExportId):
    """Events beside profiles."""

    profiles_id: str | None = Field(
        default=None, description="An export of profiles beside one of events."
    )


class QueryExport(Joined):
    """Arguments of query_export."""

    sql: str = Field(
        max_length=_LONGEST_SQL,
        description="One SELECT (DuckDB) over tables events and profiles: "
        "properties->>'plan', time is UTC.",
    )
    limit: int = Field(default=200, ge=1, le=10_000, description="Most rows.")


def _steps(value: object) -> object:
    parsed = from_json(value)
    if not is_list(parsed):
        return parsed
    return [{"event": step} if isinstance(step, str) else step for step in parsed]


Steps = Annotated[
    list[dict[Literal["event", "where"], str]],
    BeforeValidator(_steps),
    Field(json_schema_extra={"items": {}}),
]


class AnalyzeExport(Joined):
    """Arguments of analyze_export."""

    report: Literal["funnel", "segmentation", "retention", "frequency"] = Field(
        description="What to count."
    )
    from_date: Day | None = Field(default=None, description="If not the export's.")
    to_date: Day | None = Field(default=None, description="If not the export's.")
    event: str | None = Field(default=None, description="Counted; retention: the return.")
    where: str | None = Field(default=None, description='Filter: properties["plan"] == "pro".')
    on: str | None = Field(default=None, description='Segments: properties["plan"].')
    unit: Literal["minute", "hour", "day", "week", "month"] | None = Field(
        default=None, description="Of a bucket (day)."
    )
    interval: int | None = Field(default=None, ge=1, description="Units in a bucket.")
    limit: int | None = Field(default=None, ge=1, le=10_000, description="Most segments.")
    measure: Literal["general", "unique", "average"] | None = Field(
        default=None, description="segmentation: events, users, average."
    )
    steps: Steps | None = Field(default=None, description="funnel: events, or {event, where}.")
    length: int | None = Field(default=None, ge=1, description="funnel: window (14).")
    length_unit: Literal["second", "minute", "hour", "day"] | None = Field(
        default=None, description="Of length (day)."
    )
    born_event: str | None = Field(default=None, description="retention: what begins it.")
    born_where: str | None = Field(default=None, description="retention: filter of born_event.")
    interval_count: int | None = Field(
        default=None, ge=1, le=366, description="retention: intervals after the first."
    )
    unbounded: bool | None = Field(default=None, description="retention: on or after.")
    addiction_unit: Literal["hour", "day"] | None = Field(
        default=None, description="frequency: what is counted."
    )


@operation(
    title="Describe export",
    toolset="export",
    effect=Effect.READS,
    docs="export.openapi.yaml /export",
    needs_files=True,
)
async def describe_export(call: Call, args: ExportId) -> Answer:
    """Show an export's columns, event names, time range, and properties with types.

    Properties are those of a sample. Look here before query_export or analyze_export.
    """
    export = await found_export(call, args.id)
    kind = export.manifest.kind
    found = await _asked(call, {"describe": kind, **await _files(call, export)})
    rows = [
        [each["name"], ", ".join(each["types"]), each["share"], each["example"]]
        for each in found["properties"]
    ]
    span = f", from {found['first']} to {found['last']} UTC" if found.get("first") else ""
    return Answer(
        headline=f"{counted(found['records'], 'record')} of {counted(found['users'], 'user')}"
        f"{span}.",
        data={"id": export.manifest.id, "kind": kind, **found},
        table=Table(columns=["property", "types", "share", "example"], rows=rows),
        notes=[f"properties are those of {found['sampled']} records at most, chosen at random"],
        complete=export.manifest.complete,
    )


@operation(
    title="Query export",
    toolset="export",
    effect=Effect.READS,
    docs="export.openapi.yaml /export",
    needs_files=True,
)
async def query_export(call: Call, args: QueryExport) -> Answer:
    """Ask an export in SQL: any number of questions, no query spent.

    events has event, distinct_id, time, insert_id, processed, properties (JSON); profiles has
    distinct_id, properties. An event may be there more than once.
    """
    export = await found_export(call, args.id)
    files = await _files(call, export, args.profiles_id)
    found = await _asked(call, {"sql": args.sql, "limit": args.limit, **files})
    rows: list[list[Any]] = found["rows"]
    columns: list[str] = found["columns"]
    more = [] if found["complete"] else ["there are more rows: aggregate, or add LIMIT and OFFSET"]
    return Answer(
        headline=f"{counted(len(rows), 'row')}{'' if found['complete'] else ', and more'}.",
        data={"columns": columns, "rows": rows},
        table=Table(columns=columns, rows=rows),
        notes=more,
        complete=found["complete"] and export.manifest.complete,
        scope={"export": export.manifest.id},
    )


@operation(
    title="Analyze export",
    toolset="export",
    effect=Effect.READS,
    docs="query.openapi.yaml /funnels /segmentation /retention /retention/addiction",
    needs_files=True,
)
async def analyze_export(call: Call, args: AnalyzeExport) -> Answer:
    """Run a report over an export: funnel, segmentation, retention or frequency; no query spent.

    It counts as Mixpanel does: users, each event once, days in UTC.
    """
    export = await found_export(call, args.id)
    manifest = export.manifest
    if manifest.kind != "events":
        raise InvalidArgumentsError(["id: reports count events, and this is an export of profiles"])
    _check(args)
    days = {
        name: getattr(args, name) or manifest.arguments[name] for name in ("from_date", "to_date")
    }
    asked = args.model_dump(exclude={"id", "profiles_id", "region"}, exclude_none=True) | days
    files = await _files(call, export, args.profiles_id)
    found = await _asked(call, {"report": asked, **files})
    return Answer(
        headline=f"{args.report.capitalize()} of export {manifest.id}, {days['from_date']} to "
        f"{days['to_date']}.",
        data=found,
        table=_TABLES[args.report](found),
        notes=_narrowed(manifest.arguments),
        complete=manifest.complete,
        scope={"export": manifest.id, **days, "time_zone": "UTC"},
    )


def _check(args: AnalyzeExport) -> None:
    faults: list[str] = []
    if args.report == "segmentation" and args.event is None:
        faults.append("event: segmentation needs one")
    if args.report == "funnel":
        if not args.steps:
            faults.append("steps: a funnel needs them")
        elif any("event" not in step for step in args.steps):
            faults.append("steps: each needs an event")
    if args.report in {"funnel", "retention", "frequency"} and args.unit in {"minute", "hour"}:
        faults.append("unit: day, week or month here")
    if args.born_where is not None and args.born_event is None:
        faults.append("born_where: needs born_event")
    if faults:
        raise InvalidArgumentsError(faults)


def _narrowed(arguments: Mapping[str, Any]) -> list[str]:
    """What the export itself leaves out, and so the report."""
    kept = [name for name in ("event_name", "where") if arguments.get(name)]
    if not kept:
        return []
    return [f"the export holds only what its {' and '.join(kept)} let through: so does the report"]


async def _files(call: Call, export: Export, profiles: str | None = None) -> dict[str, list[str]]:
    """The Parquet files to ask, by table.

    Raises:
        InvalidArgumentsError: the second export is not one of profiles.
    """
    found: dict[str, list[str]] = {"events": [], "profiles": []}
    found[export.manifest.kind] = await _parquet(call, export)
    if profiles is not None:
        other = await found_export(call, profiles)
        if other.manifest.kind != "profiles" or export.manifest.kind != "events":
            raise InvalidArgumentsError(
                ["profiles_id: must be an export of profiles, and id one of events"]
            )
        found["profiles"] = await _parquet(call, other)
    return found


async def _parquet(call: Call, export: Export) -> list[str]:
    """The export as Parquet; made of its lines at the first question, and kept beside them."""
    made: list[str] = []
    slices = [one for _, one in sorted(export.manifest.slices.items())]
    for number, one in enumerate(slices):
        path = export.path(one)
        if not path.is_file():
            raise FailedError(
                f"{one.file} of export {export.manifest.id} is gone: call download_data with the "
                "same arguments, and it is fetched again."
            )
        if export.manifest.format != "parquet":
            await call.progress(number, len(slices), "files made ready for questions")
            path = await _converted(export, path)
        made.append(str(path))
    return made


async def _converted(export: Export, path: Path) -> Path:
    target = path.with_name(f".{path.name}.parquet")
    if await anyio.to_thread.run_sync(_is_younger, target, path):
        return target
    make = partial(write_parquet, path, target, export.manifest.kind, {})
    try:
        await anyio.to_thread.run_sync(make, limiter=_CONVERTING)
    except DuckDBMissingError as error:
        raise no_duckdb() from error
    except ConversionError as error:
        raise FailedError(f"{path.name} could not be read: {quoted(str(error), 300)}.") from error
    except OSError as error:
        raise FailedError(f"{target.name} could not be written: {error.strerror}.") from error
    return target


def _is_younger(made: Path, source: Path) -> bool:
    """Whether it was made of what is there now: a file may have been fetched again."""
    return made.is_file() and made.stat().st_mtime_ns >= source.stat().st_mtime_ns


async def _asked(call: Call, question: Mapping[str, Any]) -> dict[str, Any]:
    """Ask in a process of its own, and end that process when the time is up or nobody waits.

    Raises:
        InvalidArgumentsError: the question cannot be answered.
        FailedError: it took too long, or too much memory.
    """
    seconds = call.policy.read_seconds
    answerer = await anyio.to_thread.run_sync(SPARE.take)
    answered = False
    try:
        with anyio.fail_after(seconds):
            answer = await anyio.to_thread.run_sync(
                answerer.ask, dict(question), abandon_on_cancel=True
            )
        answered = True
    except TimeoutError as error:
        raise FailedError(
            f"The question took longer than {seconds:g} s and was ended (READ_SECONDS). Ask for "
            "less: fewer columns, a filter on event or time, no join of events with themselves."
        ) from error
    except Gone as error:
        raise FailedError(
            "The question took more memory than it may and was ended, or DuckDB is not installed "
            "(mixpanel-mcp[files]). Ask for less at a time."
        ) from error
    finally:
        _put_back(answerer, answered=answered)
    if "error" in answer:
        raise InvalidArgumentsError([f"it cannot be answered: {quoted(answer['error'], 1_000)}"])
    return dict(answer["ok"])


def _put_back(answerer: Answerer, *, answered: bool) -> None:
    if answered:
        SPARE.give_back(answerer)
    else:
        answerer.close()


def _segmentation_table(found: Mapping[str, Any]) -> Table:
    values: dict[str, dict[str, float]] = found["data"]["values"]
    rows = [
        [moment, *(each.get(moment) for each in values.values())]
        for moment in found["data"]["series"]
    ]
    return Table(columns=["date", *values], rows=rows)


def _funnel_table(found: Mapping[str, Any]) -> Table:
    columns = ["date", "segment", "step", "event", "count", "step_conv_ratio", "overall_conv_ratio"]
    rows: list[list[Any]] = []
    for start, bucket in found["data"].items():
        segments: dict[str, Any] = {"": bucket["steps"]} if is_list(bucket.get("steps")) else bucket
        for name, steps in segments.items():
            rows += [
                [start, name, number, *(step[column] for column in columns[3:])]
                for number, step in enumerate(steps, start=1)
            ]
    return Table(columns=columns, rows=rows)


def _retention_table(found: Mapping[str, Any]) -> Table:
    rows: list[list[Any]] = []
    for start, row in found.items():
        segments: dict[str, Any] = {"": row} if is_list(row.get("counts")) else row
        rows += [[start, name, each["first"], *each["counts"]] for name, each in segments.items()]
    most = max((len(row) for row in rows), default=3) - 3
    return Table(columns=["date", "segment", "first", *map(str, range(most))], rows=rows)


def _frequency_table(found: Mapping[str, Any]) -> Table:
    rows: list[list[Any]] = []
    for start, period in found.items():
        segments: dict[str, Any] = period if is_object(period) else {"": period}
        rows += [[start, name, *counts] for name, counts in segments.items()]
    most = max((len(row) for row in rows), default=2) - 2
    return Table(
        columns=["date", "segment", *(f"at least {n}" for n in range(1, most + 1))], rows=rows
    )


_TABLES = {
    "segmentation": _segmentation_table,
    "funnel": _funnel_table,
    "retention": _retention_table,
    "frequency": _frequency_table,
}
