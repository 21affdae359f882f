"""Cohorts: users by a condition on their profiles, or by name.

A cohort by condition has the profiles that fit it now. One by ids has the users of these ids, by
their canonical ids, with or without profiles. Its size is the number of its members.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mixpanel_mcp.analytics.dialect import texts
from mixpanel_mcp.analytics.profile_queries import ProfileQuery, matching_ids

if TYPE_CHECKING:
    from mixpanel_mcp.analytics.store import Store


@dataclass(frozen=True)
class ByCondition:
    where: str


@dataclass(frozen=True)
class ByIds:
    distinct_ids: Collection[str]


Cohort = ByCondition | ByIds

_CANONICAL = f"""
SELECT DISTINCT coalesce(canonical_id, text) AS member
FROM {texts("$ids")}
    LEFT JOIN canonical_ids ON canonical_ids.distinct_id = text
ORDER BY member
"""  # noqa: S608  # the ids are a parameter


def cohort_members(store: Store, cohort: Cohort) -> list[str]:
    """Return the distinct ids of the members, in their order.

    Raises:
        ExpressionError: the condition is no expression.
    """
    match cohort:
        case ByCondition(where=where):
            return matching_ids(store, ProfileQuery(where=where))
        case ByIds(distinct_ids=distinct_ids):
            rows = store.rows(_CANONICAL, {"ids": list(distinct_ids)})
            return [distinct_id for (distinct_id,) in rows]
