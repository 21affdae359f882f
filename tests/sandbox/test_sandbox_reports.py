"""What all reading paths have in common, and JQL: checked, then honestly not computed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from sandbox_client import PROJECT_ID

if TYPE_CHECKING:
    from sandbox_client import SandboxClient


@pytest.mark.parametrize(
    ("form", "status", "error"),
    [
        ({}, 400, "Missing required parameter: script"),
        ({"script": "function main(){}", "params": "[1]"}, 400, "params must be a JSON object"),
        ({"script": "function main(){}", "params": "{a: 1}"}, 400, "params must be"),
        ({"script": "function main(){}", "params": "{}"}, 501, "does not compute JQL"),
    ],
)
async def test_jql_needs_a_script(
    empty: SandboxClient, form: dict[str, str], status: int, error: str
) -> None:
    for base in ("/api/query", "/api/2.0"):
        answer = await empty.post(f"{base}/jql", params={"project_id": PROJECT_ID}, data=form)

        assert answer.status_code == status
        assert error in answer.json()["error"]


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/api/query/funnels/list"),
        ("GET", "/api/query/funnels"),
        ("GET", "/api/query/insights"),
        ("GET", "/api/query/retention"),
        ("GET", "/api/query/retention/addiction"),
        ("POST", "/api/query/cohorts/list"),
        ("POST", "/api/query/jql"),
        ("POST", "/api/query/engage"),
        ("GET", "/api/2.0/export"),
        ("GET", "/api/2.0/nessie/pipeline/jobs"),
        ("GET", "/api/2.0/nessie/pipeline/status"),
        ("POST", "/api/2.0/nessie/pipeline/create"),
    ],
)
async def test_every_reading_path_wants_a_service_account(
    empty: SandboxClient, method: str, path: str
) -> None:
    nobody = await empty.request(method, path, auth=("", ""))
    elsewhere = await empty.request(method, path, params={"project_id": 2})

    assert nobody.status_code == 401
    assert nobody.json()["error"] == "Unable to authenticate request"
    assert elsewhere.status_code == 403
