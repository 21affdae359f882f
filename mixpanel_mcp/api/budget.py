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

from mixpanel_mcp.api.activity import Wait, waiting_for
from mixpanel_mcp.api.errors import BudgetSpentError
from mixpanel_mcp.api.paths import readings
from mixpanel_mcp.api.regions import Family
from mixpanel_mcp.api.replies import Reply, reason_of
from mixpanel_mcp.api.request import Request
from mixpanel_mcp.api.retry import AttemptFailedError, Deadline, Outcome, Pacing
from mixpanel_mcp.api.windows import MovingWindows

_LONGEST_WAIT = 10.0
_SHORTEST_WAIT = 0.01
# Mixpanel has had 400 an hour; a number far beyond that is no limit.
_LARGEST_LIMIT = 1_000
_MINUTE, _HOUR, _DAY = 60, 3600, 86_400
# Ours are a little longer than Mixpanel's, where a call arrives later than it left here.
_MARGIN = {1: 0.2}
_USUAL_MARGIN = 1.0
_SPANS = {1: "a second", _MINUTE: "a minute", _HOUR: "an hour", _DAY: "a day"}


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
_CALLS = {
    Allowance.QUERIES: "queries",
    Allowance.JQL: "JQL queries",
    Allowance.EXPORTS: "exports",
    Allowance.SCHEMAS: "calls of the schemas API",
    Allowance.LOOKUP_TABLES: "replacements of lookup tables",
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


_QUERY_PATH = re.compile(r"/api/(query|2\.0)(/|$)")
_EXPORT_PATH = re.compile(r"(/api/2\.0)?/export(/|$)")
_PIPELINE_PATH = re.compile(r"(/api/2\.0)?/nessie(/|$)")
_JQL_PATH = re.compile(r"/api/(query|2\.0)/jql(/|$)")
_SCHEMAS_PATH = re.compile(r"/api/app/.*/schemas(/|$)")
_LOOKUP_PATH = re.compile(r"/lookup-tables/.")


def allowances_of(request: Request) -> tuple[Allowance, ...]:
    """What a request is counted under, in whichever way its path may be read.

    A passthrough call can send any path to any host, so the host alone says too little.
    """
    paths = readings(request.path)

    def reads_as(pattern: re.Pattern[str]) -> bool:
        return any(pattern.match(path) for path in paths)

    found: list[Allowance] = []
    elsewhere = reads_as(_EXPORT_PATH) or reads_as(_PIPELINE_PATH)
    if (request.family is Family.QUERY or reads_as(_QUERY_PATH)) and not elsewhere:
        found.append(Allowance.QUERIES)
    if reads_as(_JQL_PATH):
        found.append(Allowance.JQL)
    if reads_as(_EXPORT_PATH):
        found.append(Allowance.EXPORTS)
    if reads_as(_SCHEMAS_PATH):
        found.append(Allowance.SCHEMAS)
    if request.method == "PUT" and reads_as(_LOOKUP_PATH):
        found.append(Allowance.LOOKUP_TABLES)
    return tuple(found)


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
        made: list[tuple[_Counted, float]] = []
        async with AsyncExitStack() as places:
            places.callback(self._take_back, made)
            for each in counted:
                await self._take_place(each, places, deadline)
            for each in counted:
                moment = await self._count(each, deadline)
                made.append((each, moment))
            try:
                yield
            except AttemptFailedError as failed:
                if failed.outcome is not Outcome.NEVER_SENT:
                    made.clear()
                raise
            except BaseException:
                made.clear()
                raise
            else:
                made.clear()

    def learn(self, request: Request, project: str, reply: Reply) -> None:
        """Take Mixpanel's own count from a 429: others' calls are in it, and its real limit."""
        found = _HOURLY_COUNT.search(reason_of(reply))
        if found is None or Allowance.QUERIES not in allowances_of(request):
            return
        used, limit = int(found[1]), int(found[2])
        if 0 < limit <= _LARGEST_LIMIT:
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

    def _take_back(self, made: list[tuple[_Counted, float]]) -> None:
        for counted, moment in made:
            self._made.take_back(counted, moment)

    def _refuse_if_spent(self, counted: _Counted, deadline: Deadline) -> None:
        wait = self._wait(counted)
        if wait and wait > min(_LONGEST_WAIT, deadline.remaining()):
            raise self._spent(counted)

    async def _count(self, counted: _Counted, deadline: Deadline) -> float:
        while pause := self._wait(counted):
            self._refuse_if_spent(counted, deadline)
            with waiting_for(Wait.SLOT):
                await self._pacing.sleep(pause)
        return self._made.add(counted)

    async def _take_place(
        self, counted: _Counted, places: AsyncExitStack, deadline: Deadline
    ) -> None:
        at_once = _RULES[counted[1]].at_once
        if at_once is None:
            return
        place = self._at_once.setdefault(counted, anyio.Semaphore(at_once))
        try:
            with anyio.fail_after(max(0, deadline.remaining())), waiting_for(Wait.SLOT):
                await places.enter_async_context(place)
        except TimeoutError:
            raise BudgetSpentError(
                f"Nothing was sent: {at_once} {_CALLS[counted[1]]} of this project are running, as "
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
        # The one that holds the call up.
        calls, seconds = max(
            _RULES[allowance].windows, key=lambda window: self._wait_for(counted, *window)
        )
        limit = self._limit(counted, calls, seconds)
        moment = self._moment(counted)
        wait = self._wait(counted)
        about = f"{math.ceil(wait / _MINUTE)} min" if wait > _MINUTE else f"{math.ceil(wait)} s"
        others = self._used_by_others(counted)
        by_others = f" (about {others} by others)" if others else ""
        instead = _INSTEAD.get(allowance)
        return BudgetSpentError(
            f"Nothing was sent: Mixpanel allows {limit} {_CALLS[allowance]} {_SPANS[seconds]} for "
            f"the whole project, and they are used up{by_others}. The next slot is at {moment}, in "
            f"about {about}: do not call again before."
            + (f" Meanwhile {instead}." if instead else ""),
            data={"next_slot": moment, "budget": self.shown(project)},
        )


def _counted_for(seconds: int) -> float:
    return seconds + _MARGIN.get(seconds, _USUAL_MARGIN)
