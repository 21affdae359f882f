"""Profiles out: the Engage query, page by page."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Annotated, Any

from pydantic import BeforeValidator, Field

from mixpanel_mcp.api.errors import InvalidArgumentsError
from mixpanel_mcp.api.regions import Family, endpoint
from mixpanel_mcp.api.request import FORM, Request, compact_json, form_body, pairs
from mixpanel_mcp.json_values import is_list, is_object
from mixpanel_mcp.operation import Answer, Cached, Call, Effect, InWorkspace, Table, operation
from mixpanel_mcp.operations.arguments import Names, from_json
from mixpanel_mcp.operations.replies import json_object, lacking
from mixpanel_mcp.sanitize import counted, listed

_MOST_COLUMNS = 20
_PAGE_SIZE = 1000


def _cohort(value: object) -> object:
    parsed = from_json(value)
    return {"id": parsed} if isinstance(parsed, (int, str)) else parsed


def _behaviors(value: object) -> object:
    parsed = from_json(value)
    return [parsed] if is_object(parsed) else parsed


class QueryProfiles(Cached, InWorkspace):
    """Arguments of query_profiles."""

    distinct_ids: Names | None = Field(
        default=None, description="Only these users (a list or one id)."
    )
    where: str | None = Field(
        default=None, description='Expression over profile properties: properties["plan"] == "pro".'
    )
    output_properties: Names | None = Field(
        default=None, description="Only these properties: a smaller, faster answer."
    )
    session_id: str | None = Field(default=None, description="From the page before.")
    page: int | None = Field(default=None, ge=0, description="From 0; above 0 needs session_id.")
    behaviors: Annotated[list[dict[str, Any]], BeforeValidator(_behaviors)] | None = Field(
        default=None,
        description='What users did: [{"window":"90d","name":"b","event_selectors":'
        '[{"event":"X"}]}]; then where: behaviors["b"] > 0.',
    )
    as_of_timestamp: int | None = Field(
        default=None, gt=0, description="Unix seconds; with behaviors and more than 1,000 matches."
    )
    filter_by_cohort: Annotated[dict[str, int], BeforeValidator(_cohort)] | None = Field(
        default=None,
        description="Cohort id, or {id}. Not with behaviors.",
        json_schema_extra={"anyOf": [{"type": "integer"}, {"type": "object"}]},
    )
    include_all_users: bool | None = Field(
        default=None,
        description="With filter_by_cohort: also ids without a profile (default true).",
    )


@operation(
    title="Query profiles",
    toolset="profiles",
    effect=Effect.READS,
    docs="query.openapi.yaml /engage",
)
async def query_profiles(call: Call, args: QueryProfiles) -> Answer:
    """Look up user profiles, 1,000 a page; each page is one of the project's 60 queries an hour."""
    _check_exclusions(args)
    fields = {
        "distinct_ids": _json_text(args.distinct_ids),
        "where": args.where,
        "output_properties": _json_text(args.output_properties),
        "session_id": args.session_id,
        "page": args.page,
        "behaviors": _json_text(args.behaviors),
        "as_of_timestamp": args.as_of_timestamp,
        "filter_by_cohort": _json_text(args.filter_by_cohort),
        "include_all_users": args.include_all_users,
    }
    request = Request(
        family=Family.QUERY,
        region=call.region,
        method="POST",
        path=endpoint(Family.QUERY, "/engage"),
        query=pairs({"project_id": call.project(), "workspace_id": call.workspace_id}),
        body=form_body(pairs(fields)),
        content_type=FORM,
    )
    document = await json_object(call, request)
    profiles = document.get("results")
    if not is_list(profiles) or not all(map(is_object, profiles)):
        raise lacking("a list of profiles")
    return _answer(args, document, profiles)


def _check_exclusions(args: QueryProfiles) -> None:
    faults: list[str] = []
    if args.behaviors is not None and args.filter_by_cohort is not None:
        faults.append("behaviors and filter_by_cohort exclude each other: leave one out")
    if args.page and not args.session_id:
        faults.append(
            "page: above 0 it needs the session_id of the page before, and the same where"
        )
    if args.include_all_users is not None and args.filter_by_cohort is None:
        faults.append("include_all_users: means something only with filter_by_cohort")
    if args.as_of_timestamp is not None and args.behaviors is None:
        faults.append("as_of_timestamp: means something only with behaviors")
    if args.filter_by_cohort is not None and set(args.filter_by_cohort) != {"id"}:
        faults.append('filter_by_cohort: must be a cohort\'s id, or {"id": 12345}')
    if faults:
        raise InvalidArgumentsError(faults)


def _json_text(value: object) -> str | None:
    return None if value is None else compact_json(value)


def _answer(
    args: QueryProfiles, document: Mapping[str, Any], profiles: Sequence[Mapping[str, Any]]
) -> Answer:
    page, size = args.page or 0, document.get("page_size")
    size = size if isinstance(size, int) and size > 0 else _PAGE_SIZE
    session_id = document.get("session_id")
    more = len(profiles) >= size and bool(session_id)
    notes: list[str] = []
    found = {str(profile.get("$distinct_id")) for profile in profiles}
    missing = [one for one in args.distinct_ids or [] if one not in found]
    if missing and not more:
        notes.append(f"no profile found here for {listed(missing)}")
    if args.behaviors and "behaviors" not in (args.where or ""):
        notes.append(
            'behaviors alone filter nothing: refer to them in where, behaviors["name"] > 0'
        )
    if more:
        notes.append("this page is full, so there may be more; keep where unchanged")
    return Answer(
        headline=_headline(len(profiles), page, document.get("total")),
        data={
            "profiles": profiles,
            "page": page,
            "page_size": size,
            "session_id": session_id,
            "total": document.get("total"),
        },
        table=_table(profiles) if profiles else None,
        notes=notes,
        complete=not more,
        next=_next(args, page + 1, session_id) if more else None,
    )


def _headline(count: int, page: int, total: object) -> str:
    if not count:
        return "No profile matches." if not page else f"Page {page} is empty: there are no more."
    of = f" Mixpanel gives {total} as the total." if isinstance(total, int) else ""
    return f"{counted(count, 'profile')} on page {page}.{of}"


def _next(args: QueryProfiles, page: int, session_id: object) -> dict[str, Any]:
    given = args.model_dump(mode="json", exclude_none=True, exclude={"fresh"})
    return {
        "tool": "query_profiles",
        "arguments": {**given, "page": page, "session_id": session_id},
    }


def _table(profiles: Sequence[Mapping[str, Any]]) -> Table:
    """One row a profile; the columns are the properties that most of them have."""
    properties = [_properties(profile) for profile in profiles]
    common = Counter(name for each in properties for name in each)
    columns = [name for name, _ in common.most_common(_MOST_COLUMNS)]
    rows = [
        [profile.get("$distinct_id"), *(each.get(name) for name in columns)]
        for profile, each in zip(profiles, properties, strict=True)
    ]
    return Table(columns=["$distinct_id", *columns], rows=rows)


def _properties(profile: Mapping[str, Any]) -> dict[str, Any]:
    properties = profile.get("$properties")
    return properties if is_object(properties) else {}
