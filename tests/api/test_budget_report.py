"""The whole account of a project's allowances, as it is shown to people."""

import anyio
import pytest
from harness import Waits

from mixpanel_mcp.api.budget import Budget
from mixpanel_mcp.api.errors import BudgetSpentError
from mixpanel_mcp.api.regions import Family
from mixpanel_mcp.api.request import Request
from mixpanel_mcp.api.retry import AttemptFailedError, Deadline, Outcome, Pacing
from mixpanel_mcp.settings import Region


def _request(family: Family, path: str, method: str = "GET") -> Request:
    return Request(family=family, region=Region.US, method=method, path=path)


QUERY = _request(Family.QUERY, "/api/query/insights")
JQL = _request(Family.QUERY, "/api/query/jql", "POST")
EXPORT = _request(Family.DATA, "/api/2.0/export")
SCHEMAS = _request(Family.APP, "/api/app/projects/1/schemas")
TABLE = _request(Family.INGESTION, "/lookup-tables/1", "PUT")


async def _send(budget: Budget, pacing: Pacing, *requests: Request) -> None:
    for request in requests:
        async with budget.slot(request, "1", Deadline(30, pacing)):
            pass


async def test_the_report_has_every_allowance_with_each_of_its_windows(waits: Waits) -> None:
    pacing = waits.pacing()
    budget = Budget(pacing)
    await _send(budget, pacing, QUERY, QUERY, JQL, EXPORT, SCHEMAS, TABLE)

    report = budget.report("1")

    windows = {
        name: [(each["seconds"], each["used"], each["left"], each["limit"]) for each in part]
        for name, part in ((name, allowance["windows"]) for name, allowance in report.items())
    }
    assert windows == {
        "queries": [(3600, 3, 57, 60)],
        "jql": [(3600, 1, 59, 60)],
        "exports": [(3600, 1, 59, 60), (1, 1, 2, 3)],
        "schemas": [(60, 1, 4, 5)],
        "lookup tables": [(86_400, 1, 99, 100)],
        "personal data": [(1, 0, 1, 1)],
    }
    assert report["queries"]["at_once"] == report["jql"]["at_once"] == 5
    assert {allowance["next_slot"] for allowance in report.values()} == {None}
    other = budget.report("2")
    assert all(window["used"] == 0 for each in other.values() for window in each["windows"])


async def test_the_report_names_the_next_slot_of_what_is_used_up(waits: Waits) -> None:
    pacing = waits.pacing()
    budget = Budget(pacing)
    await _send(budget, pacing, *[QUERY] * 60)

    with pytest.raises(BudgetSpentError) as refused:
        await _send(budget, pacing, QUERY)

    report = budget.report("1")
    assert report["queries"]["next_slot"] == refused.value.data["next_slot"]
    assert report["jql"]["next_slot"] is None
    assert budget.spent(QUERY, "1")
    assert budget.spent(JQL, "1")
    assert not budget.spent(EXPORT, "1")
    assert not budget.spent(QUERY, "2")


@pytest.mark.parametrize("outcome", Outcome)
async def test_only_what_was_never_sent_is_given_back(waits: Waits, outcome: Outcome) -> None:
    pacing = waits.pacing()
    budget = Budget(pacing)

    with pytest.raises(AttemptFailedError):
        async with budget.slot(JQL, "1", Deadline(30, pacing)):
            raise AttemptFailedError(outcome)

    used = [budget.report("1")[name]["windows"][0]["used"] for name in ("queries", "jql")]
    assert used == ([0, 0] if outcome is Outcome.NEVER_SENT else [1, 1])


async def test_a_place_is_free_again_however_the_attempt_ended(waits: Waits) -> None:
    pacing = waits.pacing()
    budget = Budget(pacing)

    for _ in range(20):
        with pytest.raises(ValueError, match="ours"):
            async with budget.slot(QUERY, "1", Deadline(30, pacing)):
                raise ValueError("ours")
    with anyio.move_on_after(0.05):
        async with budget.slot(QUERY, "1", Deadline(30, pacing)):
            await anyio.sleep_forever()

    await _send(budget, pacing, *[QUERY] * 5)
    assert budget.shown("1")["queries"]["used"] == 26
