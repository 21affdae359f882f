"""`region` chooses Mixpanel's host, in each of its spellings; seen by a proxy on loopback."""

from typing import Any

import pytest
from harness import Connect
from upstream import Reply, Upstream

IMPORTED = {"event": "Played", "properties": {"distinct_id": "ada", "time": 1_767_268_800}}
TRACKED: dict[str, Any] = {"events": [{"event": "Played", "properties": {}}]}

EVERY_TOOL: list[tuple[str, dict[str, Any], str]] = [
    ("track_events", TRACKED, "api-eu.mixpanel.com"),
    ("import_events", {"events": [IMPORTED]}, "api-eu.mixpanel.com"),
    ("create_profile", {"properties": {"$distinct_id": "ada", "a": 1}}, "api-eu.mixpanel.com"),
    (
        "update_multiple_profiles",
        {"properties_to_update": {"$distinct_id": "ada", "$add": {"a": 1}}},
        "api-eu.mixpanel.com",
    ),
    ("delete_profile", {"delete_profiles": "ada", "confirm": True}, "api-eu.mixpanel.com"),
    (
        "create_identity",
        {
            "identified_id": "ada",
            "anon_id": "0b2f1c0e-7d5a-4c3e-9a51-6f1de2b9c7aa",
            "confirm": True,
        },
        "api-eu.mixpanel.com",
    ),
    (
        "create_alias",
        {"distinct_id": "ada", "alias": "lovelace", "confirm": True},
        "api-eu.mixpanel.com",
    ),
    ("query_profiles", {}, "eu.mixpanel.com"),
]
SPELLINGS = {
    "us": ["us", "US", "api", "Api", "data", "mixpanel", "MIXPANEL", " us "],
    "eu": ["eu", "Eu", "api-eu", "API-EU", "data-eu", "eu.mixpanel", "EU.Mixpanel"],
    "in": ["in", "IN", "api-in", "data-in", "Data-In", "in.mixpanel", "IN.MIXPANEL"],
}
HOSTS = {
    "us": {"track_events": "api.mixpanel.com", "query_profiles": "mixpanel.com"},
    "eu": {"track_events": "api-eu.mixpanel.com", "query_profiles": "eu.mixpanel.com"},
    "in": {"track_events": "api-in.mixpanel.com", "query_profiles": "in.mixpanel.com"},
}
# One attempt each: the pause before a second one would outlast the call.
ONCE: dict[str, Any] = {"write_seconds": 2, "read_seconds": 2}


@pytest.fixture
def proxy(upstream: Upstream, monkeypatch: pytest.MonkeyPatch) -> Upstream:
    """All https goes through the told upstream, which lets nothing out."""
    for name in ("NO_PROXY", "no_proxy", "https_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HTTPS_PROXY", upstream.url)
    upstream.default = Reply(403)
    return upstream


@pytest.mark.parametrize(("tool", "arguments", "host"), EVERY_TOOL)
async def test_each_tool_goes_to_the_region_it_is_given(
    connect: Connect, proxy: Upstream, tool: str, arguments: dict[str, Any], host: str
) -> None:
    async with connect(connection={"base_url": None}, **ONCE) as tools:
        answer = await tools.call(tool, **arguments, region="EU")

    assert {(asked.method, asked.target) for asked in proxy.requests} == {
        ("CONNECT", f"{host}:443")
    }
    assert answer.structured["scope"]["region"] == "eu"
    # The proxy said no before anything of ours was told to it.
    assert (answer.status, answer.is_error) == ("failed", True)
    assert "Nothing was sent" in answer.text


@pytest.mark.parametrize("tool", ["track_events", "query_profiles"])
@pytest.mark.parametrize("region", list(SPELLINGS))
async def test_each_spelling_of_a_region_means_the_same_host(
    connect: Connect, proxy: Upstream, tool: str, region: str
) -> None:
    arguments = TRACKED if tool == "track_events" else {}

    async with connect(connection={"base_url": None}, **ONCE) as tools:
        for spelling in SPELLINGS[region]:
            answer = await tools.call(tool, **arguments, region=spelling)
            assert answer.structured["scope"]["region"] == region, spelling

    targets = [asked.target for asked in proxy.requests]
    assert targets == [f"{HOSTS[region][tool]}:443"] * len(SPELLINGS[region])


@pytest.mark.parametrize("tool", ["track_events", "query_profiles"])
async def test_without_region_the_connections_is_taken(
    connect: Connect, proxy: Upstream, tool: str
) -> None:
    arguments = TRACKED if tool == "track_events" else {}

    async with connect(connection={"base_url": None, "region": "in"}, **ONCE) as tools:
        answer = await tools.call(tool, **arguments)

    assert proxy.last.target == f"{HOSTS['in'][tool]}:443"
    assert answer.structured["scope"]["region"] == "in"


@pytest.mark.parametrize(("tool", "arguments", "host"), EVERY_TOOL)
async def test_a_region_that_does_not_exist_is_refused(
    connect: Connect, proxy: Upstream, tool: str, arguments: dict[str, Any], host: str
) -> None:
    """Sent to the wrong region, data vanishes without an error."""
    del host
    async with connect(connection={"base_url": None}, **ONCE) as tools:
        for region in ("asia", "", "eu.mixpanel.com", "evil.example"):
            answer = await tools.call(tool, **arguments, region=region)
            assert (answer.status, answer.is_error) == ("refused", True)
            assert "use us, eu or in" in answer.text

    assert proxy.requests == []
