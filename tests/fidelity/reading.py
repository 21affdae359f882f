"""What a project holds after an official client was there: asked for without one."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from mixpanel_mcp.sandbox import PROJECT_ID

if TYPE_CHECKING:
    import httpx

PROJECT = {"project_id": str(PROJECT_ID)}


def events(caller: httpx.Client) -> list[dict[str, Any]]:
    window = {"from_date": "2011-01-01", "to_date": f"{datetime.now(UTC):%Y-%m-%d}"}
    answer = caller.get("/api/2.0/export", params={**PROJECT, **window})
    assert answer.status_code == 200, answer.text
    return [json.loads(line) for line in answer.text.split("\n") if line]


def profiles(caller: httpx.Client, **form: str) -> dict[str, dict[str, Any]]:
    answer = caller.post("/api/query/engage", params=PROJECT, data=form)
    assert answer.status_code == 200, answer.text
    return {each["$distinct_id"]: each["$properties"] for each in answer.json()["results"]}


def groups(caller: httpx.Client, key: str) -> dict[str, dict[str, Any]]:
    declared = caller.post("/sandbox/groups", json={"group_key": key}).json()
    return profiles(caller, data_group_id=declared["data_group_id"])
