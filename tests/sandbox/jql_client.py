"""Asking the sandbox with JQL, over HTTP."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from sandbox_client import PROJECT_ID

if TYPE_CHECKING:
    import httpx
    from sandbox_client import SandboxClient


async def asked(client: SandboxClient, script: str, params: Any = None) -> httpx.Response:
    form = {"script": script} if params is None else {"script": script, "params": _text(params)}
    return await client.post("/api/query/jql", params={"project_id": PROJECT_ID}, data=form)


async def answer(client: SandboxClient, script: str, params: Any = None) -> list[Any]:
    response = await asked(client, script, params)
    assert response.status_code == 200, response.text
    return response.json()


async def refusal(client: SandboxClient, script: str, params: Any = None) -> str:
    """Return the error of a 400 in the query API's shape."""
    response = await asked(client, script, params)
    assert response.status_code == 400, response.text
    body = response.json()
    assert body["status"] == "error"
    assert body["request"] == f"/api/query/jql?project_id={PROJECT_ID}"
    return body["error"]


def _text(params: Any) -> str:
    return params if isinstance(params, str) else json.dumps(params)
