"""Which caller a JWT makes of its holder, where clients learn to get one, and how streams end."""

import json
import time
from collections.abc import AsyncGenerator
from pathlib import Path

import httpx2
import pytest
from issuer import (
    AUDIENCE,
    ISSUER,
    Issuer,
    claims,
    edwards_key,
    elliptic_key,
    running_issuer,
)
from jwt import encode
from mcp.client.subscriptions import SubscriptionLost
from team_house import INITIALIZE, NO_TLS, WAYS, House, Way, bearer, running_house, team
from two_projects import Pair
from upstream import Reply

from mixpanel_mcp.settings import Caller, new_token, token_hash

STATIC = new_token()
CALLERS = [
    Caller(name="ada", subject="ada", toolsets=("reports",)),
    Caller(name="chief", subject="grace", scopes=("mixpanel:write",), toolsets=("events",)),
    Caller(name="writers", scopes=("mixpanel:read", "mixpanel:write"), toolsets=("profiles",)),
    Caller(name="readers", scopes=("mixpanel:read",), toolsets=("pipelines",)),
    Caller(name="machine", token_sha256=(token_hash(STATIC),), toolsets=("export",)),
]


@pytest.fixture
async def issuer() -> AsyncGenerator[Issuer]:
    async with running_issuer() as running:
        yield running


@pytest.fixture
async def house(pair: Pair, issuer: Issuer) -> AsyncGenerator[House]:
    async with running_house(team(pair, CALLERS, issuer.hosting)) as running:
        yield running


async def tools_of(house: House, token: str, way: Way = "modern") -> set[str]:
    async with house.opened(way, headers=bearer(token)) as tools:
        return {tool.name for tool in (await tools.client.list_tools()).tools}


async def test_the_subject_decides_first_and_then_the_scopes_in_the_files_order(
    house: House, issuer: Issuer
) -> None:
    both = "openid mixpanel:read mixpanel:write"
    holders = {
        issuer.token("ada"): "list_saved_funnels",
        issuer.token("ada", scope=both): "list_saved_funnels",
        issuer.token("grace", scope=both): "track_events",
        issuer.token("grace", scope="mixpanel:read"): "list_pipelines",
        issuer.token("eve", scope=both): "query_profiles",
        issuer.token("eve", scp=["mixpanel:write", "mixpanel:read"]): "query_profiles",
        issuer.token("eve", scp="mixpanel:read"): "list_pipelines",
        issuer.token("eve", scope=["mixpanel:read"], aud=["x", AUDIENCE]): "list_pipelines",
        STATIC: "download_data",
    }
    for token, tool in holders.items():
        assert tool in await tools_of(house, token)


@pytest.mark.parametrize("way", WAYS)
async def test_a_jwt_does_for_every_way_in(house: House, issuer: Issuer, way: Way) -> None:
    assert "list_saved_funnels" in await tools_of(house, issuer.token("ada"), way)


async def test_keys_of_other_kinds_sign_too(house: House, issuer: Issuer) -> None:
    issuer.publish_other_kinds()
    for key, algorithm, name in (
        (elliptic_key(), "ES256", "elliptic"),
        (edwards_key(), "EdDSA", "edwards"),
    ):
        token = encode(claims(), key, algorithm=algorithm, headers={"kid": name})
        assert (await house.post(bearer(token))).status_code == 200


async def test_an_expiry_may_be_written_as_never(house: House, issuer: Issuer) -> None:
    for never in (10**400, 10**15, str(10**15)):
        answer = await house.post(bearer(issuer.token("ada", exp=never)))
        assert answer.status_code == 200


async def test_clocks_may_differ_a_little(house: House, issuer: Issuer) -> None:
    soon = int(time.time()) + 10
    assert (await house.post(bearer(issuer.token(iat=soon, nbf=soon)))).status_code == 200


