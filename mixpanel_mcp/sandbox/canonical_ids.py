"""Which ids are one person, and by which of them queries know that person.

Source: page `identifying-users-original`: any id of a cluster may be used to ingest, only the
canonical one to query and export. Which one that is "is not user-configurable"; here it is the one
of the cluster that the other was merged into.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection

    from mixpanel_mcp.analytics.store import Store

LARGEST_CLUSTER = 500


class Clusters:
    """The clusters that some ids belong to, read once for a whole batch."""

    def __init__(self, store: Store, ids: Collection[str]) -> None:
        self._store = store
        self._canonical = _clusters_of(store, ids)
        self._members: dict[str, list[str]] = {}
        for member, canonical in self._canonical.items():
            self._members.setdefault(canonical, [canonical]).append(member)
        self._changed: dict[str, str] = {}

    def canonical(self, distinct_id: str) -> str:
        return self._canonical.get(distinct_id, distinct_id)

    def can_merge(self, into: str, merged: str) -> bool:
        into, merged = self.canonical(into), self.canonical(merged)
        size = len(self._cluster(into)) + len(self._cluster(merged))
        return into == merged or size <= LARGEST_CLUSTER

    def merge(self, into: str, merged: str) -> None:
        into, merged = self.canonical(into), self.canonical(merged)
        if into == merged:
            return
        moved = self._cluster(merged)
        self._members[into] = [*self._cluster(into), *moved]
        self._members.pop(merged, None)
        for member in moved:
            self._canonical[member] = self._changed[member] = into

    def save(self) -> None:
        if self._changed:
            self._store.run(
                "INSERT OR REPLACE INTO canonical_ids"
                " SELECT unnest($ids::VARCHAR[]), unnest($canonical_ids::VARCHAR[])",
                {"ids": list(self._changed), "canonical_ids": list(self._changed.values())},
            )

    def _cluster(self, canonical: str) -> list[str]:
        return self._members.get(canonical, [canonical])


def canonical_ids(store: Store, ids: Collection[str]) -> dict[str, str]:
    """Map those of the ids that were merged into another one to the canonical one."""
    rows = store.rows(
        "SELECT distinct_id, canonical_id FROM canonical_ids"
        " WHERE distinct_id IN (SELECT unnest($ids::VARCHAR[]))",
        {"ids": list(ids)},
    )
    return dict(rows)


def _clusters_of(store: Store, ids: Collection[str]) -> dict[str, str]:
    """Map every merged id of the clusters that the ids belong to. A canonical id is no key."""
    if not ids:
        return {}
    ends = {each: each for each in ids} | canonical_ids(store, ids)
    rows = store.rows(
        "SELECT distinct_id, canonical_id FROM canonical_ids"
        " WHERE canonical_id IN (SELECT unnest($ids::VARCHAR[]))",
        {"ids": sorted(set(ends.values()))},
    )
    return dict(rows)
