"""Reads that nobody waits for: they leave what is scarce to those that somebody asked for."""

from dataclasses import replace

from mixpanel_mcp.api.budget import allowances_of
from mixpanel_mcp.api.errors import BudgetSpentError
from mixpanel_mcp.api.replies import Reply
from mixpanel_mcp.api.request import Request, RetryRules
from mixpanel_mcp.operation import Call

_ONE_ATTEMPT = RetryRules(retries=0, delay_seconds=None, on_rate_limit=False)
# So many calls of an hour are kept for people.
_KEPT_BACK = 10


class BackgroundCall(Call):
    """Makes one attempt, and none with the last calls that Mixpanel allows in an hour."""

    async def read(self, request: Request) -> Reply:
        """As a call's own.

        Raises:
            BudgetSpentError: too few calls are left to spend one in the background.
        """
        left = self.client.budget.shown(str(self.project_id or ""))
        scarce = [each for each in allowances_of(request) if each in left]
        if any(left[each]["left"] < _KEPT_BACK for each in scarce):
            raise BudgetSpentError(
                f"Nothing was sent: the last {_KEPT_BACK} calls of an hour are kept for those that "
                "somebody asks for."
            )
        return await super().read(replace(request, retry=_ONE_ATTEMPT))
