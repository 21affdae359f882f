"""A caller's share of the budget: theirs alone to use up, and not a call more."""

from collections.abc import AsyncGenerator

import pytest
from issuer import Issuer, running_issuer
from team_house import House, bearer, running_house, team
from two_projects import Pair
from upstream import Reply

from mixpanel_mcp.settings import Caller, new_token, token_hash

ADA, BOB = new_token(), new_token()
FUNNELS = "/api/query/funnels/list"
QUERIES_AN_HOUR = 60


@pytest.fixture
async def issuer() -> AsyncGenerator[Issuer]:
    async with running_issuer() as running:
        yield running


async def queries(house: House, token: str, count: int, connection: str = "shop") -> list[str]:
    async with house.opened(headers=bearer(token)) as tools:
        answers = [
            await tools.call("list_saved_funnels", fresh=True, connection=connection)
            for _ in range(count)
        ]
        return [answer.status if answer.status == "ok" else answer.text for answer in answers]


def play(pair: Pair) -> None:
    for project in (pair.shop, pair.blog):
        project.upstream.always(FUNNELS, Reply(json=[{"funnel_id": 1, "name": "F"}]))


async def test_nobody_uses_more_than_their_share(pair: Pair) -> None:
    play(pair)
    callers = [
        Caller(name="ada", token_sha256=(token_hash(ADA),), budget_share=0.25),
        Caller(name="bob", token_sha256=(token_hash(BOB),)),
    ]
    async with running_house(team(pair, callers)) as house:
        *used, refused = await queries(house, ADA, 16)
        assert used == ["ok"] * 15
        assert "share" in refused
        assert pair.arrived == (15, 0)
        # Each project has an hour of its own, and what is left of it is for the others.
        assert await queries(house, ADA, 1, "blog") == ["ok"]
        *used, refused = await queries(house, BOB, QUERIES_AN_HOUR - 15 + 1)
        assert set(used) == {"ok"}
        assert refused != "ok"
        assert pair.arrived == (QUERIES_AN_HOUR, 1)


async def test_all_who_are_one_caller_have_one_share(pair: Pair, issuer: Issuer) -> None:
    """Otherwise whoever has many accounts would have many shares."""
    play(pair)
    callers = [Caller(name="staff", scopes=("mixpanel:read",), budget_share=0.05)]
    async with running_house(team(pair, callers, issuer.hosting)) as house:
        statuses = [
            (await queries(house, issuer.token(subject, scope="mixpanel:read"), 1))[0]
            for subject in ("eve", "ida", "joe", "eve")
        ]
        assert statuses[:3] == ["ok"] * 3
        assert "share" in statuses[3]
    assert pair.arrived == (3, 0)


async def test_the_smallest_share_is_one_call(pair: Pair) -> None:
    play(pair)
    callers = [Caller(name="ada", token_sha256=(token_hash(ADA),), budget_share=0.001)]
    async with running_house(team(pair, callers)) as house:
        first, second = await queries(house, ADA, 2)
        assert first == "ok"
        assert "share" in second
    assert pair.arrived == (1, 0)
