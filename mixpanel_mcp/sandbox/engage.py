"""The profile query: `/api/query/engage`.

Sources: `query.openapi.yaml#/engage`, reference page `engage-query`. `total` is the number of all
matches, as official helpers use it; the specification calls it the number in the payload. A
distinct_id that a cohort has and no profile belongs to comes without `$properties`. With
`data_group_id` the profiles are those of groups, and `$distinct_id` is the id of each group.
"""

from __future__ import annotations

import secrets
import string
import time
from collections import OrderedDict
from typing import TYPE_CHECKING, Any, NamedTuple

from anyio import to_thread
from starlette.responses import JSONResponse, Response

from mixpanel_mcp.analytics.profiles import (
    Properties,
    group_ids,
    profile_ids,
    read_groups,
    read_profiles,
)
from mixpanel_mcp.sandbox.authentication import require_service_account
from mixpanel_mcp.sandbox.bodies import parse_form, read_body
from mixpanel_mcp.sandbox.data_groups import group_key_of
from mixpanel_mcp.sandbox.json_values import (
    JsonObject,
    NotJsonError,
    is_list,
    is_object,
    is_utf8,
    parse_json,
    write_json,
)
from mixpanel_mcp.sandbox.parameters import Parameters
from mixpanel_mcp.sandbox.replies import not_computed
from mixpanel_mcp.sandbox.state import Project, project_of

if TYPE_CHECKING:
    from starlette.requests import Request

PAGE_SIZE = 1_000

_MOST_SESSIONS = 100


class EngageQuery(NamedTuple):
    """What selects the profiles, and must stay the same from page to page."""

    distinct_ids: tuple[str, ...] | None
    cohort: int | None
    include_all_users: bool
    group_key: str | None
    """Of groups, where their profiles are asked for."""


class EngageSessions:
    """The results that are being paged through. The oldest is forgotten first."""

    def __init__(self) -> None:
        self._results: OrderedDict[str, tuple[EngageQuery, list[str]]] = OrderedDict()

    def begin(self, query: EngageQuery, distinct_ids: list[str]) -> str:
        letters = "".join(secrets.choice(string.ascii_uppercase) for _ in range(6))
        session_id = f"{int(time.time())}-{letters}"
        self._results[session_id] = (query, distinct_ids)
        if len(self._results) > _MOST_SESSIONS:
            self._results.popitem(last=False)
        return session_id

    def resume(self, session_id: str, query: EngageQuery) -> list[str] | None:
        """Return the ids of a session, or None where it is gone or was about something else."""
        known = self._results.get(session_id)
        return known[1] if known and known[0] == query else None

    def clear(self) -> None:
        self._results.clear()


async def query_profiles(request: Request) -> Response:
    values = await _values(request)
    require_service_account(request, values.get("project_id"))
    parameters = Parameters.of(request, values)
    return await to_thread.run_sync(_answer, project_of(request), parameters)


def _answer(project: Project, parameters: Parameters) -> Response:
    page = parameters.integer("page", least=0) or 0
    session_id = parameters.text("session_id")
    output_properties = parameters.texts("output_properties")
    query = _query(project, parameters)
    if page and session_id is None:
        raise parameters.refuse("session_id is required when page is above 0")
    if session_id is None:
        distinct_ids = _matches(project, query)
        session_id = project.sessions.begin(query, distinct_ids)
    else:
        resumed = project.sessions.resume(session_id, query)
        if resumed is None:
            raise parameters.refuse("request for page in uncached query for params")
        distinct_ids = resumed
    shown = distinct_ids[page * PAGE_SIZE : (page + 1) * PAGE_SIZE]
    return JSONResponse(
        {
            "page": page,
            "page_size": PAGE_SIZE,
            "results": _results(_profiles(project, query, shown), shown, output_properties),
            "session_id": session_id,
            "status": "ok",
            "total": len(distinct_ids),
        }
    )


