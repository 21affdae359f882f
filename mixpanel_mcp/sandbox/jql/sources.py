"""`Events()`, `People()` and `join()` as SQL that yields their items as JSON texts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mixpanel_mcp.analytics.counted import events_source
from mixpanel_mcp.analytics.expressions import (
    Bindings,
    ExpressionError,
    Subject,
    condition,
    event_parts,
    needs_user,
)
from mixpanel_mcp.analytics.json_access import Kind, json_part, json_value
from mixpanel_mcp.analytics.selectors import Selector as EventSelector
from mixpanel_mcp.sandbox.clock import DAY, midnight
from mixpanel_mcp.sandbox.jql.plans import EventsPlan, JoinPlan, PeoplePlan, Plan, Selector

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from mixpanel_mcp.analytics.store import Store

_EVENT = """'{"name":' || to_json(name)
    || ',"distinct_id":' || to_json(distinct_id)
    || ',"time":' || time
    || ',"sampling_factor":1,"properties":{"$insert_id":' || to_json(insert_id)
    || ',"mp_processing_time_ms":' || processed
    || CASE WHEN properties::VARCHAR = '{}' THEN '}' ELSE ',' || (properties::VARCHAR)[2:] END
    || '}'"""
_LAST_SEEN = json_value(Kind.STRING, json_part("properties", "'/$last_seen'"))
_SEEN = """'"time":' || seen || ',"last_seen":' || seen || ','"""
_USER = f"""'{{"distinct_id":' || to_json(distinct_id) || ',' || COALESCE({_SEEN}, '')
    || '"properties":' || properties::VARCHAR || '}}'"""
_JOINED = """'{"distinct_id":' || to_json(distinct_id)
    || COALESCE(',"event":' || event_item, '')
    || COALESCE(',"user":' || user_item, '')
    || '}'"""
_BY_TIME = "time, distinct_id, event, insert_id"
_BY_USER = "distinct_id, time, event, insert_id"


class SourceError(ValueError):
    """A selector cannot be read; the text says which, and where."""


def items(store: Store, plan: Plan) -> Iterator[bytes]:
    """Yield JSON arrays of items.

    Raises:
        SourceError: before the first of them.
    """
    bindings = Bindings()
    sql = _select(plan, bindings)
    return (
        f"[{','.join(item for (item,) in piece)}]".encode()
        for piece in store.stream(sql, bindings.values)
    )


def _select(plan: Plan, bindings: Bindings) -> str:
    match plan:
        case EventsPlan():
            order = _BY_USER if plan.by_user else _BY_TIME
            return f"SELECT {_EVENT} FROM ({_events(plan, bindings)}) ORDER BY {order}"  # noqa: S608
        case PeoplePlan():
            return f"SELECT {_USER} FROM ({_people(plan, bindings)}) ORDER BY distinct_id"  # noqa: S608
        case JoinPlan():
            return _join(plan, bindings)


def _events(plan: EventsPlan, bindings: Bindings) -> str:
    selectors = plan.event_selectors
    for place, each in enumerate(selectors):
        if _needs_user(f"event_selectors[{place}]", each):
            raise SourceError(
                f"event_selectors[{place}].selector: Events() knows no user properties; "
                "use join() for an expression with user[...]"
            )
    names = [each.event for each in selectors if each.event is not None]
    source = events_source(
        bindings,
        from_time=midnight(plan.from_date),
        to_time=midnight(plan.to_date) + DAY,
        names=names if names and len(names) == len(selectors) else None,
    )
    name = _labelled(selectors, bindings)
    return f"SELECT *, {name} AS name FROM {source} WHERE {name} IS NOT NULL"  # noqa: S608  # every value is a parameter


def _labelled(selectors: Sequence[Selector], bindings: Bindings) -> str:
    """SQL for the name under which an event is selected, NULL where it is not."""
    if not selectors:
        return "event"
    cases = [
        f"WHEN {_fits(f'event_selectors[{place}]', each, Subject.EVENTS, bindings)} THEN "
        + ("event" if each.label is None else f"{bindings.add(each.label)}::VARCHAR")
        for place, each in enumerate(selectors)
    ]
    return f"CASE {' '.join(cases)} END"


def _people(plan: PeoplePlan, bindings: Bindings) -> str:
    wanted = _any_of("user_selectors", plan.user_selectors, Subject.PROFILES, bindings)
    return f"""
    SELECT *, epoch_ms(TRY_CAST({_LAST_SEEN} AS TIMESTAMP)) AS seen
    FROM (SELECT distinct_id, properties, NULL::JSON AS behaviors FROM profiles)
    WHERE {wanted}
"""  # noqa: S608  # every value is a parameter


def _join(plan: JoinPlan, bindings: Bindings) -> str:
    wanted = _any_of("selectors", plan.selectors, Subject.EVENTS, bindings)
    events = _events(plan.events, bindings)
    people = _people(plan.people, bindings)
    return f"""
    SELECT {_JOINED}
    FROM (
        SELECT *, {event_parts(bindings, "properties", "user_properties")} FROM (
            SELECT distinct_id, event, time, insert_id, processed, properties,
                {_EVENT} AS event_item
            FROM ({events})
        ) AS selected_events
        {plan.type} JOIN (
            SELECT distinct_id, properties AS user_properties, {_USER} AS user_item FROM ({people})
        ) AS selected_people USING (distinct_id)
    )
    WHERE {wanted}
    ORDER BY {_BY_USER}
"""  # noqa: S608  # every value is a parameter


def _any_of(name: str, selectors: Sequence[Selector], subject: Subject, bindings: Bindings) -> str:
    fits = [
        _fits(f"{name}[{place}]", each, subject, bindings) for place, each in enumerate(selectors)
    ]
    return " OR ".join(fits) or "TRUE"


def _fits(place: str, selector: Selector, subject: Subject, bindings: Bindings) -> str:
    where = selector.selector or None
    try:
        if subject is Subject.EVENTS:
            return f"({EventSelector(selector.event, where).sql(bindings)})"
        return "TRUE" if where is None else f"({condition(where, subject, bindings)})"
    except ExpressionError as error:
        raise SourceError(f"{place}.selector: {error}") from error


def _needs_user(place: str, selector: Selector) -> bool:
    try:
        return needs_user(selector.selector or None)
    except ExpressionError as error:
        raise SourceError(f"{place}.selector: {error}") from error
