"""Every spelling of a region leads to the right origin of each kind of host."""

from typing import Any

import pytest
from harness import Connect
from upstream import Reply, Upstream

from mixpanel_mcp.api.regions import endpoint, origins_in_use
from mixpanel_mcp.settings import load_settings

US = {
    "ingestion": "https://api.mixpanel.com",
    "data": "https://data.mixpanel.com",
    "query": "https://mixpanel.com",
    "app": "https://mixpanel.com",
}
EU = {
    "ingestion": "https://api-eu.mixpanel.com",
    "data": "https://data-eu.mixpanel.com",
    "query": "https://eu.mixpanel.com",
    "app": "https://eu.mixpanel.com",
}
IN = {
    "ingestion": "https://api-in.mixpanel.com",
    "data": "https://data-in.mixpanel.com",
    "query": "https://in.mixpanel.com",
    "app": "https://in.mixpanel.com",
}
SPELLINGS = {
    "us": US,
    "api": US,
    "data": US,
    "mixpanel": US,
    "eu": EU,
    "api-eu": EU,
    "data-eu": EU,
    "eu.mixpanel": EU,
    "in": IN,
    "api-in": IN,
    "data-in": IN,
    "in.mixpanel": IN,
}
REGIONS = {"us": US, "eu": EU, "in": IN}

# One call to each kind of host.
CALLS: dict[str, tuple[str, dict[str, Any]]] = {
    "ingestion": (
        "track_events",
        {"events": [{"event": "Signed up", "properties": {"distinct_id": "ada"}}]},
    ),
    "data": ("list_pipelines", {}),
    "query": ("list_saved_funnels", {}),
    "app": ("raw_request", {"url": "/api/app/me", "method": "GET"}),
}
PROXY_VARIABLES = ["http_proxy", "https_proxy", "all_proxy", "no_proxy"]

every_spelling = pytest.mark.parametrize(("spelling", "origins"), SPELLINGS.items())


def cases_of(text: str) -> list[str]:
    return [text, text.upper(), text.title(), text.swapcase(), f"  {text} "]


@every_spelling
def test_the_setting_understands_a_spelling_in_any_letter_case(
    spelling: str, origins: dict[str, str]
) -> None:
    for written in cases_of(spelling):
        settings = load_settings({"MIXPANEL_REGION": written})
        assert origins_in_use(settings.connection) == origins


def test_without_a_region_it_is_the_united_states() -> None:
    assert origins_in_use(load_settings({}).connection) == US
    assert origins_in_use(load_settings({"MIXPANEL_REGION": ""}).connection) == US


@pytest.mark.parametrize("region", ["us", "eu", "in"])
def test_a_base_url_replaces_all_four_origins(region: str) -> None:
    settings = load_settings(
        {"MIXPANEL_REGION": region, "MIXPANEL_BASE_URL": "https://proxy.example.com:8443/"}
    )
    assert set(origins_in_use(settings.connection).values()) == {"https://proxy.example.com:8443"}


@pytest.fixture
def proxied(upstream: Upstream, monkeypatch: pytest.MonkeyPatch) -> Upstream:
    """Stand between the server and the world: a proxy hears the host of each TLS connection."""
    for name in PROXY_VARIABLES:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    monkeypatch.setenv("HTTPS_PROXY", upstream.url)
    upstream.default = Reply(403)
    return upstream


@pytest.mark.parametrize(("family", "call"), CALLS.items(), ids=list(CALLS))
async def test_the_region_of_a_call_leads_to_its_host(
    connect: Connect, proxied: Upstream, family: str, call: tuple[str, dict[str, Any]]
) -> None:
    tool, arguments = call
    expected: list[str] = []
    async with connect(
        connection={"base_url": None}, read_seconds=2, write_seconds=2, tools=tool
    ) as tools:
        for spelling, origins in SPELLINGS.items():
            for written in {spelling, spelling.upper()}:
                await tools.call(tool, **arguments, region=written)
                expected.append(origins[family].removeprefix("https://") + ":443")

    assert [request.method for request in proxied.requests] == ["CONNECT"] * len(expected)
    assert [request.target for request in proxied.requests] == expected


@pytest.mark.parametrize(("region", "origins"), REGIONS.items())
async def test_the_connections_region_holds_for_calls_that_name_none(
    connect: Connect, proxied: Upstream, region: str, origins: dict[str, str]
) -> None:
    connection = {"base_url": None, "region": region}
    async with connect(connection=connection, read_seconds=2, write_seconds=2) as tools:
        for tool, arguments in CALLS.values():
            await tools.call(tool, **arguments)

    heard = [request.target.removesuffix(":443") for request in proxied.requests]
    assert heard == [origins[family].removeprefix("https://") for family in CALLS]


@every_spelling
async def test_the_answer_names_the_region_it_came_from(
    connect: Connect, upstream: Upstream, spelling: str, origins: dict[str, str]
) -> None:
    upstream.default = Reply(json=[])

    async with connect() as tools:
        answer = await tools.call("list_saved_funnels", region=spelling)

    assert REGIONS[answer.structured["scope"]["region"]] is origins


@pytest.mark.parametrize("region", ["us-east-1", "europe", "", "eu.mixpanel.com", "apieu", "de"])
async def test_a_region_that_is_none_is_refused(
    connect: Connect, upstream: Upstream, region: str
) -> None:
    async with connect() as tools:
        answer = await tools.call("list_saved_funnels", region=region)

    assert (answer.status, answer.is_error) == ("refused", True)
    assert "use us, eu or in" in answer.text
    assert upstream.requests == []


@pytest.mark.parametrize("family", CALLS)
async def test_a_base_url_keeps_the_paths(
    connect: Connect, upstream: Upstream, family: str
) -> None:
    tool, arguments = CALLS[family]
    prefixes = {"ingestion": "/track", "data": "/api/2.0/", "query": "/api/query/", "app": "/api/"}

    async with connect() as tools:
        await tools.call(tool, **arguments, region="eu")

    assert upstream.last.path.startswith(prefixes[family])


def test_each_kind_of_host_has_its_prefix() -> None:
    from mixpanel_mcp.api.regions import Family  # noqa: PLC0415

    assert endpoint(Family.INGESTION, "/import") == "/import"
    assert endpoint(Family.DATA, "/export") == "/api/2.0/export"
    assert endpoint(Family.QUERY, "/jql") == "/api/query/jql"
    assert endpoint(Family.APP, "/me") == "/api/app/me"
