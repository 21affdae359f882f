"""Static tokens over HTTP: only the right one, only in its header, and it goes no further."""

import json
from collections.abc import AsyncGenerator

import pytest
from team_house import INITIALIZE, WAYS, House, Way, bearer, running_house, team
from two_projects import Pair
from upstream import Reply

from mixpanel_mcp.settings import Caller, new_token, token_hash
from mixpanel_mcp.transports.tokens import WrongTokens

OLD, NEW, OTHERS = new_token(), new_token(), new_token()
FUNNELS = "/api/query/funnels/list"


@pytest.fixture
async def house(pair: Pair) -> AsyncGenerator[House]:
    callers = [
        Caller(name="ada", token_sha256=(token_hash(OLD), token_hash(NEW))),
        Caller(name="bob", token_sha256=(token_hash(OTHERS),)),
    ]
    async with running_house(team(pair, callers)) as running:
        yield running


REFUSED: dict[str, list[tuple[str, str]]] = {
    "none": [],
    "wrong": [("Authorization", f"Bearer {new_token()}")],
    "cut": [("Authorization", f"Bearer {NEW[:-1]}")],
    "too long": [("Authorization", f"Bearer {NEW}A")],
    "its hash": [("Authorization", f"Bearer {token_hash(NEW)}")],
    "other letter case": [("Authorization", f"Bearer {NEW.swapcase()}")],
    "no scheme": [("Authorization", NEW)],
    "another scheme": [("Authorization", f"Basic {NEW}")],
    "empty": [("Authorization", "Bearer")],
    "two words": [("Authorization", f"Bearer {NEW} {OTHERS}")],
    "a list": [("Authorization", f"Bearer {NEW}, Bearer {OTHERS}")],
    "two headers": [("Authorization", f"Bearer {NEW}"), ("Authorization", f"Bearer {NEW}")],
    "two callers": [("Authorization", f"Bearer {NEW}"), ("Authorization", f"Bearer {OTHERS}")],
    "in a cookie": [("Cookie", f"access_token={NEW}; token={NEW}")],
    "in other headers": [("Proxy-Authorization", f"Bearer {NEW}"), ("X-Api-Key", NEW)],
}


async def test_whoever_is_not_known_gets_nowhere(house: House, pair: Pair) -> None:
    for name, headers in REFUSED.items():
        # Too many wrong ones of one peer would be told to wait.
        sent = [*headers, ("X-Forwarded-For", f"192.0.2.{len(name)}")]
        answers = [
            await house.post(sent),
            await house.post(sent, path=f"/messages/?session_id={'0' * 32}"),
            await house.get("/sse", sent),
            await house.get("/mcp", sent),
        ]
        for answer in answers:
            assert answer.status_code == 401, name
            assert answer.headers["www-authenticate"].startswith("Bearer")
            assert NEW not in answer.text + str(answer.headers)
            assert "ada" not in answer.text
    assert pair.arrived == (0, 0)


async def test_a_token_in_the_address_is_none(house: House, pair: Pair) -> None:
    """Addresses end in the logs of every proxy on the way."""
    for query in (f"access_token={NEW}", f"token={NEW}", f"authorization=Bearer%20{NEW}"):
        assert (await house.post({}, path=f"/mcp?{query}")).status_code == 401
        assert (await house.get(f"/sse?{query}")).status_code == 401
    assert pair.arrived == (0, 0)


@pytest.mark.parametrize("token", [OLD, NEW], ids=["old", "new"])
async def test_both_tokens_of_a_rotation_are_the_same_caller(house: House, token: str) -> None:
    answer = await house.post(bearer(token))
    assert answer.status_code == 200
    session = {"Mcp-Session-Id": answer.headers["mcp-session-id"]}
    listing = {"jsonrpc": "2.0", "id": 2, "method": "tools/list"}
    for either in (OLD, NEW):
        assert (await house.post({**bearer(either), **session}, listing)).status_code == 200


async def test_the_scheme_may_be_written_in_any_letter_case(house: House) -> None:
    assert (await house.post({"authorization": f"bEARER  {NEW}"})).status_code == 200


async def test_what_is_wrong_with_a_token_is_not_told(house: House) -> None:
    """All wrong tokens get the same words; a missing one gets no error (RFC 6750 section 3.1)."""
    answers = [
        await house.post(bearer(token)) for token in (new_token(), NEW[:-1], "a.b.c", "=" * 4000)
    ]
    assert len({answer.text for answer in answers}) == 1
    assert "error=" not in (await house.post({})).headers["www-authenticate"]


async def test_a_token_far_too_long_is_refused_by_the_http_server(house: House) -> None:
    assert (await house.post(bearer("A" * 200_000))).status_code in {400, 401, 431}


async def test_whoever_sends_wrong_tokens_without_end_is_told_to_wait(house: House) -> None:
    statuses = [(await house.post(bearer(f"guess{number}"))).status_code for number in range(22)]
    assert statuses == [401] * 20 + [429] * 2
    waiting = await house.post(bearer("guess"))
    assert 0 < int(waiting.headers["retry-after"]) <= 60
    # Behind a proxy all have one address: nobody locks out the others.
    assert (await house.post(bearer(NEW))).status_code == 200


def test_wrong_tokens_are_forgotten_after_a_minute() -> None:
    clock = iter([0.0] * 21 + [61.0])
    wrong = WrongTokens(lambda: next(clock))
    assert [wrong.wait_after("peer") for _ in range(21)][-1] == 61
    assert wrong.wait_after("peer") is None


@pytest.mark.parametrize("way", WAYS)
async def test_nothing_that_came_with_a_request_goes_to_mixpanel(
    house: House, pair: Pair, way: Way
) -> None:
    pair.shop.upstream.always(FUNNELS, Reply(json=[{"funnel_id": 1, "name": "F"}]))
    brought = {
        **bearer(NEW),
        "Cookie": "session=canary-cookie",
        "X-Forwarded-For": "203.0.113.7",
        "X-Canary": "canary-header",
        "User-Agent": "canary-agent",
        "Traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
    }
    async with house.opened(way, headers=brought) as tools:
        assert (await tools.call("list_saved_funnels")).status == "ok"
        await tools.call("raw_request", url="/api/app/me", method="GET")
    assert len(pair.shop.upstream.requests) == 2
    for request in pair.shop.upstream.requests:
        sent = json.dumps([request.target, request.raw_headers, request.body.decode()])
        assert request.headers["authorization"] in pair.shop.authorizations
        for canary in (NEW, "canary-", "203.0.113.7", "0af7651916cd43dd"):
            assert canary not in sent


async def test_without_callers_nobody_has_to_say_who_calls(pair: Pair) -> None:
    async with running_house(team(pair, [])) as house:
        assert (await house.post({}, INITIALIZE)).status_code == 200
