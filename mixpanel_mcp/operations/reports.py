"""Saved reports and JQL: questions that spend the project's 60 queries an hour."""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal, NamedTuple

from pydantic import Field

from mixpanel_mcp.api.errors import InvalidArgumentsError
from mixpanel_mcp.api.regions import Family, endpoint
from mixpanel_mcp.api.request import FORM, Request, compact_json, form_body, pairs
from mixpanel_mcp.json_values import as_text, is_list, is_object, objects_in
from mixpanel_mcp.operation import Answer, Cached, Call, Effect, InWorkspace, Table, operation
from mixpanel_mcp.operations.arguments import Day, IgnoresProjectToken, JsonObject
from mixpanel_mcp.operations.replies import (
    json_list,
    json_object,
    json_reply,
    lacking,
    without_numbers,
)
from mixpanel_mcp.sanitize import clean_data, counted

_MAINTENANCE = "Mixpanel keeps this API in maintenance mode and advises Insights reports instead"


class ListSavedFunnels(IgnoresProjectToken, Cached, InWorkspace):
    """Arguments of list_saved_funnels."""


class QueryFunnelSavedReports(IgnoresProjectToken, Cached, InWorkspace):
    """Arguments of query_funnel_saved_reports."""

    funnel_id: int = Field(description="From list_saved_funnels.")
    from_date: Day = Field(description="First day, YYYY-MM-DD.")
    to_date: Day = Field(description="Last day, included.")
    length: int | None = Field(
        default=None, ge=1, description="Conversion window, at most 90 days."
    )
    length_unit: Literal["day", "hour", "minute", "second"] | None = Field(
        default=None, description="Unit of length."
    )
    interval: int | None = Field(default=None, ge=1, description="Days per bucket. Not with unit.")
    unit: Literal["day", "week", "month"] | None = Field(
        default=None, description="Or: a bucket's size."
    )
    on: str | None = Field(default=None, description='Segment by: properties["platform"].')
    where: str | None = Field(default=None, description='Filter: properties["plan"] == "pro".')
    limit: int | None = Field(default=None, ge=1, le=10_000, description="Most segments; with on.")


class QueryInsightsSavedReports(Cached, InWorkspace):
    """Arguments of query_insights_saved_reports."""

    bookmark_id: int = Field(description="The number behind report- in the report's URL.")


class CustomJqlQuery(Cached, InWorkspace):
    """Arguments of custom_jql_query."""

    script: str = Field(
        min_length=1,
        description="JavaScript with main(): Events({from_date, to_date}), People(), groupBy, "
        "mixpanel.reducer.",
    )
    params: JsonObject | list[Any] | None = Field(
        default=None, description="Becomes the global params: values go here, not into the script."
    )


@operation(
    title="List saved funnels",
    toolset="reports",
    effect=Effect.READS,
    docs="query.openapi.yaml /funnels/list",
)
async def list_saved_funnels(call: Call, args: ListSavedFunnels) -> Answer:
    """List the project's saved funnels: name and funnel_id."""
    funnels = await json_list(call, _get(call, "/funnels/list", {}))
    if not all(map(is_object, funnels)):
        raise lacking("a list of funnels")
    rows = [[funnel.get("funnel_id"), funnel.get("name")] for funnel in objects_in(funnels)]
    return Answer(
        headline=f"{counted(len(rows), 'saved funnel')}."
        if rows
        else "The project has no saved funnels.",
        data=funnels,
        table=Table(columns=["funnel_id", "name"], rows=rows),
        notes=args.token_notes(),
    )


