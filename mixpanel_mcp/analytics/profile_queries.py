"""Which profiles a query selects, and what it shows of them.

Sources: `query.openapi.yaml` /engage, page "Query Profiles".

- `where` sees the properties of the profile, and in `behaviors["name"]` how many events its user
  sent that one of the behavior's selectors fits, in the window that ends with `as_of` (without its
  first millisecond, with its last). Who sent none has 0, so that `== 0` finds them too.
- The members of a cohort are selected whether they have a profile or not, unless
  `include_all_users` is false. To `where` a missing profile has no properties; it is shown without
  `$properties`.
- Ids come in their order, so that a page never repeats what another one had.

Where Mixpanel's documents are silent: a behavior that `where` does not mention selects nobody and
excludes nobody, and a window is given in days ("90d") or hours ("12h").
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple, NotRequired, TypedDict

from mixpanel_mcp.analytics.buckets import DAY, HOUR
from mixpanel_mcp.analytics.dialect import texts
from mixpanel_mcp.analytics.expressions import Bindings, Subject, condition
from mixpanel_mcp.analytics.json_access import json_object
from mixpanel_mcp.analytics.profiles import Properties, read_groups, read_profiles
from mixpanel_mcp.analytics.selectors import Selector, selected_events

if TYPE_CHECKING:
    from mixpanel_mcp.analytics.store import Store

_WINDOW = re.compile(r"([0-9]{1,5})([dh])")
_WIDTHS = {"d": DAY, "h": HOUR}


class Behavior(NamedTuple):
    name: str
    window: str
    """As Mixpanel writes it: "90d"."""
    selectors: Sequence[Selector]


class Behaviors(NamedTuple):
    counted: Sequence[Behavior]
    as_of: int
    """When their windows end, in milliseconds since the epoch."""


@dataclass(frozen=True)
class ProfileQuery:
    where: str | None = None
    distinct_ids: Collection[str] | None = None
    """Only these."""
    members: Collection[str] | None = None
    """Only these, who form a cohort and need no profile."""
    include_all_users: bool = True
    behaviors: Behaviors | None = None
    group_key: str | None = None
    """Query the group profiles of this key instead of users."""


# Names that are no identifiers need the functional form.
ShownProfile = TypedDict(
    "ShownProfile", {"$distinct_id": str, "$properties": NotRequired[Properties]}
)


def matching_ids(store: Store, query: ProfileQuery) -> list[str]:
    """Return the ids of all profiles that fit, in their order.

    Raises:
        ExpressionError: `where` or a selector is no expression.
        ValueError: the window of a behavior cannot be read.
    """
    bindings = Bindings()
    rows = f"({_profiles(query, bindings)})"
    if query.behaviors is not None:
        rows = f"({_with_behaviors(query.behaviors, rows, bindings)})"
    conditions = ["TRUE"]
    if query.where is not None:
        conditions.append(condition(query.where, Subject.PROFILES, bindings))
    conditions += [
        f"distinct_id IN {texts(bindings.add(list(ids)))}"
        for ids in (query.members, query.distinct_ids)
        if ids is not None
    ]
    sql = f"SELECT distinct_id FROM {rows} WHERE {' AND '.join(conditions)} ORDER BY distinct_id"  # noqa: S608  # values are parameters, names and numbers ours
    return [distinct_id for (distinct_id,) in store.rows(sql, bindings.values)]


def shown_profiles(
    store: Store,
    distinct_ids: Sequence[str],
    output_properties: Collection[str] | None = None,
    group_key: str | None = None,
) -> list[ShownProfile]:
    """Read the profiles of one page, whole or only some of their properties."""
    known = _read(store, distinct_ids, group_key)
    results: list[ShownProfile] = []
    for distinct_id in distinct_ids:
        result: ShownProfile = {"$distinct_id": distinct_id}
        if distinct_id in known:
            result["$properties"] = _selected(known[distinct_id], output_properties)
        results.append(result)
    return results


def _profiles(query: ProfileQuery, bindings: Bindings) -> str:
    """SQL for the rows that expressions over profiles are about."""
    if query.group_key is None:
        known = "SELECT distinct_id, properties FROM profiles"
    else:
        key = bindings.add(query.group_key)
        known = f"SELECT group_id AS distinct_id, properties FROM groups WHERE group_key = {key}"  # noqa: S608  # values are parameters, names and numbers ours
    if query.members is None or not query.include_all_users:
        return f"SELECT distinct_id, properties, CAST(NULL AS JSON) AS behaviors FROM ({known})"  # noqa: S608  # values are parameters, names and numbers ours
    members = bindings.add(list(query.members))
    return f"""WITH known AS ({known})
        SELECT distinct_id, properties, CAST(NULL AS JSON) AS behaviors FROM known
        UNION ALL
        SELECT DISTINCT text, CAST('{{}}' AS JSON), CAST(NULL AS JSON) FROM {texts(members)}
        WHERE text NOT IN (SELECT distinct_id FROM known)"""  # noqa: S608  # values are parameters, names and numbers ours


def _with_behaviors(behaviors: Behaviors, profiles: str, bindings: Bindings) -> str:
    """SQL for the same rows with the number of events of each behavior."""
    counts: list[str] = []
    numbers: dict[str, str] = {}
    for number, behavior in enumerate(behaviors.counted):
        fits = " OR ".join(selector.sql(bindings) for selector in behavior.selectors) or "FALSE"
        since = behaviors.as_of - window(behavior.window)
        counts.append(f"count(CASE WHEN time > {since} AND ({fits}) THEN 1 END) AS count_{number}")
        numbers[bindings.add(behavior.name)] = f"coalesce(count_{number}, 0)"
    longest = max((window(behavior.window) for behavior in behaviors.counted), default=0)
    events = selected_events(
        [selector for behavior in behaviors.counted for selector in behavior.selectors],
        bindings,
        from_time=behaviors.as_of - longest,
        to_time=behaviors.as_of + 1,
    )
    return f"""SELECT distinct_id, properties, {json_object(numbers)} AS behaviors
        FROM {profiles} LEFT JOIN (
            SELECT distinct_id, {", ".join(counts)} FROM {events} GROUP BY distinct_id
        ) USING (distinct_id)"""  # noqa: S608  # values are parameters, names and numbers ours


def window(text: str) -> int:
    """Read the window of a behavior and return its milliseconds.

    Raises:
        ValueError: it is not a number of days or hours.
    """
    found = _WINDOW.fullmatch(text)
    if found is None:
        raise ValueError(f'a window is a number of days or hours, such as "90d", not {text!r}')
    return int(found[1]) * _WIDTHS[found[2]]


def _read(
    store: Store, distinct_ids: Collection[str], group_key: str | None
) -> dict[str, Properties]:
    if group_key is None:
        return read_profiles(store, distinct_ids)
    groups = read_groups(store, [(group_key, group_id) for group_id in distinct_ids])
    return {group_id: properties for (_, group_id), properties in groups.items()}


def _selected(properties: Properties, names: Collection[str] | None) -> Properties:
    if names is None:
        return properties
    return {name: properties[name] for name in names if name in properties}
