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
from dataclasses import dataclass
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
from mixpanel_mcp.api.replies import Reply, reason_of, retry_after_seconds
from mixpanel_mcp.api.request import Request
from mixpanel_mcp.api.retry import AttemptFailedError, Deadline, Outcome, Pacing
from mixpanel_mcp.api.windows import MovingWindows

_LONGEST_WAIT = 10.0
_SHORTEST_WAIT = 0.01
# Mixpanel has had 400 an hour; a number far beyond that is no limit.
_LARGEST_LIMIT = 1_000
# Ours are a little longer than Mixpanel's, where a call arrives later than it left here.
_MARGIN = {SECOND: 0.2}
_USUAL_MARGIN = 1.0
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

_Counted = tuple[str, Allowance]
"""A project, and what is counted for it."""


@dataclass(frozen=True)
class _Others:
    """Calls that Mixpanel counted beyond ours; spread over the hour, as nobody knows better."""

    calls: int
    seen: float

    def left(self, now: float) -> int:
        return max(0, math.ceil(self.calls * (1 - (now - self.seen) / HOUR)))

    def until_fewer(self, calls: int, now: float) -> float:
        """Seconds until fewer than `calls` of them are thought to be in the last hour."""
        if self.left(now) < calls:
            return 0.0
        return max(0.0, self.seen + HOUR * (1 - (calls - 1) / self.calls) - now)


