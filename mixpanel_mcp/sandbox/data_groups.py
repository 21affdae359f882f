"""Group keys and the ids by which their profiles are queried (`data_group_id`).

In Mixpanel a group key is declared in the project's settings, which also show its id: a 64-bit
integer that may be negative. Here the first profile declares its key too.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from mixpanel_mcp.sandbox.state import Project


def declare(project: Project, group_keys: Iterable[str]) -> None:
    known = project.saved("group")
    for key in set(group_keys):
        if data_group_id(key) not in known:
            project.replace("group", data_group_id(key), {"group_key": key})


def data_group_id(group_key: str) -> int:
    digest = hashlib.sha256(group_key.encode()).digest()
    return int.from_bytes(digest[:8], signed=True)


def group_key_of(project: Project, identifier: int) -> str | None:
    group = project.saved("group").get(identifier)
    return group["group_key"] if group else None