@operation(
    title="Query a saved funnel",
    toolset="reports",
    effect=Effect.READS,
    docs="query.openapi.yaml /funnels",
)
async def query_funnel_saved_reports(call: Call, args: QueryFunnelSavedReports) -> Answer:
    """Get a saved funnel's counts and conversion, step by step, for a range of days."""
    _check_funnel(args)
    own = args.model_dump(exclude={*InWorkspace.model_fields, "use_project_token", "fresh"})
    document = await json_object(call, _get(call, "/funnels", own))
    notes = [*args.token_notes(), _MAINTENANCE]
    data = document.get("data")
    if data is None:
        return without_numbers(call, f"Funnel {args.funnel_id}", "data", notes)
    if not is_object(data):
        raise lacking("the funnel's data")
    rows = list(_funnel_rows(data))
    return Answer(
        headline=_funnel_headline(args, rows),
        data=document,
        table=Table(columns=_FUNNEL_COLUMNS, rows=[row.cells() for row in rows]),
        notes=notes,
        scope=_days(args.from_date, args.to_date),
    )


@operation(
    title="Query a saved Insights report",
    toolset="reports",
    effect=Effect.READS,
    docs="query.openapi.yaml /insights",
)
async def query_insights_saved_reports(call: Call, args: QueryInsightsSavedReports) -> Answer:
    """Get the numbers of a saved Insights report; its own date range applies."""
    request = _get(call, "/insights", {"bookmark_id": args.bookmark_id})
    document = await json_object(call, request)
    given, dates = document.get("headers"), document.get("date_range")
    headers = [str(header) for header in given] if is_list(given) else []
    series = document.get("series")
    if series is None:
        return without_numbers(call, f"Insights report {args.bookmark_id}", "series", ())
    if not is_object(series):
        raise lacking("the report's series")
    rows = list(_leaves(clean_data(series), ()))
    width = max((len(path) for path, _ in rows), default=0)
    return Answer(
        headline=f"Insights report {args.bookmark_id}: {counted(len(rows), 'value')}."
        if rows
        else f"Insights report {args.bookmark_id} has no values in its date range.",
        data=document,
        table=Table(
            columns=[*_levels(headers, width), "value"],
            rows=[[*path, *[None] * (width - len(path)), value] for path, value in rows],
        ),
        scope={
            **(
                _days(_moment(dates.get("from_date")), _moment(dates.get("to_date")))
                if is_object(dates)
                else {}
            ),
            "computed_at": _moment(document.get("computed_at")),
        },
    )


@operation(
    title="Run JQL",
    toolset="reports",
    effect=Effect.READS,
    docs="query.openapi.yaml /jql",
)
async def custom_jql_query(call: Call, args: CustomJqlQuery) -> Answer:
    """Run a JQL script over events and profiles and get the JSON array it returns."""
    fields = {"script": args.script}
    if args.params is not None:
        fields["params"] = compact_json(args.params)
    request = Request(
        family=Family.QUERY,
        region=call.region,
        method="POST",
        path=endpoint(Family.QUERY, "/jql"),
        query=_place(call),
        body=form_body(pairs(fields)),
        content_type=FORM,
    )
    result = await json_reply(call, request)
    items = result if is_list(result) else [result]
    table = _jql_table(items)
    return Answer(
        headline=f"The script returned {counted(len(items), 'item')}."
        if items
        else "The script returned nothing: no event or profile matched.",
        data=items,
        table=table,
        text=None if table else as_text(clean_data(items)),
        notes=["Mixpanel keeps JQL in maintenance mode and advises to leave it"],
    )


def _get(call: Call, path: str, fields: Mapping[str, Any]) -> Request:
    return Request(
        family=Family.QUERY,
        region=call.region,
        method="GET",
        path=endpoint(Family.QUERY, path),
        query=_place(call) + pairs(fields),
    )


def _place(call: Call) -> tuple[tuple[str, str], ...]:
    return pairs({"project_id": call.project(), "workspace_id": call.workspace_id})


def _moment(value: object) -> str | None:
    """A date or time of Mixpanel's where it looks like one: it stands in a sentence of ours."""
    return value if isinstance(value, str) and _MOMENT.fullmatch(value) else None


def _days(first: str | None, last: str | None) -> dict[str, Any]:
    return {"from_date": first, "to_date": last, "time_zone": "the project's"}


