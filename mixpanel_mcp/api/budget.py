"""How many calls Mixpanel still allows, known before it says no.

Mixpanel counts a project's calls in moving windows, over all its users. This counts ours the same
way: a few seconds are waited, minutes are refused with the time of the next slot, and a 429 that
names higher numbers than ours corrects them, because others use the project too.

Source: the pages `rate-limits` and `query-jql`.
"""

import math
import re
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

import anyio

from mixpanel_mcp.api.errors import BudgetSpentError
from mixpanel_mcp.api.regions import Family
from mixpanel_mcp.api.replies import Reply
from mixpanel_mcp.api.request import Request
from mixpanel_mcp.api.retry import AttemptFailedError, Deadline, Outcome, Pacing
from mixpanel_mcp.api.windows import MovingWindows

_LONGEST_WAIT = 10.0
_SHORTEST_WAIT = 0.01
_MINUTE, _HOUR, _DAY = 60, 3600, 86_400
# Ours are a little longer than Mixpanel's, where a call arrives later than it left here.
_MARGIN = {1: 0.2}
_USUAL_MARGIN = 1.0
_SPANS = {_MINUTE: "a minute", _HOUR: "an hour", _DAY: "a day"}


class Allowance(StrEnum):
    """What Mixpanel counts apart; a JQL query counts as a query as well."""

    QUERIES = "queries"
    JQL = "jql"
    EXPORTS = "exports"
    SCHEMAS = "schemas"
    LOOKUP_TABLES = "lookup tables"


@dataclass(frozen=True)
class _Rule:
    """Calls per window of so many seconds, the longest first, and how many may run at once."""

    windows: Sequence[tuple[int, int]]
    at_once: int | None = None


_RULES: Mapping[Allowance, _Rule] = {
    Allowance.QUERIES: _Rule([(60, _HOUR)], at_once=5),
    Allowance.JQL: _Rule([(60, _HOUR)], at_once=5),
    # That 100 may run at once cannot bind before 60 an hour does.
    Allowance.EXPORTS: _Rule([(60, _HOUR), (3, 1)]),
    Allowance.SCHEMAS: _Rule([(5, _MINUTE)]),
    Allowance.LOOKUP_TABLES: _Rule([(100, _DAY)]),
}
# What people run out of, so what each answer shows.
_SHOWN = (Allowance.QUERIES, Allowance.EXPORTS)

_INSTEAD = {
    Allowance.QUERIES: "raw events (download_data), pipelines, and answers that are still cached "
    "cost no query",
    Allowance.JQL: "raw events (download_data), pipelines, and answers that are still cached cost "
    "no query",
    Allowance.EXPORTS: "the Query API (reports, profiles) has an allowance of its own",
}

_HOURLY_COUNT = re.compile(r"(\d{1,6})/(\d{1,6}) queries running in the last hour")


def allowances_of(request: Request) -> tuple[Allowance, ...]:
    """What a request is counted under."""
    path = request.path.rstrip("/").lower()
    match request.family:
        case Family.QUERY:
            jql = (Allowance.JQL,) if path.endswith("/jql") else ()
            return (Allowance.QUERIES, *jql)
        case Family.DATA:
            return (Allowance.EXPORTS,) if path.endswith("/export") else ()
        case Family.APP:
            return (Allowance.SCHEMAS,) if "/schemas" in path else ()
        case Family.INGESTION:
            replaces = request.method == "PUT" and path.startswith("/lookup-tables/")
            return (Allowance.LOOKUP_TABLES,) if replaces else ()


_Counted = tuple[str, Allowance]
"""A project, and what is counted for it."""


@dataclass(frozen=True)
class _Others:
    """Calls that Mixpanel counted beyond ours; spread over the hour, as nobody knows better."""

    calls: int
    seen: float

    def left(self, now: float) -> int:
        return max(0, math.ceil(self.calls * (1 - (now - self.seen) / _HOUR)))

    def until_fewer(self, calls: int, now: float) -> float:
        """Seconds until fewer than `calls` of them are thought to be in the last hour."""
        if self.left(now) < calls:
            return 0.0
        return max(0.0, self.seen + _HOUR * (1 - (calls - 1) / self.calls) - now)