def _query(project: Project, parameters: Parameters) -> EngageQuery:
    """Check what selects the profiles, first what is wrong, then what is not computed."""
    parameters.integer("workspace_id")
    parameters.integer("as_of_timestamp", least=0)
    where = parameters.expression("where") or parameters.expression("selector")
    behaviors = _behaviors(parameters)
    cohort = _cohort(project, parameters)
    if behaviors is not None and cohort is not None:
        raise parameters.refuse("behaviors and filter_by_cohort are mutually exclusive")
    distinct_ids = _distinct_ids(parameters)
    include_all_users = parameters.switch("include_all_users")
    group_key = _group_key(project, parameters)
    if where is not None:
        raise not_computed("where expressions")
    if behaviors is not None:
        raise not_computed("behaviors")
    if cohort is not None and "where" in project.saved("cohort")[cohort]:
        raise not_computed("cohorts that are defined by where")
    return EngageQuery(distinct_ids, cohort, include_all_users is not False, group_key)


def _matches(project: Project, query: EngageQuery) -> list[str]:
    known = (
        profile_ids(project.store)
        if query.group_key is None
        else group_ids(project.store, query.group_key)
    )
    matches = known
    if query.cohort is not None:
        members: list[str] = project.saved("cohort")[query.cohort]["distinct_ids"]
        profiled = set(known)
        everyone = query.include_all_users
        matches = sorted(each for each in set(members) if everyone or each in profiled)
    if query.distinct_ids is not None:
        wanted = set(query.distinct_ids)
        matches = [each for each in matches if each in wanted]
    return matches


def _profiles(
    project: Project, query: EngageQuery, distinct_ids: list[str]
) -> dict[str, Properties]:
    key = query.group_key
    if key is None:
        return read_profiles(project.store, distinct_ids)
    groups = read_groups(project.store, {(key, each) for each in distinct_ids})
    return {group_id: properties for (_, group_id), properties in groups.items()}


def _results(
    profiles: dict[str, Properties], distinct_ids: list[str], output_properties: list[str] | None
) -> list[dict[str, Any]]:
    results: list[dict[str, Any]] = []
    for distinct_id in distinct_ids:
        result: dict[str, Any] = {"$distinct_id": distinct_id}
        properties = profiles.get(distinct_id)
        if properties is not None:
            result["$properties"] = {
                name: value
                for name, value in properties.items()
                if output_properties is None or name in output_properties
            }
        results.append(result)
    return results


def _distinct_ids(parameters: Parameters) -> tuple[str, ...] | None:
    one, many = parameters.text("distinct_id"), parameters.texts("distinct_ids")
    if one is not None and many is not None:
        raise parameters.refuse("send distinct_id or distinct_ids, not both")
    if one is not None:
        return (one,)
    return None if many is None else tuple(many)


def _group_key(project: Project, parameters: Parameters) -> str | None:
    identifier = parameters.integer("data_group_id", least=-(2**63))
    if identifier is None:
        return None
    key = group_key_of(project, identifier)
    if key is None:
        raise parameters.refuse(f"data group {identifier} does not exist in this project")
    return key


def _behaviors(parameters: Parameters) -> list[Any] | None:
    text = parameters.text("behaviors")
    if text is None:
        return None
    try:
        behaviors = parse_json(text)
    except NotJsonError:
        behaviors = None
    if not is_list(behaviors) or not all(map(_is_behavior, behaviors)):
        raise parameters.refuse(
            "behaviors must be a JSON array of objects with window, name and event_selectors"
        )
    return behaviors


def _is_behavior(value: object) -> bool:
    return is_object(value) and {"window", "name", "event_selectors"} <= value.keys()


def _cohort(project: Project, parameters: Parameters) -> int | None:
    text = parameters.text("filter_by_cohort")
    if text is None:
        return None
    try:
        given = parse_json(text)
    except NotJsonError:
        given = None
    cohort = given.get("id") if is_object(given) else None
    if not isinstance(cohort, int):
        raise parameters.refuse('filter_by_cohort must be a JSON object such as {"id": 12345}')
    if cohort not in project.saved("cohort"):
        raise parameters.refuse(f"cohort {cohort} does not exist in this project")
    return cohort


async def _values(request: Request) -> dict[str, str]:
    """Take values from the query and the body: a form, or the JSON that some clients send."""
    values = dict(request.query_params)
    if request.method == "GET":
        return values
    body = await read_body(request)
    if not body.lstrip().startswith(b"{"):
        return values | dict(parse_form(body))
    try:
        given: JsonObject = parse_json(body)
        texts = {name: _as_text(value) for name, value in given.items() if value is not None}
    except ValueError:
        raise Parameters.of(request).refuse("the body is not valid JSON") from None
    return values | texts


def _as_text(value: Any) -> str:
    return value if isinstance(value, str) and is_utf8(value) else write_json(value)
