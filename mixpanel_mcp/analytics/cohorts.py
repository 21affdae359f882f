"""Cohorts: users by a condition on their profiles, or by name.

A cohort by condition has the profiles that fit it now. One by ids has these ids, with or without
profiles. Its size is the number of its members.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import TYPE_CHECKING

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


def cohort_members(store: Store, cohort: Cohort) -> list[str]:
    """Return the distinct ids of the members, in their order.

    Raises:
        ExpressionError: the condition is no expression.
    """
    match cohort:
        case ByCondition(where=where):
            return matching_ids(store, ProfileQuery(where=where))
        case ByIds(distinct_ids=distinct_ids):
            return sorted(set(distinct_ids))