async def test_clients_learn_whom_to_ask_for_a_token(house: House, pair: Pair) -> None:
    """RFC 9728: from the 401 to the metadata, and from there to the issuer."""
    for path, resource in (("/mcp", AUDIENCE), ("/sse", "https://mcp.example.com/sse")):
        refused = await house.get(path)
        place = f"/.well-known/oauth-protected-resource{path}"
        challenge = f'Bearer resource_metadata="https://mcp.example.com{place}"'
        assert refused.headers["www-authenticate"] == challenge
        found = await house.get(place)
        assert found.status_code == 200
        assert found.json() == {
            "resource": resource,
            "authorization_servers": [ISSUER],
            "scopes_supported": ["mixpanel:write", "mixpanel:read"],
            "bearer_methods_supported": ["header"],
            "resource_name": "Mixpanel",
        }
    assert (await house.get("/.well-known/oauth-protected-resource")).status_code == 404
    assert pair.arrived == (0, 0)


async def test_without_an_issuer_there_is_no_metadata(pair: Pair) -> None:
    async with running_house(team(pair, CALLERS[-1:])) as house:
        assert (await house.get("/.well-known/oauth-protected-resource/mcp")).status_code == 404
        challenge = (await house.post({})).headers["www-authenticate"]
        assert "resource_metadata" not in challenge


async def test_an_open_stream_ends_when_its_token_expires(house: House, issuer: Issuer) -> None:
    """What was begun in time is not gone on with for ever, and begins anew with a new token."""
    lasting = bearer(issuer.token("ada"))
    begun = await house.post(lasting)
    session = {"Mcp-Session-Id": begun.headers["mcp-session-id"]}
    async with httpx2.AsyncClient(timeout=10, verify=NO_TLS) as http:
        for path in ("/sse", "/mcp"):
            short = bearer(issuer.token("ada", exp=int(time.time()) + 2))
            wanted = {**short, **session, "Accept": "text/event-stream"}
            async with http.stream("GET", house.origin + path, headers=wanted) as stream:
                assert stream.status_code == 200
                await stream.aread()  # it ends, and as an answer should
            assert (await http.get(house.origin + path, headers=wanted)).status_code == 401
    listing = {"jsonrpc": "2.0", "id": 2, "method": "tools/list"}
    assert (await house.post({**lasting, **session}, listing)).status_code == 200


async def test_listening_the_new_way_ends_with_the_token_too(house: House, issuer: Issuer) -> None:
    token = issuer.token("ada", exp=int(time.time()) + 2)
    async with house.opened(headers=bearer(token)) as tools:
        async with tools.client.listen(tools_list_changed=True) as changes:
            with pytest.raises(SubscriptionLost):
                await anext(aiter(changes))
        assert time.time() < float(claims()["exp"])


async def test_people_of_one_caller_are_told_apart(
    pair: Pair, issuer: Issuer, tmp_path: Path
) -> None:
    """A caller known by scopes is many people: the subject is theirs alone."""
    log = tmp_path / "audit.jsonl"
    pair.shop.upstream.always("/track", Reply(json={"status": 1, "error": None}))
    readers = [Caller(name="staff", scopes=("mixpanel:read",))]
    async with running_house(team(pair, readers, issuer.hosting, audit_log=log)) as house:
        for person in ("eve", "ida\n"):
            token = issuer.token(person, scope="mixpanel:read")
            async with house.opened(headers=bearer(token)) as tools:
                event = {"event": "A", "properties": {"distinct_id": "u"}}
                assert (await tools.call("track_events", events=[event])).status == "ok"
        begun = await house.post(bearer(issuer.token("eve", scope="mixpanel:read")))
        session = {"Mcp-Session-Id": begun.headers["mcp-session-id"]}
        other = bearer(issuer.token("ida\n", scope="mixpanel:read"))
        assert (await house.post({**other, **session}, INITIALIZE)).status_code == 404
    lines = [json.loads(line) for line in log.read_text(encoding="utf-8").splitlines()]
    assert [line["caller"] for line in lines] == ["staff (eve)", "staff (ida\n)"]
