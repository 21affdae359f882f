"""The sandbox's own calls: out of reach of web pages, and precise about bad bodies."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from sandbox_client import TOKEN, event, update

from mixpanel_mcp.sandbox.demo import truth

if TYPE_CHECKING:
    from sandbox_client import SandboxClient


@pytest.mark.parametrize("origin", ["https://evil.example", "http://127.0.0.1", "null"])
async def test_no_web_page_reaches_the_controls(empty: SandboxClient, origin: str) -> None:
    headers = {"Origin": origin}

    for method, path in (("GET", "requests"), ("POST", "reset"), ("POST", "faults")):
        answer = await empty.request(method, f"/sandbox/{path}", headers=headers, json={})
        assert answer.status_code == 403


async def test_the_controls_want_credentials(empty: SandboxClient) -> None:
    assert (await empty.get("/sandbox/requests", auth=("sandbox", "guess"))).status_code == 401
    assert (await empty.post("/sandbox/reset", auth=(TOKEN, ""))).status_code == 401


@pytest.mark.parametrize(
    "host", ["mixpanel.example", "mixpanel.example:80", "10.0.0.1", "127.0.0.1.example", ""]
)
@pytest.mark.parametrize("path", ["/track", "/sandbox/requests", "/nowhere"])
async def test_a_rebound_name_is_refused(empty: SandboxClient, host: str, path: str) -> None:
    answer = await empty.get(path, headers={"Host": host})

    assert answer.status_code == 403


@pytest.mark.parametrize("host", ["localhost:8080", "127.0.0.1", "127.9.9.9:1", "[::1]:8080"])
async def test_loopback_has_many_names(empty: SandboxClient, host: str) -> None:
    assert (await empty.get("/sandbox/requests", headers={"Host": host})).status_code == 200


async def test_requests_are_listed_without_secrets(empty: SandboxClient) -> None:
    await empty.track(event(), verbose="1")
    await empty.get("/api/2.0/export?token=abc&project_id=7&api_secret=s%20t")
    await empty.get("/sandbox/requests")

    listed = (await empty.get("/sandbox/requests")).json()

    first, second = listed
    assert first.pop("bytes") > 50
    assert first == {"method": "POST", "path": "/track", "query": "verbose=1", "status": 200}
    assert second["query"] == "token=%2A%2A%2A&project_id=7&api_secret=%2A%2A%2A"
    assert second["status"] == 403
    assert "sandbox-secret" not in str(listed)


async def test_reset_forgets_everything(empty: SandboxClient) -> None:
    await empty.track(event())
    await empty.engage(update(set={"a": 1}))
    await empty.control("faults", {"path": "/track", "kind": "500"})
    await empty.control("cohorts", {"name": "C", "distinct_ids": []})

    assert await empty.control("reset", {"demo": False}) == {}

    assert (await empty.get("/sandbox/requests")).json() == []
    assert await empty.exported() == []
    assert await empty.profiles() == {}
    assert empty.project.saved("cohort") == {}
    assert (await empty.track(event())).text == "1"


async def test_reset_brings_the_demo_back(empty: SandboxClient) -> None:
    await empty.control("reset", {})

    assert (await empty.query_profiles()).json()["total"] == truth.USERS


@pytest.mark.parametrize(
    ("path", "body", "error"),
    [
        ("funnels", {"name": "F"}, "steps"),
        ("funnels", {"name": "F", "steps": []}, "steps"),
        ("funnels", {"name": "F", "steps": [{"event": "A"}], "length_unit": "week"}, "length_unit"),
        ("insights", {"name": "I", "events": [{"event": "A", "math": "median"}]}, "events.0.math"),
        ("cohorts", {"name": "C"}, "where or by distinct_ids"),
        ("cohorts", {"name": "C", "where": "true", "distinct_ids": []}, "where or by"),
        ("faults", {"path": "/track", "kind": "418"}, "kind"),
        ("faults", {"path": "track", "kind": "500"}, "path"),
        ("faults", {"path": "/track", "kind": "500", "times": 0}, "times"),
        ("faults", {"path": "/track", "kind": "500", "often": 1}, "often"),
        ("reset", {"demo": "perhaps"}, "demo"),
        ("reset", "demo", "object"),
    ],
)
async def test_bad_bodies_name_their_fault(
    empty: SandboxClient, path: str, body: Any, error: str
) -> None:
    answer = await empty.post(f"/sandbox/{path}", json=body)

    assert answer.status_code == 400
    assert error in answer.json()["error"]


@pytest.mark.parametrize(
    "path", ["/", "/api/query/flows", "/api/app/me", "/sandbox/cohort", "/engage/x", "//track"]
)
async def test_an_unknown_path_is_never_a_200(empty: SandboxClient, path: str) -> None:
    answer = await empty.get("http://127.0.0.1" + path)

    assert answer.status_code == 501
    assert answer.json()["error"].startswith("The sandbox does not know GET ")


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("PUT", "/import"),
        ("DELETE", "/track"),
        ("PUT", "/engage"),
        ("GET", "/api/query/engage"),
        ("POST", "/api/2.0/export"),
        ("GET", "/api/2.0/nessie/pipeline/cancel"),
        ("GET", "/sandbox/reset"),
    ],
)
async def test_a_wrong_method_is_a_405(empty: SandboxClient, method: str, path: str) -> None:
    answer = await empty.request(method, path)

    assert answer.status_code == 405
    assert answer.headers["allow"]
