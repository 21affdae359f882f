"""Callers have their turns at each replica, whose places Redis counts together.

`make test-replicas` runs it: it needs a real redis-server, which `make test` does not.
"""

import asyncio

import pytest
from redis_house import running_redis
from replicas_budget import QUERY, budgets, company

from mixpanel_mcp.api.budget import Budget
from mixpanel_mcp.api.retry import Deadline


@pytest.mark.parametrize("count", [1, 2])
async def test_forty_queries_of_one_hold_up_no_other(count: int) -> None:
    """Not even where places come free to whichever replica asks first."""
    let_in: list[str] = []
    five_run = asyncio.Event()

    async def ask(caller: str, budget: Budget) -> None:
        async with budget.slot(QUERY, "1", Deadline(30)):
            let_in.append(caller)
            if len(let_in) == 5:
                five_run.set()
            await asyncio.sleep(0.1)

    async with running_redis() as redis, company(redis, count) as replicas:
        ada, bob = budgets(replicas), budgets(replicas)
        asked = [asyncio.create_task(ask("ada", ada[n % count])) for n in range(40)]
        await five_run.wait()
        asked.append(asyncio.create_task(ask("bob", bob[0])))
        await asyncio.gather(*asked)

    # After those that ran, and at most those that had their turn at each replica.
    assert let_in.index("bob") < 5 + 10 * count