def _check_funnel(args: QueryFunnelSavedReports) -> None:
    faults: list[str] = []
    if args.to_date < args.from_date:
        faults.append("to_date: lies before from_date")
    if args.interval is not None and args.unit is not None:
        faults.append("interval and unit are two ways to say the same: leave one out")
    if args.limit is not None and args.on is None:
        faults.append("limit: counts segments, and so needs on")
    if args.length is not None and args.length * _SECONDS[args.length_unit or "day"] > 90 * 86_400:
        faults.append("length: the conversion window is longer than 90 days")
    if args.on is not None and args.on.strip().isidentifier():
        faults.append(f'on: needs an expression; for a property write properties["{args.on}"]')
    if faults:
        raise InvalidArgumentsError(faults)


_MOMENT = re.compile(r"[0-9][0-9T:.,+Z -]{1,39}")
_SECONDS = {"day": 86_400, "hour": 3_600, "minute": 60, "second": 1}

_FUNNEL_COLUMNS = [
    "date",
    "segment",
    "step",
    "event",
    "count",
    "step_conversion",
    "overall_conversion",
    "avg_seconds",
]


class _FunnelRow(NamedTuple):
    """A step of a funnel on a date, for one segment or (`""`) for all users."""

    day: str
    segment: str
    number: int
    step: Mapping[str, Any]

    @property
    def users(self) -> int:
        count = self.step.get("count")
        return count if isinstance(count, int) else 0

    def cells(self) -> Sequence[object]:
        step = self.step
        name = step.get("step_label") or step.get("event") or step.get("goal")
        ratios = (step.get("step_conv_ratio"), step.get("overall_conv_ratio"))
        return [
            self.day,
            self.segment,
            self.number,
            name,
            self.users,
            *ratios,
            step.get("avg_time"),
        ]


def _funnel_rows(data: Mapping[str, Any]) -> Iterator[_FunnelRow]:
    """One row a date, segment and step. With `on`, a date maps segments to steps."""
    for day in sorted(data):
        entry: Any = data[day]
        if is_object(entry):
            segments = {"": entry} if "steps" in entry else entry
            for segment, part in segments.items():
                steps = part.get("steps") if is_object(part) else part
                for number, step in enumerate(objects_in(steps), start=1):
                    yield _FunnelRow(day, segment, number, step)


def _funnel_headline(args: QueryFunnelSavedReports, rows: Sequence[_FunnelRow]) -> str:
    everybody = [row for row in rows if not row.segment]
    last = max((row.number for row in everybody), default=0)
    entered = sum(row.users for row in everybody if row.number == 1)
    finished = sum(row.users for row in everybody if row.number == last)
    if not rows:
        return f"Funnel {args.funnel_id} has no data in these days."
    if not entered:
        return f"Funnel {args.funnel_id}: {len(rows)} rows by date, segment and step."
    return (
        f"Funnel {args.funnel_id}: {finished} of {entered} entries ({finished / entered:.1%}) "
        f"finished all {last} steps."
    )


def _leaves(node: object, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], object]]:
    """Walk a series to its numbers, however deep: breakdowns add levels."""
    if not is_object(node):
        yield path, node
        return
    children = node
    for name in sorted(children):
        yield from _leaves(children[name], (*path, name))


def _levels(headers: Sequence[str], width: int) -> list[str]:
    named = [header.removeprefix("$") for header in headers][:width]
    if len(named) < width:
        named.append("time")
    return named + [f"level_{level}" for level in range(len(named) + 1, width + 1)]


def _jql_table(items: Sequence[Any]) -> Table | None:
    """A table where every item is an object with the same few keys."""
    if not items or not all(is_object(item) for item in items):
        return None
    objects = items
    columns = list(objects[0])
    if len(columns) > 12 or any(set(item) != set(columns) for item in objects):
        return None
    return Table(columns=columns, rows=[[item[name] for name in columns] for item in objects])
