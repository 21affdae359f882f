"""One budget for several replicas, whatever happens to the Redis between them.

`make test-replicas` runs it: it needs a real redis-server, which `make test` does not.
"""

import asyncio
import random
from collections import Counter
from collections.abc import AsyncGenerator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager

import pytest
from redis_house import RedisServer, running_redis, until

from mixpanel_mcp.api.budget import Budget, BudgetShare
from mixpanel_mcp.api.errors import BudgetSpentError
from mixpanel_mcp.api.regions import Family
from mixpanel_mcp.api.replies import Reply
from mixpanel_mcp.api.request import Request
from mixpanel_mcp.api.retry import AttemptFailedError, Deadline, Outcome, Pacing
from mixpanel_mcp.replicas import Replicas
from mixpanel_mcp.settings import Region

QUERY = Request(family=Family.QUERY, region=Region.US, method="GET", path="/api/query/insights")
JQL = Request(family=Family.QUERY, region=Region.US, method="POST", path="/api/query/jql")
SCHEMAS = Request(
    family=Family.APP, region=Region.US, method="GET", path="/api/app/projects/1/schemas"
)


class Project:
    """What Mixpanel would have counted."""

    def __init__(self) -> None:
        self.calls = Counter[str]()
        self.running = self.most_at_once = 0

    async def call(self, budget: Budget, request: Request = QUERY, seconds: float = 0) -> bool:
        """Whether there was a slot."""
        try:
            async with budget.slot(request, "1", Deadline(20)):
                self.running += 1
                self.most_at_once = max(self.most_at_once, self.running)
                self.calls[request.path] += 1
                try:
                    await asyncio.sleep(seconds)
                finally:
                    self.running -= 1
        except BudgetSpentError:
            return False
        return True


@asynccontextmanager
async def company(redis: RedisServer, count: int) -> AsyncGenerator[list[Replicas]]:
    """So many replicas in this process, all of which believe their Redis."""
    async with AsyncExitStack() as stack:
        replicas = [Replicas(redis.url) for _ in range(count)]
        for each in replicas:
            stack.push_async_callback(each.close)
            await each.open()
        await until(lambda: all(each.is_shared for each in replicas))
        yield replicas


def budgets(replicas: Sequence[Replicas], share: BudgetShare | None = None) -> list[Budget]:
    return [Budget(Pacing(), each.ledger, share=share) for each in replicas]


@pytest.mark.parametrize("count", [2, 4])
async def test_replicas_together_never_pass_a_limit(count: int) -> None:
    project = Project()
    async with running_redis() as redis, company(redis, count) as replicas:
        calls = [
            project.call(budget, random.choice([QUERY, JQL]), 0.01)  # noqa: S311 - no secret
            for budget in budgets(replicas)
            for _ in range(100)
        ]
        went = await asyncio.gather(*calls)

        shown = [budget.shown("1")["queries"] for budget in budgets(replicas)]

    assert sum(went) == sum(project.calls.values()) == 60
    assert project.most_at_once <= 5
    assert shown == [{"used": 60, "left": 0, "limit": 60}] * count


async def test_a_call_counts_under_all_its_allowances_or_under_none() -> None:
    async with running_redis() as redis, company(redis, 2) as replicas:
        one, other = budgets(replicas)
        for _ in range(60):
            assert await Project().call(one, QUERY)

        assert not await Project().call(other, JQL)

        assert other.report("1")["jql"]["windows"][0]["used"] == 0


async def test_what_was_never_sent_is_given_back_to_all() -> None:
    async with running_redis() as redis, company(redis, 2) as replicas:
        one, other = budgets(replicas)
        for _ in range(60):
            await Project().call(one)
        with pytest.raises(AttemptFailedError):
            async with one.slot(SCHEMAS, "1", Deadline(20)):
                raise AttemptFailedError(Outcome.NEVER_SENT)

        for _ in range(5):
            assert await Project().call(other, SCHEMAS)

        assert not await Project().call(other)


