"""The calls that Redis counts: what it is asked and told of them, and nothing decided here."""

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from mixpanel_mcp.api.allowances import DAY, RULES
from mixpanel_mcp.api.ledger import Bound, Count, Counted, Counting, Learned
from mixpanel_mcp.api.windows import Made
from mixpanel_mcp.replicas.client import Client
from mixpanel_mcp.replicas.keys import CHANNEL, GENERATION
from mixpanel_mcp.replicas.ledger_entries import (
    LEDGERS,
    all_made,
    calls_key,
    counted_of,
    learned_key,
    learned_of,
    made_of,
    member_of,
    moments_of,
    name_of,
    places_key,
    text_of,
)
from mixpanel_mcp.replicas.link import AwayError, Link
from mixpanel_mcp.replicas.scripts import TAKE

_KEPT_SECONDS = DAY + 60
_LEARNED_SECONDS = 3600
# Renewed with each heartbeat: a dead replica's calls hold their places no longer than that.
_PLACE_SECONDS = 15

_OUTCOMES = {b"taken": Count.TAKEN, b"full": Count.WINDOW_FULL, b"busy": Count.TOO_MANY_AT_ONCE}


class Kept(NamedTuple):
    """What Redis knows of a ledger."""

    moment: float
    calls: list[Made]
    running: int = 0
    """At once, over all replicas."""


class LedgerInRedis:
    """All methods raise `AwayError` where Redis is away; all are safe to repeat."""

    def __init__(self, link: Link) -> None:
        self._link = link
        self._take = link.script(TAKE)

    async def take(
        self, counting: Counting, bounds: Sequence[Sequence[Bound]]
    ) -> tuple[Count, list[Kept]]:
        """Count a call in one step, and read all that it is counted with.

        Args:
            counting: the call.
            bounds: what has to have room, for each that it is counted under.
        """
        wanted = [
            {
                "name": name_of(each),
                "bounds": [
                    [bound.limit, bound.seconds, bound.caller is not None] for bound in among
                ],
                "at_once": RULES[each.allowance].at_once or 0,
            }
            for each, among in zip(counting.counted, bounds, strict=True)
        ]
        keys = [GENERATION, LEDGERS]
        keys += [key for each in counting.counted for key in (calls_key(each), places_key(each))]
        arguments = [
            self._link.belief.generation,
            member_of(counting),
            counting.caller,
            self._link.replica,
            _PLACE_SECONDS,
            _KEPT_SECONDS,
            CHANNEL,
            json.dumps(wanted),
        ]
        answer: list[Any] = await self._link.run(
            lambda redis: self._take(keys=keys, args=arguments, client=redis)
        )
        if answer[0] == b"generation":
            self._link.belief.forgot()
            raise AwayError
        moment = float(answer[1])
        kept = [
            Kept(moment, all_made(calls), int(running))
            for calls, running in zip(answer[2::2], answer[3::2], strict=True)
        ]
        return _OUTCOMES[answer[0]], kept

    async def remove(self, calls: Iterable[tuple[Counted, str]]) -> None:
        """Let go of members that were never sent."""

        async def remove(redis: Client) -> None:
            async with redis.pipeline(transaction=False) as pipeline:
                for each, member in calls:
                    pipeline.zrem(calls_key(each), member)
                    pipeline.zrem(places_key(each), member)
                await pipeline.execute()

        await self._link.run(remove)

    async def leave(self, counted: Sequence[Counted], counting: Counting) -> None:
        """Give up the places of a call that ended."""

        async def leave(redis: Client) -> None:
            async with redis.pipeline(transaction=False) as pipeline:
                for each in counted:
                    pipeline.zrem(places_key(each), member_of(counting))
                await pipeline.execute()

        await self._link.run(leave)

    async def hold(self, held: Sequence[tuple[Counted, Counting]]) -> None:
        """Go on holding the places of calls that run."""
        until = self._link.belief.clock() + _PLACE_SECONDS

        async def renew(redis: Client) -> None:
            async with redis.pipeline(transaction=False) as pipeline:
                for each, counting in held:
                    pipeline.zadd(places_key(each), {member_of(counting): until}, xx=True)
                await pipeline.execute()

        await self._link.run(renew)

    async def load(self, counted: Sequence[Counted]) -> list[tuple[Kept, Learned | None]]:
        """Read ledgers, but not who runs; and what 429s taught about their projects."""

        async def read(redis: Client) -> list[Any]:
            async with redis.pipeline(transaction=False) as pipeline:
                pipeline.time()
                for each in counted:
                    pipeline.zrange(calls_key(each), 0, -1, withscores=True)
                    pipeline.get(learned_key(each.project))
                return await pipeline.execute()

        (seconds, microseconds), *answer = await self._link.run(read)
        now = seconds + microseconds / 1e6
        return [
            (
                Kept(now, [made_of(member, float(moment)) for member, moment in calls]),
                None if learned is None else learned_of(json.loads(learned)),
            )
            for calls, learned in zip(answer[::2], answer[1::2], strict=True)
        ]

    async def counted(self) -> list[Counted]:
        """Every ledger that any replica told of."""
        names = await self._link.run(lambda redis: redis.zrange(LEDGERS, 0, -1))
        return [counted_of(name.decode()) for name in names]

    async def learn(self, project: str, learned: Learned) -> None:
        text = text_of(learned)
        await self._link.run(
            lambda redis: redis.set(learned_key(project), text, ex=_LEARNED_SECONDS)
        )

    async def tell(
        self,
        made: Mapping[Counted, Sequence[Made]],
        taken_back: Iterable[tuple[Counted, str]],
        learned: Mapping[str, Learned],
    ) -> None:
        """Add what it may not know; what it knows already stays as it is."""

        async def write(redis: Client) -> None:
            async with redis.pipeline(transaction=False) as pipeline:
                for each, calls in made.items():
                    if not calls:
                        continue
                    pipeline.zadd(calls_key(each), moments_of(calls), nx=True)
                    pipeline.expire(calls_key(each), _KEPT_SECONDS)
                    latest = max(call.moment for call in calls)
                    pipeline.zadd(LEDGERS, {name_of(each): latest}, gt=True)
                    pipeline.expire(LEDGERS, _KEPT_SECONDS)
                for each, member in taken_back:
                    pipeline.zrem(calls_key(each), member)
                for project, what in learned.items():
                    key = learned_key(project)
                    pipeline.set(key, text_of(what), ex=_LEARNED_SECONDS, nx=True)
                await pipeline.execute()

        await self._link.run(write)
