"""The calls of all replicas, counted in Redis; each keeps a copy of what it knows."""

import asyncio
import json
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from mixpanel_mcp.api.allowances import DAY, RULES, SECOND, Allowance
from mixpanel_mcp.api.ledger import (
    Bound,
    Count,
    Counted,
    Counting,
    Learned,
    Ledger,
    Others,
)
from mixpanel_mcp.api.windows import Made
from mixpanel_mcp.replicas.link import CHANNEL, NAMESPACE, AwayError, Client, Event, Link
from mixpanel_mcp.replicas.scripts import TAKE

_KEPT_SECONDS = DAY + 60
_LEARNED_SECONDS = 3600
# Renewed with each heartbeat: a dead replica's calls hold their places no longer than that.
_PLACE_SECONDS = 15
# Calls of others that ran when Redis went away may run as long.
_LONGEST_CALL = 30.0
# A copy this old is renewed before it refuses anything.
_FRESH_SECONDS = 1.0

_LEDGERS = f"{NAMESPACE}:ledgers"
_OUTCOMES = {b"taken": Count.TAKEN, b"full": Count.WINDOW_FULL, b"busy": Count.TOO_MANY_AT_ONCE}


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
        super().__init__(link.clock)
        self._link = link
        self._script = link.script(TAKE)
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
        return not self._link.is_shared

    def allowed(self, counted: Counted, bound: Bound) -> int:
        if not self.is_cautious:
            return bound.limit
        replicas = max(1, self._link.replicas)
        since, begin = self._link.left_at or self.clock(), self.clock() - bound.seconds
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
        if stale and self._link.is_shared:
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
                self._taken_back |= {(each, _member(counting)) for each in counting.counted}
        except asyncio.CancelledError:
            self._link.start(self.give_back(counting))
            raise
        if count is Count.TAKEN:
            self._running[counting.name] = counting
        return count

    async def give_back(self, counting: Counting) -> None:
        await super().give_back(counting)
        removed = [(each, _member(counting)) for each in counting.counted]

        async def remove(redis: Client) -> None:
            async with redis.pipeline(transaction=False) as pipeline:
                for each, member in removed:
                    pipeline.zrem(_calls(each), member)
                    pipeline.zrem(_places(each), member)
                await pipeline.execute()

        try:
            await self._link.run(remove)
        except AwayError:
            self._taken_back |= set(removed)
            return
        for each in counting.counted:
            await self._link.publish("back", ledger=_name(each), name=counting.name)

    async def ended(self, counting: Counting) -> None:
        self._running.pop(counting.name, None)
        limited = [each for each in counting.counted if RULES[each.allowance].at_once]
        if not limited:
            return

        async def leave(redis: Client) -> None:
            async with redis.pipeline(transaction=False) as pipeline:
                for each in limited:
                    pipeline.zrem(_places(each), _member(counting))
                await pipeline.execute()

        try:
            await self._link.run(leave)
        except AwayError:
            return  # the place is given up soon, as nobody holds it any more

    async def learn(self, project: str, learned: Learned) -> None:
        await super().learn(project, learned)
        text = json.dumps(_written(learned))
        try:
            await self._link.run(
                lambda redis: redis.set(_learned(project), text, ex=_LEARNED_SECONDS)
            )
        except AwayError:
            return
        await self._link.publish("learned", project=project, learned=_written(learned))

    async def _take_cautiously(self, counting: Counting) -> Count:
        if (count := self._fits(counting)) is not Count.TAKEN:
            return count
        self.add(counting)
        self._running[counting.name] = counting
        if not self._link.is_there:
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
            if at_once and running >= max(1, at_once // max(1, self._link.replicas)):
                return Count.TOO_MANY_AT_ONCE
            if at_once and running + self._others_running(counted) >= at_once:
                return Count.TOO_MANY_AT_ONCE
        return Count.TAKEN

    def _others_running(self, counted: Counted) -> int:
        seen, left_at = self._seen.get(counted), self._link.left_at
        if seen is None or left_at is None or self.clock() - left_at > _LONGEST_CALL:
            return 0
        return seen.running

    async def _take_in_redis(self, counting: Counting) -> Count:
        generation = self._link.generation
        wanted = [
            {
                "name": _name(each),
                "bounds": [
                    [
                        bound.limit if bound.caller else bound.limit - self.used_by_others(each),
                        bound.seconds,
                        bound.caller is not None,
                    ]
                    for bound in bounds
                ],
                "at_once": RULES[each.allowance].at_once or 0,
            }
            for each, bounds in zip(counting.counted, counting.bounds, strict=True)
        ]
        keys = [f"{NAMESPACE}:generation", _LEDGERS]
        keys += [key for each in counting.counted for key in (_calls(each), _places(each))]
        arguments = [
            generation,
            _member(counting),
            counting.caller,
            self._link.replica,
            _PLACE_SECONDS,
            _KEPT_SECONDS,
            CHANNEL,
            json.dumps(wanted),
        ]
        answer: list[Any] = await self._link.run(
            lambda redis: self._script(keys=keys, args=arguments, client=redis)
        )
        if answer[0] == b"generation":
            self._link.forgot()
            raise AwayError
        self._link.set_clock(float(answer[1]))
        for index, each in enumerate(counting.counted):
            calls, running = answer[2 + 2 * index], int(answer[3 + 2 * index])
            elsewhere = running - sum(each in own.counted for own in self._running.values())
            self._copy(each, _read(calls), _Seen(float(answer[1]), max(0, elsewhere)))
        outcome = _OUTCOMES[answer[0]]
        if outcome is Count.TAKEN:
            self.add(counting)  # where an answer overtook this one
        return outcome

    def _copy(self, counted: Counted, calls: Iterable[Made], seen: _Seen) -> None:
        """Take Redis' word where it is believed; else add what it knows to what is known here."""
        before = self._seen.get(counted)
        if before is not None and before.moment > seen.moment:
            return
        self._seen[counted] = seen
        if self._link.is_shared:
            self.made.replace(counted, calls)
        else:
            for made in calls:
                if (counted, f"{made.name}|{made.caller}") not in self._taken_back:
                    self.made.add(counted, made)

    def _refuses(self, counted: Counted) -> bool:
        bounds = self.bounds(counted, None)
        return any(self.used(counted, bound) >= bound.limit for bound in bounds)

    def _is_stale(self, counted: Counted) -> bool:
        seen = self._seen.get(counted)
        return seen is None or self.clock() - seen.moment > _FRESH_SECONDS

    async def _load(self, counted: Sequence[Counted]) -> None:
        async def read(redis: Client) -> list[Any]:
            async with redis.pipeline(transaction=False) as pipeline:
                pipeline.time()
                for each in counted:
                    pipeline.zrange(_calls(each), 0, -1, withscores=True)
                    pipeline.get(_learned(each.project))
                return await pipeline.execute()

        answer = await self._link.run(read)
        seconds, microseconds = answer[0]
        now = seconds + microseconds / 1e6
        for index, each in enumerate(counted):
            calls, learned = answer[1 + 2 * index], answer[2 + 2 * index]
            made = [_made(member, float(moment)) for member, moment in calls]
            self._copy(each, made, _Seen(now, self._others_seen(each)))
            if learned is not None:
                self.learned[each.project] = _learned_from(json.loads(learned))

    def _others_seen(self, counted: Counted) -> int:
        seen = self._seen.get(counted)
        return seen.running if seen else 0

    async def _tell(self) -> None:
        """Tell Redis all that is known here; what it knows already stays as it is."""
        known = [each for each in self.made.keys() if isinstance(each, Counted)]  # noqa: SIM118
        taken_back, learned = set(self._taken_back), dict(self.learned)

        async def write(redis: Client) -> None:
            async with redis.pipeline(transaction=False) as pipeline:
                for each in known:
                    moments = {f"{m.name}|{m.caller}": m.moment for m in self.made.all(each)}
                    if not moments:
                        continue
                    pipeline.zadd(_calls(each), moments, nx=True)
                    pipeline.expire(_calls(each), _KEPT_SECONDS)
                    latest = max(moments.values())
                    pipeline.zadd(_LEDGERS, {_name(each): latest}, gt=True)
                    pipeline.expire(_LEDGERS, _KEPT_SECONDS)
                for each, member in taken_back:
                    pipeline.zrem(_calls(each), member)
                for project, what in learned.items():
                    text = json.dumps(_written(what))
                    pipeline.set(_learned(project), text, ex=_LEARNED_SECONDS, nx=True)
                await pipeline.execute()

        await self._link.run(write)
        self._taken_back -= taken_back
        names = await self._link.run(lambda redis: redis.zrange(_LEDGERS, 0, -1))
        await self._load([_counted(name.decode()) for name in names])

    async def _hold_places(self) -> None:
        """Go on holding the places of the calls that run; forget names of long ago."""
        until = self.clock() + _PLACE_SECONDS
        held = [
            (each, counting)
            for counting in self._running.values()
            for each in counting.counted
            if RULES[each.allowance].at_once
        ]
        known = {made.name for key in self.made.keys() for made in self.made.all(key)}  # noqa: SIM118
        self._own &= known | set(self._running)
        if not held:
            return

        async def renew(redis: Client) -> None:
            async with redis.pipeline(transaction=False) as pipeline:
                for each, counting in held:
                    pipeline.zadd(_places(each), {_member(counting): until}, xx=True)
                await pipeline.execute()

        await self._link.run(renew)

    async def _heard_of_call(self, event: Event) -> None:
        counted = _counted(event["ledger"])
        self.made.add(counted, _made(event["member"].encode(), float(event["moment"])))

    async def _heard_back(self, event: Event) -> None:
        self.made.take_back(_counted(event["ledger"]), event["name"])

    async def _heard_of_limit(self, event: Event) -> None:
        self.learned[event["project"]] = _learned_from(event["learned"])


def _name(counted: Counted) -> str:
    return f"{counted.allowance.name}:{counted.project}"


def _counted(name: str) -> Counted:
    allowance, _, project = name.partition(":")
    return Counted(project, Allowance[allowance])


def _calls(counted: Counted) -> str:
    return f"{NAMESPACE}:calls:{_name(counted)}"


def _places(counted: Counted) -> str:
    return f"{NAMESPACE}:places:{_name(counted)}"


def _learned(project: str) -> str:
    return f"{NAMESPACE}:learned:{project}"


def _member(counting: Counting) -> str:
    return f"{counting.name}|{counting.caller}"


def _made(member: bytes, moment: float) -> Made:
    name, _, caller = member.decode().partition("|")
    return Made(moment, name, caller)


def _read(flat: Sequence[bytes]) -> list[Made]:
    return [_made(flat[index], float(flat[index + 1])) for index in range(0, len(flat), 2)]


def _written(learned: Learned) -> dict[str, Any]:
    others = learned.others
    return {
        "others": [others.calls, others.seen] if others else None,
        "hourly_queries": learned.hourly_queries,
        "not_before": {each.name: until for each, until in learned.not_before.items()},
    }


def _learned_from(fields: dict[str, Any]) -> Learned:
    others = fields["others"]
    return Learned(
        others=Others(*others) if others else None,
        hourly_queries=fields["hourly_queries"],
        not_before={Allowance[name]: until for name, until in fields["not_before"].items()},
    )
