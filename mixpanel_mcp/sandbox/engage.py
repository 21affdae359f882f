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

from mixpanel_mcp.analytics.expressions import Bindings, ExpressionError, Subject, condition
from mixpanel_mcp.analytics.profile_queries import (
    Behavior,
    Behaviors,
    ProfileQuery,
    matching_ids,
    shown_profiles,
    window,
)
from mixpanel_mcp.analytics.selectors import Selector
from mixpanel_mcp.sandbox.authentication import require_service_account
from mixpanel_mcp.sandbox.bodies import parse_form, read_body
from mixpanel_mcp.sandbox.clock import SECOND
from mixpanel_mcp.sandbox.cohorts import members
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
from mixpanel_mcp.sandbox.state import Project, project_of

if TYPE_CHECKING:
    from starlette.requests import Request

PAGE_SIZE = 1_000

_BEHAVIORS = "behaviors must be a JSON array of objects with window, name and event_selectors"
_LAST_SECOND = 10**11
_MOST_SESSIONS = 100


class EngageQuery(NamedTuple):
    """What selects the profiles, and must stay the same from page to page."""

    where: str | None
    distinct_ids: tuple[str, ...] | None
    cohort: int | None
    include_all_users: bool
    behaviors: Behaviors | None
    """As of now, unless said otherwise: the next page then asks of another now."""
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
    shown = shown_profiles(
        project.store,
        distinct_ids[page * PAGE_SIZE : (page + 1) * PAGE_SIZE],
        output_properties,
        query.group_key,
    )
    return JSONResponse(
        {
            "page": page,
            "page_size": PAGE_SIZE,
            "results": shown,
            "session_id": session_id,
            "status": "ok",
            "total": len(distinct_ids),
        }
    )


def _query(project: Project, parameters: Parameters) -> EngageQuery:
    parameters.integer("workspace_id")
    as_of = parameters.integer("as_of_timestamp", least=0, most=_LAST_SECOND)
    where = parameters.condition("where", Subject.PROFILES)
    if where is None:
        where = parameters.condition("selector", Subject.PROFILES)
    behaviors = _behaviors(parameters)
    cohort = _cohort(project, parameters)
    if parameters.text("behaviors") is not None and cohort is not None:
        raise parameters.refuse("behaviors and filter_by_cohort are mutually exclusive")
    now = project.clock.now() if as_of is None else as_of * SECOND
    return EngageQuery(
        where=where,
        distinct_ids=_distinct_ids(parameters),
        cohort=cohort,
        include_all_users=parameters.switch("include_all_users") is not False,
        behaviors=Behaviors(behaviors, now) if behaviors else None,
        group_key=_group_key(project, parameters),
    )


def _matches(project: Project, query: EngageQuery) -> list[str]:
    asked = ProfileQuery(
        where=query.where,
        distinct_ids=query.distinct_ids,
        members=None if query.cohort is None else members(project, query.cohort),
        include_all_users=query.include_all_users,
        behaviors=query.behaviors,
        group_key=query.group_key,
    )
    return matching_ids(project.store, asked)


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


def _behaviors(parameters: Parameters) -> tuple[Behavior, ...]:
    text = parameters.text("behaviors")
    if text is None:
        return ()
    try:
        behaviors = parse_json(text)
    except NotJsonError:
        behaviors = None
    if not is_list(behaviors):
        raise parameters.refuse(_BEHAVIORS)
    return tuple(_behavior(parameters, each) for each in behaviors)


def _behavior(parameters: Parameters, given: object) -> Behavior:
    if not is_object(given):
        raise parameters.refuse(_BEHAVIORS)
    name, selectors = given.get("name"), given.get("event_selectors")
    if not isinstance(name, str) or not is_list(selectors) or not selectors:
        raise parameters.refuse(_BEHAVIORS)
    try:
        window(str(given.get("window")))
    except ValueError as error:
        raise parameters.refuse(f"behaviors: {error}") from error
    return Behavior(
        name=name,
        window=str(given["window"]),
        selectors=tuple(_selector(parameters, each) for each in selectors),
    )


def _selector(parameters: Parameters, given: object) -> Selector:
    event = given.get("event") if is_object(given) else None
    where = given.get("selector") if is_object(given) else None
    if not isinstance(event, str) or not isinstance(where, str | None):
        raise parameters.refuse(_BEHAVIORS)
    try:
        condition(where or "true", Subject.EVENTS, Bindings())
    except ExpressionError as error:
        raise parameters.refuse(f"behaviors: {where!r:.100} is no selector: {error}") from error
    return Selector(event, where or None)


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
