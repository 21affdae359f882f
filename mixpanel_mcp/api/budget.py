"""How many calls Mixpanel still allows, known before it says no.

Mixpanel counts a project's calls in moving windows, over all its users. This counts ours the same
way: a few seconds are waited, minutes are refused with the time of the next slot, and a 429 that
names higher numbers than ours corrects them, because others use the project too.

Source: the pages `rate-limits` and `query-jql`.
"""

import math
import re
from collections.abc import AsyncGenerator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import anyio

from mixpanel_mcp.api.activity import Wait, waiting_for
from mixpanel_mcp.api.allowances import (
    DAY,
    HOUR,
    MINUTE,
    RULES,
    SECOND,
    Allowance,
    allowances_of,
)
from mixpanel_mcp.api.errors import BudgetSpentError
from mixpanel_mcp.api.ledger import (
    Bound,
    BudgetShare,
    Count,
    Counted,
    Counting,
    Learned,
    Ledger,
    Others,
)
from mixpanel_mcp.api.replies import Reply, reason_of, retry_after_seconds
from mixpanel_mcp.api.request import Request
from mixpanel_mcp.api.retry import AttemptFailedError, Deadline, Outcome, Pacing

__all__ = ["Budget", "BudgetShare"]

_LONGEST_WAIT = 10.0
_SHORTEST_WAIT = 0.01
# How soon another replica's call may have ended, where as many run as may.
_PLACE_WAIT = 0.2
# Mixpanel has had 400 an hour; a number far beyond that is no limit.
_LARGEST_LIMIT = 1_000
_SPANS = {SECOND: "a second", MINUTE: "a minute", HOUR: "an hour", DAY: "a day"}


# What people run out of, so what each answer shows.
_SHOWN = (Allowance.QUERIES, Allowance.EXPORTS)

_WITHOUT_QUERIES = (
    "raw events (download_data), pipelines, and answers that are still cached cost no query"
)
_INSTEAD = {
    Allowance.QUERIES: _WITHOUT_QUERIES,
    Allowance.JQL: _WITHOUT_QUERIES,
    Allowance.EXPORTS: "the Query API (reports, profiles) has an allowance of its own",
}

_HOURLY_COUNT = re.compile(r"(\d{1,6})/(\d{1,6}) queries running in the last hour")


