"""A caller's share of a project's hour, in one process."""

import pytest
from harness import Waits

from mixpanel_mcp.api.budget import Budget, BudgetShare
from mixpanel_mcp.api.errors import BudgetSpentError
from mixpanel_mcp.api.ledger import Ledger
from mixpanel_mcp.api.regions import Family
from mixpanel_mcp.api.request import Request
from mixpanel_mcp.api.retry import Deadline, Pacing
from mixpanel_mcp.settings import Region

QUERY = Request(family=Family.QUERY, region=Region.US, method="GET", path="/api/query/insights")


async def _made(budget: Budget, pacing: Pacing, project: str = "1") -> int:
    """How many calls there were slots for."""
    for count in range(100):
        try:
            async with budget.slot(QUERY, project, Deadline(5, pacing)):
                pass
        except BudgetSpentError:
            return count
    raise AssertionError("there was no end")


@pytest.mark.parametrize(
    ("fraction", "calls"), [(0.5, 30), (0.99, 59), (0.1, 6), (0.001, 1), (1.0, 60)]
)
async def test_a_share_is_rounded_down_and_never_nothing(
    waits: Waits, fraction: float, calls: int
) -> None:
    pacing = waits.pacing()
    budget = Budget(pacing, share=BudgetShare("ada", fraction))

    assert await _made(budget, pacing) == calls


async def test_what_one_caller_may_not_use_is_left_to_the_others(waits: Waits) -> None:
    pacing = waits.pacing()
    ledger = Ledger(pacing.clock)
    half, all_of_it = (
        Budget(pacing, ledger, share=share) for share in (BudgetShare("ada", 0.5), None)
    )

    assert await _made(half, pacing) == 30
    assert half.shown("1")["queries"] == {"used": 30, "left": 0, "limit": 60}
    assert all_of_it.shown("1")["queries"] == {"used": 30, "left": 30, "limit": 60}
    assert await _made(all_of_it, pacing) == 30
    assert await _made(half, pacing, project="2") == 30


async def test_a_refusal_says_whose_limit_it_is(waits: Waits) -> None:
    pacing = waits.pacing()
    ledger = Ledger(pacing.clock)
    ada = Budget(pacing, ledger, share=BudgetShare("ada", 0.1))
    bob = Budget(pacing, ledger, share=BudgetShare("bob", 1.0))
    await _made(ada, pacing)

    with pytest.raises(BudgetSpentError, match="this caller's share is 6 queries an hour"):
        async with ada.slot(QUERY, "1", Deadline(5, pacing)):
            pass
    await _made(bob, pacing)
    with pytest.raises(BudgetSpentError, match="Mixpanel allows 60 queries an hour for the whole"):
        async with bob.slot(QUERY, "1", Deadline(5, pacing)):
            pass


async def test_a_share_comes_back_with_the_hour(waits: Waits) -> None:
    pacing = waits.pacing()
    budget = Budget(pacing, share=BudgetShare("ada", 0.1))
    await _made(budget, pacing)

    waits.pass_time(3602)

    assert await _made(budget, pacing) == 6


async def test_two_connections_to_one_project_count_together(waits: Waits) -> None:
    pacing = waits.pacing()
    ledger = Ledger(pacing.clock)
    one, other, elsewhere = (
        Budget(pacing, ledger, place=place) for place in ("us", "us", "http://127.0.0.1:1")
    )

    await _made(one, pacing)

    assert other.shown("1")["queries"]["left"] == 0
    assert elsewhere.shown("1")["queries"]["left"] == 60