async def test_a_callers_share_holds_on_all_replicas_together() -> None:
    async with running_redis() as redis, company(redis, 2) as replicas:
        analysts = budgets(replicas, BudgetShare("analysts", 0.1))
        others = budgets(replicas, BudgetShare("others", 1.0))

        went = [await Project().call(analysts[index % 2]) for index in range(10)]
        with pytest.raises(BudgetSpentError, match="this caller's share is 6 queries an hour"):
            async with analysts[0].slot(QUERY, "1", Deadline(20)):
                pass

        assert sum(went) == 6
        assert analysts[1].shown("1")["queries"] == {"used": 6, "left": 0, "limit": 60}
        assert others[0].shown("1")["queries"]["left"] == 54
        assert sum([await Project().call(others[index % 2]) for index in range(60)]) == 54


async def test_what_a_429_taught_one_holds_for_all() -> None:
    async with running_redis() as redis, company(redis, 2) as replicas:
        one, other = budgets(replicas)
        text = b'{"error": "Query rate limit exceeded: 58/60 queries running in the last hour"}'
        await one.learn(QUERY, "1", Reply(429, {}, text))

        await until(lambda: other.shown("1")["queries"]["used"] == 58)
        assert [await Project().call(other) for _ in range(3)] == [True, True, False]


async def test_without_redis_each_replica_uses_no_more_than_its_part() -> None:
    project = Project()
    async with running_redis() as redis, company(redis, 2) as replicas:
        one, other = budgets(replicas)
        for _ in range(20):
            await project.call(one)
        await until(lambda: other.shown("1")["queries"]["used"] == 20)
        await redis.kill()

        went = [[await project.call(budget) for _ in range(40)] for budget in (one, other)]

        assert not any(each.is_shared for each in replicas)
    assert [sum(each) for each in went] == [10, 20]


async def test_a_redis_that_lost_its_memory_is_told_before_it_is_believed() -> None:
    project = Project()
    async with running_redis() as redis, company(redis, 2) as replicas:
        one, other = budgets(replicas)
        for _ in range(20):
            await project.call(one)
        await redis.kill()
        for budget in (one, other):
            for _ in range(5):
                assert await project.call(budget)
        await redis.start()
        await until(lambda: all(each.is_shared for each in replicas))

        assert [budget.shown("1")["queries"]["used"] for budget in (one, other)] == [30, 30]
        while await project.call(one):
            pass

    assert project.calls[QUERY.path] == 60


async def test_redis_gone_and_back_again_under_load_costs_no_call_too_many() -> None:
    project = Project()
    async with running_redis() as redis, company(redis, 4) as replicas:
        calls = [
            asyncio.create_task(_now_and_then(project, budget, index))
            for budget in budgets(replicas)
            for index in range(30)
        ]
        for pause in (0.3, 0.2, 1.5):
            await asyncio.sleep(pause)
            await redis.kill()
            await asyncio.sleep(pause)
            await redis.start()
        await asyncio.gather(*calls)
        await until(lambda: all(each.is_shared for each in replicas))
        for budget in budgets(replicas):
            while await project.call(budget):
                pass

    assert sum(project.calls.values()) == 60


async def _now_and_then(project: Project, budget: Budget, index: int) -> None:
    await asyncio.sleep(index * 0.15)
    await project.call(budget, QUERY, 0.05)


async def test_a_redis_that_hangs_holds_nobody_up() -> None:
    project = Project()
    async with running_redis() as redis, company(redis, 2) as replicas:
        one, other = budgets(replicas)
        redis.freeze()
        try:
            async with asyncio.timeout(2):
                assert await project.call(one)
                assert await project.call(other)
        finally:
            redis.thaw()
        await until(lambda: all(each.is_shared for each in replicas))

        assert one.shown("1")["queries"]["used"] == 2
        while await project.call(one):
            pass

    assert project.calls[QUERY.path] == 60


async def test_a_flushed_redis_is_told_again() -> None:
    project = Project()
    async with running_redis() as redis, company(redis, 2) as replicas:
        one, other = budgets(replicas)
        for _ in range(30):
            await project.call(one)
        await redis.tell("FLUSHALL")

        while await project.call(other):
            pass
        await until(lambda: all(each.is_shared for each in replicas))
        while await project.call(one) or await project.call(other):
            pass

    assert project.calls[QUERY.path] == 60
