"""A change that one replica made is news to the same caller's clients at every other.

`make test-replicas` runs it: it needs a real redis-server, which `make test` does not.
"""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

from browsing import LIST_CHANGED, Browser, Notices
from mcp.client.subscriptions import Subscription
from redis_house import until
from replica_house import WAYS, House, Replica, Way, running_house
from upstream import Received, Reply


class Pipelines:
    """A Mixpanel with pipelines."""

    def __init__(self) -> None:
        self.names = ["first"]

    def answer(self, request: Received) -> Reply:
        if request.path.endswith("/create"):
            self.names.append("second")
            return Reply(json={"pipeline_names": ["second"]})
        return Reply(json={"1": [{"name": name} for name in self.names]})


BUCKET: dict[str, Any] = {"gcs_bucket": "ours", "gcs_region": "europe-west3", "trial": True}


@asynccontextmanager
async def browsing(
    house: House, way: Way, caller: str, replica: Replica
) -> AsyncGenerator[Browser]:
    """A client that is told of changes of the list."""
    notices = Notices()
    async with AsyncExitStack() as stack:
        hear = None if way == "modern" else notices.hear
        tools = await stack.enter_async_context(house.opened(way, caller, hear=hear, at=replica))
        if way == "modern":
            changes = await stack.enter_async_context(
                tools.client.listen(resources_list_changed=True)
            )
            listening = asyncio.create_task(_listen(changes, notices))
            stack.callback(listening.cancel)
        yield Browser(tools.client, notices)


async def _listen(changes: Subscription, notices: Notices) -> None:
    async for event in changes:
        notices.take(getattr(event, "uri", LIST_CHANGED))


async def test_a_new_pipeline_is_listed_at_the_other_replica_for_the_same_caller() -> None:
    mixpanel = Pipelines()
    async with running_house(2) as house, AsyncExitStack() as stack:
        house.upstream.default = mixpanel.answer
        one, other = house.replicas
        here = await stack.enter_async_context(browsing(house, "modern", "ada", one))
        there, strangers = [
            [await stack.enter_async_context(browsing(house, way, who, other)) for way in WAYS]
            for who in ("ada", "bob")
        ]
        for browser in (here, *there, *strangers):
            await until(lambda browser=browser: _is_settled(browser))

        made = await here.call("create_gcs_pipeline", **BUCKET, confirm=True)
        assert made.status == "ok", made.text

        for browser in there:
            await browser.notices.until(LIST_CHANGED)
            await until(lambda browser=browser: _lists_second(browser))
        assert not any([await _lists_second(stranger) for stranger in strangers])
        assert [stranger.notices.told for stranger in strangers] == [[], [], []]


async def _is_settled(browser: Browser) -> bool:
    """Whether no news of the first listing is on its way any more."""
    browser.notices.told.clear()
    return "mixpanel://pipelines/first" in await browser.listed() and not browser.notices.told


async def _lists_second(browser: Browser) -> bool:
    return "mixpanel://pipelines/second" in await browser.listed()
