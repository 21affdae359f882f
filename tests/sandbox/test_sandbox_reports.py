"""What all reading paths have in common."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from sandbox_client import SandboxClient


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/api/query/funnels/list"),
        ("GET", "/api/query/funnels"),
        ("GET", "/api/query/insights"),
        ("GET", "/api/query/segmentation"),
        ("GET", "/api/query/segmentation/numeric"),
        ("GET", "/api/query/segmentation/sum"),
        ("GET", "/api/query/segmentation/average"),
        ("GET", "/api/query/events"),
        ("GET", "/api/query/events/top"),
        ("GET", "/api/query/events/names"),
        ("GET", "/api/query/events/properties"),
        ("GET", "/api/query/events/properties/top"),
        ("GET", "/api/query/events/properties/values"),
        ("GET", "/api/query/stream/query"),
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