class Budget:
    """The calls of one connection, counted per project."""

    def __init__(self, pacing: Pacing) -> None:
        self._pacing = pacing
        self._made = MovingWindows(pacing.clock, DAY + _USUAL_MARGIN)
        self._others: dict[str, _Others] = {}
        self._hourly_queries: dict[str, int] = {}
        self._not_before: dict[_Counted, float] = {}
        self._at_once: dict[_Counted, anyio.Semaphore] = {}

    @asynccontextmanager
    async def slot(
        self, request: Request, project: str, deadline: Deadline
    ) -> AsyncGenerator[None]:
        """Wait for leave to send one attempt, and hold its place among those that run.

        An attempt that never reached Mixpanel is not counted.

        Raises:
            BudgetSpentError: the next slot is further away than a call should wait.
        """
        counted = [(project, allowance) for allowance in allowances_of(request)]
        for each in counted:
            self._refuse_if_spent(each, deadline)  # before it waits for a place
        async with AsyncExitStack() as places:
            for each in counted:
                await self._take_place(each, places, deadline)
            made = await self._count(counted, deadline)
            try:
                yield
            except AttemptFailedError as failed:
                if failed.outcome is Outcome.NEVER_SENT:
                    for each, moment in made:
                        self._made.take_back(each, moment)
                raise

    def learn(self, request: Request, project: str, reply: Reply) -> None:
        """Take from a 429 what Mixpanel asks for, and its own count, with others' calls in it."""
        counted = [(project, allowance) for allowance in allowances_of(request)]
        asked = retry_after_seconds(reply.headers, self._pacing.now())
        for each in counted if asked else ():
            self._not_before[each] = self._pacing.clock() + min(asked or 0, HOUR)
        found = _HOURLY_COUNT.search(reason_of(reply))
        if found is None or (project, Allowance.QUERIES) not in counted:
            return
        used, limit = int(found[1]), int(found[2])
        if 0 < limit <= _LARGEST_LIMIT:
            self._hourly_queries[project] = limit
        ours = self._made.used((project, Allowance.QUERIES), HOUR)
        self._others[project] = _Others(max(0, used - ours), self._pacing.clock())

    def spent(self, request: Request, project: str) -> BudgetSpentError | None:
        """Why the next slot is minutes away, if it is; a pause that was asked for is none."""
        for allowance in allowances_of(request):
            counted = (project, allowance)
            if self._window_wait(counted) > _LONGEST_WAIT:
                return self._spent(counted, "")
        return None

    def shown(self, project: str) -> dict[str, dict[str, int]]:
        """Used and left in the hour, of what people run out of."""
        return {
            allowance.value: self._usage((project, allowance), *RULES[allowance].windows[0])
            for allowance in _SHOWN
        }

    def report(self, project: str) -> dict[str, dict[str, Any]]:
        """Every allowance: each window's limit, used and left, and when the next call may go."""
        return {
            allowance.value: {
                "windows": [
                    {"seconds": seconds, **self._usage((project, allowance), calls, seconds)}
                    for calls, seconds in rule.windows
                ],
                "at_once": rule.at_once,
                "next_slot": self._moment((project, allowance)),
            }
            for allowance, rule in RULES.items()
        }

    def _usage(self, counted: _Counted, calls: int, seconds: int) -> dict[str, int]:
        limit, used = self._limit(counted, calls, seconds), self._used(counted, seconds)
        return {"used": used, "left": max(0, limit - used), "limit": limit}

    def _limit(self, counted: _Counted, calls: int, seconds: int) -> int:
        project, allowance = counted
        if allowance is Allowance.QUERIES and seconds == HOUR:
            return self._hourly_queries.get(project, calls)
        return calls

    def _used(self, counted: _Counted, seconds: int) -> int:
        return self._made.used(counted, _counted_for(seconds)) + self._used_by_others(counted)

    def _used_by_others(self, counted: _Counted) -> int:
        project, allowance = counted
        others = self._others.get(project) if allowance is Allowance.QUERIES else None
        return others.left(self._pacing.clock()) if others else 0

    def _wait(self, counted: _Counted) -> float:
        """Seconds until a call may go out."""
        return max(self._window_wait(counted), self._asked_wait(counted))

    def _asked_wait(self, counted: _Counted) -> float:
        return max(0.0, self._not_before.get(counted, 0.0) - self._pacing.clock())

    def _window_wait(self, counted: _Counted) -> float:
        """Seconds until every window has a free slot."""
        windows = RULES[counted[1]].windows
        return max(self._wait_for(counted, calls, seconds) for calls, seconds in windows)

    def _wait_for(self, counted: _Counted, calls: int, seconds: int) -> float:
        limit, used = self._limit(counted, calls, seconds), self._used(counted, seconds)
        if used < limit:
            return 0.0
        others, span = self._used_by_others(counted), _counted_for(seconds)
        ours = used - others

        def ours_fewer(than: int) -> float:
            return self._made.until_fewer(counted, span, than)

        def theirs_fewer(than: int) -> float:
            return self._others[counted[0]].until_fewer(than, self._pacing.clock())

        waits: list[float] = []
        if limit > others:
            waits.append(ours_fewer(limit - others))
        if others and limit > ours:
            waits.append(theirs_fewer(limit - ours))
        if not waits:
            waits.append(max(ours_fewer(1), theirs_fewer(limit)))
        return max(_SHORTEST_WAIT, min(waits))

    def _refuse_if_spent(self, counted: _Counted, deadline: Deadline) -> None:
        wait = self._wait(counted)
        if wait and wait > min(_LONGEST_WAIT, deadline.remaining()):
            raise self._spent(counted)

    async def _count(
        self, counted: Sequence[_Counted], deadline: Deadline
    ) -> list[tuple[_Counted, float]]:
        """Count a call under all of them at once, or under none."""
        while pause := max(map(self._wait, counted), default=0.0):
            for each in counted:
                self._refuse_if_spent(each, deadline)
            with waiting_for(Wait.SLOT):
                await self._pacing.sleep(pause)
        return [(each, self._made.add(each)) for each in counted]

    async def _take_place(
        self, counted: _Counted, places: AsyncExitStack, deadline: Deadline
    ) -> None:
        at_once = RULES[counted[1]].at_once
        if at_once is None:
            return
        place = self._at_once.setdefault(counted, anyio.Semaphore(at_once))
        try:
            with anyio.fail_after(max(0, deadline.remaining())), waiting_for(Wait.SLOT):
                await places.enter_async_context(place)
        except TimeoutError:
            raise BudgetSpentError(
                f"Nothing was sent: {at_once} {RULES[counted[1]].calls} of this project are "
                "running, as many as Mixpanel allows at once. Try again in a minute, with fewer "
                "calls side by side."
            ) from None

    def _moment(self, counted: _Counted) -> str | None:
        wait = self._wait(counted)
        if not wait:
            return None
        moment = datetime.fromtimestamp(self._pacing.now() + wait, UTC)
        return moment.isoformat(timespec="seconds")

    def _spent(self, counted: _Counted, head: str = "Nothing was sent: ") -> BudgetSpentError:
        project, allowance = counted
        moment, wait = self._moment(counted), self._wait(counted)
        about = f"{round(wait / MINUTE)} min" if wait > MINUTE else f"{math.ceil(wait)} s"
        instead = _INSTEAD.get(allowance)
        return BudgetSpentError(
            f"{head}{self._reason(counted)}. The next slot is at {moment}, in about {about}: do "
            "not call again before." + (f" Meanwhile {instead}." if instead else ""),
            data={"next_slot": moment, "budget": self.shown(project)},
        )

    def _reason(self, counted: _Counted) -> str:
        _, allowance = counted
        if self._asked_wait(counted) > self._window_wait(counted):
            return f"Mixpanel asked for a pause between {RULES[allowance].calls} of this project"
        # The window that holds the call up.
        calls, seconds = max(
            RULES[allowance].windows, key=lambda window: self._wait_for(counted, *window)
        )
        others = self._used_by_others(counted)
        by_others = f" (about {others} by others)" if others else ""
        return (
            f"Mixpanel allows {self._limit(counted, calls, seconds)} {RULES[allowance].calls} "
            f"{_SPANS[seconds]} for the whole project, and they are used up{by_others}"
        )


def _counted_for(seconds: int) -> float:
    return seconds + _MARGIN.get(seconds, _USUAL_MARGIN)