class Budget:
    """The calls of one connection, counted per project."""

    def __init__(self, pacing: Pacing) -> None:
        self._pacing = pacing
        self._made = MovingWindows(pacing.clock, _DAY + _USUAL_MARGIN)
        self._others: dict[str, _Others] = {}
        self._hourly_queries: dict[str, int] = {}
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
            moments = [(each, await self._count(each, deadline)) for each in counted]
            try:
                yield
            except AttemptFailedError as failed:
                if failed.outcome is Outcome.NEVER_SENT:
                    for each, moment in moments:
                        self._made.take_back(each, moment)
                raise

    def learn(self, request: Request, project: str, reply: Reply) -> None:
        """Take Mixpanel's own count from a 429: others' calls are in it, and its real limit."""
        found = _HOURLY_COUNT.search(reply.text)
        if found is None or Allowance.QUERIES not in allowances_of(request):
            return
        used, limit = int(found[1]), int(found[2])
        if limit:
            self._hourly_queries[project] = limit
        ours = self._made.used((project, Allowance.QUERIES), _HOUR)
        self._others[project] = _Others(max(0, used - ours), self._pacing.clock())

    def is_spent(self, request: Request, project: str) -> bool:
        """Whether waiting for the next slot would take minutes."""
        counted = [(project, allowance) for allowance in allowances_of(request)]
        return any(self._wait(each) > _LONGEST_WAIT for each in counted)

    def shown(self, project: str) -> dict[str, dict[str, int]]:
        """Used and left in the hour, of what people run out of."""
        return {
            allowance.value: self._usage((project, allowance), *_RULES[allowance].windows[0])
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
            for allowance, rule in _RULES.items()
        }

    def _usage(self, counted: _Counted, calls: int, seconds: int) -> dict[str, int]:
        limit, used = self._limit(counted, calls, seconds), self._used(counted, seconds)
        return {"used": used, "left": max(0, limit - used), "limit": limit}

    def _limit(self, counted: _Counted, calls: int, seconds: int) -> int:
        project, allowance = counted
        if allowance is Allowance.QUERIES and seconds == _HOUR:
            return self._hourly_queries.get(project, calls)
        return calls

    def _used(self, counted: _Counted, seconds: int) -> int:
        return self._made.used(counted, _counted_for(seconds)) + self._used_by_others(counted)

    def _used_by_others(self, counted: _Counted) -> int:
        project, allowance = counted
        others = self._others.get(project) if allowance is Allowance.QUERIES else None
        return others.left(self._pacing.clock()) if others else 0

    def _wait(self, counted: _Counted) -> float:
        """Seconds until every window has a free slot."""
        windows = _RULES[counted[1]].windows
        return max(self._wait_for(counted, calls, seconds) for calls, seconds in windows)

    def _wait_for(self, counted: _Counted, calls: int, seconds: int) -> float:
        limit, used = self._limit(counted, calls, seconds), self._used(counted, seconds)
        if used < limit:
            return 0.0
        by_others = self._used_by_others(counted)
        ours = self._made.until_fewer(counted, _counted_for(seconds), max(1, limit - by_others))
        if not by_others:
            return ours
        theirs = self._others[counted[0]].until_fewer(
            max(1, limit - (used - by_others)), self._pacing.clock()
        )
        # One of theirs leaving frees a slot as well as one of ours; 0 says that it cannot.
        return min(filter(None, (ours, theirs)), default=0.0)

    def _refuse_if_spent(self, counted: _Counted, deadline: Deadline) -> None:
        wait = self._wait(counted)
        if wait and wait > min(_LONGEST_WAIT, deadline.remaining()):
            raise self._spent(counted)

    async def _count(self, counted: _Counted, deadline: Deadline) -> float:
        while pause := self._wait(counted):
            self._refuse_if_spent(counted, deadline)
            await self._pacing.sleep(max(_SHORTEST_WAIT, pause))
        return self._made.add(counted)

    async def _take_place(
        self, counted: _Counted, places: AsyncExitStack, deadline: Deadline
    ) -> None:
        at_once = _RULES[counted[1]].at_once
        if at_once is None:
            return
        place = self._at_once.setdefault(counted, anyio.Semaphore(at_once))
        try:
            with anyio.fail_after(max(0, deadline.remaining())):
                await places.enter_async_context(place)
        except TimeoutError:
            raise BudgetSpentError(
                f"Nothing was sent: {at_once} {counted[1].value} of this project are running, as "
                "many as Mixpanel allows at once. Try again in a minute, with fewer calls side by "
                "side."
            ) from None

    def _moment(self, counted: _Counted) -> str | None:
        wait = self._wait(counted)
        if not wait:
            return None
        moment = datetime.fromtimestamp(self._pacing.now() + wait, UTC)
        return moment.isoformat(timespec="seconds")

    def _spent(self, counted: _Counted) -> BudgetSpentError:
        project, allowance = counted
        calls, seconds = _RULES[allowance].windows[0]
        limit = self._limit(counted, calls, seconds)
        moment = self._moment(counted)
        minutes = math.ceil(self._wait(counted) / _MINUTE)
        others = self._used_by_others(counted)
        by_others = f" (about {others} by others)" if others else ""
        instead = _INSTEAD.get(allowance)
        return BudgetSpentError(
            f"Nothing was sent: Mixpanel allows {limit} {allowance.value} {_SPANS[seconds]} for "
            f"the whole project, and they are used up{by_others}. The next slot is at {moment}, in "
            f"about {minutes} min: do not call again before."
            + (f" Meanwhile {instead}." if instead else ""),
            data={"next_slot": moment, "budget": self.shown(project)},
        )


def _counted_for(seconds: int) -> float:
    return seconds + _MARGIN.get(seconds, _USUAL_MARGIN)
