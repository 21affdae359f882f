"""What a Mixpanel or a client leaves behind at one connection does not show at another."""

from typing import Any

import pytest
from doors import SUCCESS
from harness import Era, Person
from test_replay import Rounds, status_of
from two_projects import Pair
from upstream import Reply

DELETE: dict[str, Any] = {"delete_profiles": ["ada"], "confirm": True}


async def test_a_cookie_of_one_is_not_sent_to_the_other(pair: Pair, era: Era) -> None:
    """Both are on the same host here, and cookies know no ports."""
    cookie = {"set-cookie": f"session={pair.shop.canary}; Path=/"}
    pair.shop.upstream.default = Reply(json=[], headers=cookie)
    pair.blog.upstream.default = Reply(json=[])
    async with pair.opened(era=era) as tools:
        for name in ("shop", "blog", "shop"):
            await tools.call("list_saved_funnels", connection=name, fresh=True)

    assert pair.arrived == (2, 1)
    for project in (pair.shop, pair.blog):
        assert not [each for each in project.upstream.requests if "cookie" in each.headers]


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_one_cannot_send_a_call_on_to_the_other(pair: Pair, status: int) -> None:
    pair.shop.upstream.default = lambda request: Reply(
        status, headers={"location": pair.blog.upstream.url + request.target}
    )
    async with pair.opened() as tools:
        read = await tools.call("list_saved_funnels")
        raw = await tools.call("raw_request", url="/api/app/me", method="GET")

    assert read.is_error
    assert pair.blog.canary not in raw.text
    assert pair.arrived == (2, 0)


async def test_a_flood_of_questions_at_one_leaves_those_of_the_other(pair: Pair) -> None:
    """As many as are kept at most: the oldest of its own are forgotten, and no others."""
    pair.blog.upstream.default = SUCCESS
    asked_first = {**DELETE, "connection": "blog"}
    async with pair.opened(person=Person()) as tools:
        rounds = Rounds(tools)
        state = (await rounds.asked("delete_profile", asked_first)).request_state
        flooded = (await rounds.asked("delete_profile", DELETE)).request_state
        for _ in range(1000):
            await rounds.asked("delete_profile", DELETE)
        kept = await rounds.answer("delete_profile", asked_first, state)
        forgotten = await rounds.answer("delete_profile", DELETE, flooded)

    assert (status_of(kept), status_of(forgotten)) == ("ok", "refused")
    assert pair.arrived == (0, 1)


async def test_two_servers_of_the_same_connections_share_nothing(pair: Pair) -> None:
    pair.blog.upstream.default = Reply(json=[])
    async with pair.opened() as first, pair.opened() as second:
        await first.call("list_saved_funnels", connection="blog")
        answer = await second.call("list_saved_funnels", connection="blog")

    assert "cached_seconds" not in answer.structured["scope"]
    assert answer.structured["scope"]["budget"]["queries"]["used"] == 1
    assert pair.arrived == (0, 2)