class Budget:
    """The calls of one connection and one caller, counted per project in a ledger."""

    def __init__(
        self,
        pacing: Pacing,
        ledger: Ledger | None = None,
        *,
        place: str = "",
        share: BudgetShare | None = None,
    ) -> None:
        """Count calls.

        Args:
            pacing: clock and pauses.
            ledger: where all who use a project count together; one of its own without it.
            place: the origin whose projects are meant, as ids are unique only there.
            share: what the caller may use of each hour; all without it.
        """
        self._pacing = pacing
        self._ledger = ledger or Ledger(pacing.clock)
        self._place = place
        self._share = share

    @asynccontextmanager
    async def slot(
        self, request: Request, project: str, deadline: Deadline
    ) -> AsyncGenerator[None]:
        """Wait for leave to send one attempt, and hold its place among those that run.

        An attempt that never reached Mixpanel is not counted.

        Raises:
            BudgetSpentError: the next slot is further away than a call should wait.
        """
        counted = self._counted(request, project)
        if not counted:
            yield
            return
        await self._ledger.look(counted)
        for each in counted:
            self._refuse_if_spent(each, deadline)  # before it waits for a place
        async with AsyncExitStack() as held:
            for each in counted:
                await self._take_place(each, held, deadline)
            counting = await self._count(counted, deadline)
            try:
                yield
            except AttemptFailedError as failed:
                if failed.outcome is Outcome.NEVER_SENT:
                    await self._ledger.give_back(counting)
                raise
            finally:
                with anyio.CancelScope(shield=True):
                    await self._ledger.ended(counting)

    async def learn(self, request: Request, project: str, reply: Reply) -> None:
        """Take from a 429 what Mixpanel asks for, and its own count, with others' calls in it."""
        counted = self._counted(request, project)
        if not counted:
            return
        key, now = counted[0].project, self._ledger.clock()
        learned = before = self._ledger.learned.get(key, Learned())
        if asked := retry_after_seconds(reply.headers, self._pacing.now()):
            for each in counted:
                learned = learned.paused(each.allowance, now + min(asked, HOUR))
        found = _HOURLY_COUNT.search(reason_of(reply))
        queries = Counted(key, Allowance.QUERIES)
        if found is not None and queries in counted:
            used, limit = int(found[1]), int(found[2])
            if 0 < limit <= _LARGEST_LIMIT:
                learned = replace(learned, hourly_queries=limit)
            ours = self._ledger.made.used(queries, HOUR)
            learned = replace(learned, others=Others(max(0, used - ours), now))
        if learned != before:
            await self._ledger.learn(key, learned)

    def spent(self, request: Request, project: str) -> BudgetSpentError | None:
        """Why the next slot is minutes away, if it is; a pause that was asked for is none."""
        for counted in self._counted(request, project):
            if self._window_wait(counted) > _LONGEST_WAIT:
                return self._spent(counted, "")
        return None

    def shown(self, project: str) -> dict[str, dict[str, int]]:
        """Used and left in the hour, of what people run out of; last seen, where it is shared."""
        return {
            allowance.value: self._usage(
                self._key(project, allowance), RULES[allowance].windows[0][1]
            )
            for allowance in _SHOWN
        }

    def report(self, project: str) -> dict[str, dict[str, Any]]:
        """Every allowance: each window's limit, used and left, and when the next call may go."""
        return {
            allowance.value: {
                "windows": [
                    {"seconds": seconds, **self._usage(self._key(project, allowance), seconds)}
                    for _, seconds in rule.windows
                ],
                "at_once": rule.at_once,
                "next_slot": self._moment(self._key(project, allowance)),
            }
            for allowance, rule in RULES.items()
        }

    def _key(self, project: str, allowance: Allowance) -> Counted:
        return Counted(f"{self._place} {project}", allowance)

    def _counted(self, request: Request, project: str) -> list[Counted]:
        return [self._key(project, allowance) for allowance in allowances_of(request)]

    def _usage(self, counted: Counted, seconds: int) -> dict[str, int]:
        """Of the whole project; what is left is left to this caller."""
        used = limit = 0
        left: list[int] = []
        for bound in self._bounds(counted):
            if bound.window != seconds:
                continue
            made = self._ledger.used(counted, bound)
            left.append(self._ledger.allowed(counted, bound) - made)
            if bound.caller is None:
                used, limit = made, bound.limit
        return {"used": used, "left": max(0, min(left)), "limit": limit}

    def _bounds(self, counted: Counted) -> list[Bound]:
        return self._ledger.bounds(counted, self._share)

    def _free(self, counted: Counted, bound: Bound) -> int:
        return self._ledger.allowed(counted, bound) - self._ledger.used(counted, bound)

    def _wait(self, counted: Counted) -> float:
        """Seconds until a call may go out."""
        return max(self._window_wait(counted), self._asked_wait(counted))

    def _asked_wait(self, counted: Counted) -> float:
        learned = self._ledger.learned.get(counted.project)
        until = learned.not_before.get(counted.allowance, 0.0) if learned else 0.0
        return max(0.0, until - self._ledger.clock())

    def _window_wait(self, counted: Counted) -> float:
        """Seconds until every window has a free slot."""
        return max(self._wait_for(counted, bound) for bound in self._bounds(counted))

    def _wait_for(self, counted: Counted, bound: Bound) -> float:
        if self._free(counted, bound) > 0:
            return 0.0
        limit, now = self._ledger.allowed(counted, bound), self._ledger.clock()
        others = None if bound.caller else self._ledger.others(counted)
        theirs = others.left(now) if others else 0
        ours = self._ledger.made.used(counted, bound.seconds, bound.caller)

        def ours_fewer(than: int) -> float:
            return self._ledger.made.until_fewer(counted, bound.seconds, than, bound.caller)

        waits: list[float] = []
        if limit > theirs:
            waits.append(ours_fewer(limit - theirs))
        if others and theirs and limit > ours:
            waits.append(others.until_fewer(limit - ours, now))
        if not waits:
            # Room for one: a part of the limit may be none at all.
            beyond = others.until_fewer(max(1, limit), now) if others else 0.0
            waits.append(max(ours_fewer(1), beyond, 0.0 if limit else bound.seconds))
        return max(_SHORTEST_WAIT, min(waits))

    def _refuse_if_spent(self, counted: Counted, deadline: Deadline) -> None:
        wait = self._wait(counted)
        if wait and wait > min(_LONGEST_WAIT, deadline.remaining()):
            raise self._spent(counted)

    async def _count(self, counted: Sequence[Counted], deadline: Deadline) -> Counting:
        """Count a call under all of them at once, or under none."""
        caller = self._share.caller if self._share else ""
        while True:
            pause = max(map(self._wait, counted))
            if not pause:
                counting = Counting(
                    counted=counted, bounds=[self._bounds(each) for each in counted], caller=caller
                )
                count = await self._ledger.take(counting)
                if count is Count.TAKEN:
                    return counting
                pause = max(map(self._wait, counted))
                if count is Count.TOO_MANY_AT_ONCE:
                    self._refuse_if_late(counted, deadline)
                    pause = max(pause, _PLACE_WAIT)
            for each in counted:
                self._refuse_if_spent(each, deadline)
            with waiting_for(Wait.SLOT):
                await self._pacing.sleep(max(pause, _SHORTEST_WAIT))

    def _refuse_if_late(self, counted: Sequence[Counted], deadline: Deadline) -> None:
        if deadline.remaining() < _PLACE_WAIT:
            raise _crowded(next(each for each in counted if RULES[each.allowance].at_once))

    async def _take_place(self, counted: Counted, held: AsyncExitStack, deadline: Deadline) -> None:
        """Hold one of the places of those that run at once; other callers have their turns too."""
        places = self._ledger.places(counted)
        if places is None:
            return
        try:
            with anyio.fail_after(max(0, deadline.remaining())), waiting_for(Wait.SLOT):
                await held.enter_async_context(places.held_by(self))
        except TimeoutError:
            raise _crowded(counted) from None

    def _moment(self, counted: Counted) -> str | None:
        wait = self._wait(counted)
        if not wait:
            return None
        moment = datetime.fromtimestamp(self._pacing.now() + wait, UTC)
        return moment.isoformat(timespec="seconds")

    def _spent(self, counted: Counted, head: str = "Nothing was sent: ") -> BudgetSpentError:
        moment, wait = self._moment(counted), self._wait(counted)
        about = f"{round(wait / MINUTE)} min" if wait > MINUTE else f"{math.ceil(wait)} s"
        instead = _INSTEAD.get(counted.allowance)
        project = counted.project.removeprefix(f"{self._place} ")
        return BudgetSpentError(
            f"{head}{self._reason(counted)}. The next slot is at {moment}, in about {about}: do "
            "not call again before." + (f" Meanwhile {instead}." if instead else ""),
            data={"next_slot": moment, "budget": self.shown(project)},
        )

    def _reason(self, counted: Counted) -> str:
        calls = RULES[counted.allowance].calls
        if self._asked_wait(counted) > self._window_wait(counted):
            return f"Mixpanel asked for a pause between {calls} of this project"
        # The window that holds the call up.
        bound = max(self._bounds(counted), key=lambda bound: self._wait_for(counted, bound))
        span = _SPANS[bound.window]
        if bound.caller is not None:
            return f"this caller's share is {bound.limit} {calls} {span}, and they are used up"
        allows = f"Mixpanel allows {bound.limit} {calls} {span} for the whole project"
        if self._ledger.is_cautious:
            return (
                f"{allows}; this server cannot ask its other replicas how many they made, and its "
                "own part of them is used up"
            )
        others = self._ledger.used_by_others(counted)
        by_others = f" (about {others} by others)" if others else ""
        return f"{allows}, and they are used up{by_others}"


def _crowded(counted: Counted) -> BudgetSpentError:
    rule = RULES[counted.allowance]
    return BudgetSpentError(
        f"Nothing was sent: {rule.at_once} {rule.calls} of this project are running, as many as "
        "Mixpanel allows at once. Try again in a minute, with fewer calls side by side."
    )
