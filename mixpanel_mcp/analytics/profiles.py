"""User and group profiles: a JSON object per id."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from mixpanel_mcp.analytics.store import Store

Properties = dict[str, Any]
GroupId = tuple[str, str]
"""Group key and group id."""


def profile_ids(store: Store) -> list[str]:
    rows = store.rows("SELECT distinct_id FROM profiles ORDER BY distinct_id")
    return [distinct_id for (distinct_id,) in rows]


def read_profiles(store: Store, distinct_ids: Collection[str]) -> dict[str, Properties]:
    """Read those that exist."""
    rows = store.rows(
        "SELECT distinct_id, properties FROM profiles"
        " WHERE distinct_id IN (SELECT unnest($ids::VARCHAR[]))",
        {"ids": list(distinct_ids)},
    )
    return {distinct_id: json.loads(properties) for distinct_id, properties in rows}


def write_profiles(store: Store, profiles: Mapping[str, Properties | None]) -> None:
    """Put each profile in place of the old one; None takes it away."""
    kept = {name: profile for name, profile in profiles.items() if profile is not None}
    with store.transaction():
        store.run(
            "DELETE FROM profiles WHERE distinct_id IN (SELECT unnest($ids::VARCHAR[]))",
            {"ids": [name for name in profiles if name not in kept]},
        )
        store.run(
            "INSERT OR REPLACE INTO profiles"
            " SELECT unnest($ids::VARCHAR[]), unnest($properties::VARCHAR[])",
            {"ids": list(kept), "properties": [_text(profile) for profile in kept.values()]},
        )


def read_groups(store: Store, ids: Collection[GroupId]) -> dict[GroupId, Properties]:
    """Read those that exist."""
    rows = store.rows(
        "SELECT group_key, group_id, properties FROM groups"
        " WHERE group_key IN (SELECT unnest($keys::VARCHAR[]))"
        " AND group_id IN (SELECT unnest($ids::VARCHAR[]))",
        {"keys": [key for key, _ in ids], "ids": [group_id for _, group_id in ids]},
    )
    found = {(key, group_id): json.loads(properties) for key, group_id, properties in rows}
    return {name: properties for name, properties in found.items() if name in ids}


def write_groups(store: Store, groups: Mapping[GroupId, Properties | None]) -> None:
    """Put each group profile in place of the old one; None takes it away."""
    with store.transaction():
        for (key, group_id), properties in groups.items():
            name = {"key": key, "id": group_id}
            if properties is None:
                store.run("DELETE FROM groups WHERE group_key = $key AND group_id = $id", name)
            else:
                store.run(
                    "INSERT OR REPLACE INTO groups VALUES ($key, $id, $properties)",
                    {**name, "properties": _text(properties)},
                )


def _text(properties: Properties) -> str:
    return json.dumps(properties, ensure_ascii=False, separators=(",", ":"))
