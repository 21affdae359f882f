"""The calls of all replicas, counted in Redis; each keeps a copy of what it knows."""

import asyncio
from collections.abc import Sequence
from typing import NamedTuple

from mixpanel_mcp.api.allowances import RULES, SECOND
from mixpanel_mcp.api.ledger import Bound, Count, Counted, Counting, Learned, Ledger
from mixpanel_mcp.api.windows import Made
from mixpanel_mcp.replicas.events import Event
from mixpanel_mcp.replicas.ledger_entries import (
    counted_of,
    fields_of,
    learned_of,
    made_of,
    member_of,
    name_of,
)
from mixpanel_mcp.replicas.ledger_in_redis import Kept, LedgerInRedis
from mixpanel_mcp.replicas.link import AwayError, Link

# Calls of others that ran when Redis went away may run as long.
_LONGEST_CALL = 30.0
# A copy this old is renewed before it refuses anything.
_FRESH_SECONDS = 1.0


class _Seen(NamedTuple):
    """When a copy was made, and how many calls ran elsewhere."""

    moment: float
    running: int = 0


class SharedLedger(Ledger):
    """Counts in Redis while it is believed, and beside that in memory, always.

    Without Redis each replica allows itself an equal part of what was left when it went away, and
    of every limit altogether no more than its part. Its copy is what Redis is told when it is back.
    """

    def __init__(self, link: Link) -> None:
        super().__init__(link.belief.clock)
        self._link = link
        self._belief = link.belief
        self._redis = LedgerInRedis(link)
        self._own: set[str] = set()
        self._running: dict[str, Counting] = {}
        self._seen: dict[Counted, _Seen] = {}
        self._taken_back: set[tuple[Counted, str]] = set()
        link.when_back(self._tell)
        link.each_beat(self._hold_places)
        link.on("made", self._heard_of_call)
        link.on("back", self._heard_back)
        link.on("learned", self._heard_of_limit)

    @property
    def is_cautious(self) -> bool:
        return not self._belief.is_shared

    def allowed(self, counted: Counted, bound: Bound) -> int:
        if not self.is_cautious:
            return bound.limit
        replicas = max(1, self._belief.replicas)
        since, begin = self._belief.left_at or self.clock(), self.clock() - bound.seconds
        before = [
            made
            for made in self.made.all(counted)
            if begin < made.moment <= since and bound.caller in (None, made.caller)
        ]
        own = sum(made.name in self._own for made in before)
        others = 0 if bound.caller is not None else self.used_by_others(counted)
        left = bound.limit - others - len(before)
        room = max(0, min(left // replicas, bound.limit // replicas - own))
        if bound.window == SECOND:
            room = max(1, room)
        return others + len(before) + room

    async def look(self, counted: Sequence[Counted]) -> None:
        """Renew the copy where it would refuse a call."""
        stale = [each for each in counted if self._refuses(each) and self._is_stale(each)]
        if stale and self._belief.is_shared:
            try:
                await self._load(stale)
            except AwayError:
                return

    def add(self, counting: Counting) -> Made:
        self._own.add(counting.name)
        return super().add(counting)

    async def take(self, counting: Counting) -> Count:
        if self.is_cautious:
            return await self._take_cautiously(counting)
        try:
            count = await self._take_in_redis(counting)
        except AwayError:
            count = await self._take_cautiously(counting)
            if count is not Count.TAKEN:
                self._taken_back |= {(each, member_of(counting)) for each in counting.counted}
        except asyncio.CancelledError:
            self._link.start(self.give_back(counting))
            raise
        if count is Count.TAKEN:
            self._running[counting.name] = counting
        return count

    async def give_back(self, counting: Counting) -> None:
        await super().give_back(counting)
        removed = [(each, member_of(counting)) for each in counting.counted]
        try:
            await self._redis.remove(removed)
        except AwayError:
            self._taken_back |= set(removed)
            return
        for each in counting.counted:
            await self._link.publish("back", ledger=name_of(each), name=counting.name)

    async def ended(self, counting: Counting) -> None:
        self._running.pop(counting.name, None)
        limited = [each for each in counting.counted if RULES[each.allowance].at_once]
        if not limited:
            return
        try:
            await self._redis.leave(limited, counting)
        except AwayError:
            return  # the place is given up soon, as nobody holds it any more

    async def learn(self, project: str, learned: Learned) -> None:
        await super().learn(project, learned)
        try:
            await self._redis.learn(project, learned)
        except AwayError:
            return
        await self._link.publish("learned", project=project, learned=fields_of(learned))

    async def _take_cautiously(self, counting: Counting) -> Count:
        if (count := self._fits(counting)) is not Count.TAKEN:
            return count
        self.add(counting)
        self._running[counting.name] = counting
        if not self._belief.is_there:
            return Count.TAKEN
        try:
            count = await self._take_in_redis(counting)
        except AwayError:
            return Count.TAKEN
        except asyncio.CancelledError:
            self._running.pop(counting.name, None)
            self._link.start(self.give_back(counting))
            raise
        if count is not Count.TAKEN:
            self._running.pop(counting.name, None)
            await super().give_back(counting)
        return count

    def _fits(self, counting: Counting) -> Count:
        for counted, bounds in zip(counting.counted, counting.bounds, strict=True):
            if any(self.used(counted, bound) >= self.allowed(counted, bound) for bound in bounds):
                return Count.WINDOW_FULL
            at_once = RULES[counted.allowance].at_once
            running = sum(counted in each.counted for each in self._running.values())
            if at_once and running >= max(1, at_once // max(1, self._belief.replicas)):
                return Count.TOO_MANY_AT_ONCE
            if at_once and running + self._others_running(counted) >= at_once:
                return Count.TOO_MANY_AT_ONCE
        return Count.TAKEN

    def _others_running(self, counted: Counted) -> int:
        seen, left_at = self._seen.get(counted), self._belief.left_at
        if seen is None or left_at is None or self.clock() - left_at > _LONGEST_CALL:
            return 0
        return seen.running

    async def _take_in_redis(self, counting: Counting) -> Count:
        bounds = [
            self._without_others(each, among)
            for each, among in zip(counting.counted, counting.bounds, strict=True)
        ]
        count, found = await self._redis.take(counting, bounds)
        self._belief.set_clock(found[0].moment)
        for each, kept in zip(counting.counted, found, strict=True):
            own = sum(each in running.counted for running in self._running.values())
            self._copy(each, kept, max(0, kept.running - own))
        if count is Count.TAKEN:
            self.add(counting)  # where an answer overtook this one
        return count

    def _without_others(self, counted: Counted, bounds: Sequence[Bound]) -> list[Bound]:
        """What is left of bounds by calls that are nobody's here; those count against no caller."""
        others = self.used_by_others(counted)
        return [
            bound if bound.caller else bound._replace(limit=bound.limit - others)
            for bound in bounds
        ]

    def _copy(self, counted: Counted, kept: Kept, running: int) -> None:
        """Take Redis' word where it is believed; else add what it knows to what is known here."""
        before = self._seen.get(counted)
        if before is not None and before.moment > kept.moment:
            return
        self._seen[counted] = _Seen(kept.moment, running)
        if self._belief.is_shared:
            self.made.replace(counted, kept.calls)
        else:
            for made in kept.calls:
                if (counted, member_of(made)) not in self._taken_back:
                    self.made.add(counted, made)

    def _refuses(self, counted: Counted) -> bool:
        bounds = self.bounds(counted, None)
        return any(self.used(counted, bound) >= bound.limit for bound in bounds)

    def _is_stale(self, counted: Counted) -> bool:
        seen = self._seen.get(counted)
        return seen is None or self.clock() - seen.moment > _FRESH_SECONDS

    async def _load(self, counted: Sequence[Counted]) -> None:
        for each, (kept, learned) in zip(counted, await self._redis.load(counted), strict=True):
            seen = self._seen.get(each)
            self._copy(each, kept, seen.running if seen else 0)
            if learned is not None:
                self.learned[each.project] = learned

    async def _tell(self) -> None:
        """Tell Redis all that is known here, and read what it knows."""
        made = {key: self.made.all(key) for key in self.made.keys() if isinstance(key, Counted)}  # noqa: SIM118
        taken_back, learned = set(self._taken_back), dict(self.learned)
        await self._redis.tell(made, taken_back, learned)
        self._taken_back -= taken_back
        await self._load(await self._redis.counted())

    async def _hold_places(self) -> None:
        """Go on holding the places of the calls that run; forget names of long ago."""
        known = {made.name for key in self.made.keys() for made in self.made.all(key)}  # noqa: SIM118
        self._own &= known | set(self._running)
        held = [
            (each, counting)
            for counting in self._running.values()
            for each in counting.counted
            if RULES[each.allowance].at_once
        ]
        if held:
            await self._redis.hold(held)

    async def _heard_of_call(self, event: Event) -> None:
        counted = counted_of(event["ledger"])
        self.made.add(counted, made_of(event["member"].encode(), float(event["moment"])))

    async def _heard_back(self, event: Event) -> None:
        self.made.take_back(counted_of(event["ledger"]), event["name"])

    async def _heard_of_limit(self, event: Event) -> None:
        self.learned[event["project"]] = learned_of(event["learned"])
