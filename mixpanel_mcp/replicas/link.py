"""The way to Redis: a circuit that opens when it is away, and a heartbeat that closes it."""

import asyncio
import logging
import secrets
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

from mixpanel_mcp.replicas.belief import Belief
from mixpanel_mcp.replicas.client import FAILURES, PATIENCE, Command, asked, client_of
from mixpanel_mcp.replicas.events import Events, Handler
from mixpanel_mcp.replicas.keys import CHANNEL, GENERATION, REPLICAS
from mixpanel_mcp.replicas.reasons import reason
from mixpanel_mcp.replicas.scripts import BEAT

_log = logging.getLogger(__name__)

_BEAT_SECONDS = 1.0
_ALIVE_SECONDS = 10.0

Work = Callable[[], Awaitable[None]]


class AwayError(Exception):
    """Redis did not answer, or not in time; what was asked may have happened."""


class Link:
    """One replica's connection to what all of them share."""

    def __init__(self, url: str) -> None:
        """Connect to nothing yet.

        Raises:
            ValueError: the URL cannot be read.
        """
        self.replica = secrets.token_hex(8)
        self.belief = Belief()
        self._redis = client_of(url)
        self._events = Events(url, self.replica, lambda: not self.belief.is_there)
        self._beat = self._redis.register_script(BEAT)
        self._tasks: set[asyncio.Task[Any]] = set()
        self._returning: list[Work] = []
        self._beating: list[Work] = []
        self._trusting: list[Callable[[], None]] = []

    def script(self, text: str) -> Any:
        return self._redis.register_script(text)

    def when_back(self, tell: Work) -> None:
        """Call this each time Redis has to be told what it may not know."""
        self._returning.append(tell)

    def each_beat(self, work: Work) -> None:
        self._beating.append(work)

    def when_shared(self, note: Callable[[], None]) -> None:
        """Call this when Redis is believed again: events may have been missed."""
        self._trusting.append(note)

    def on(self, kind: str, handler: Handler) -> None:
        """Call this for every event of a kind; those of this replica are left out."""
        self._events.on(kind, handler)

    async def run(self, command: Command) -> Any:
        """Ask Redis; it has to be safe to ask twice.

        Raises:
            AwayError: it was away before, or is now.
        """
        if not self.belief.is_there:
            raise AwayError
        return await self._asked(command)

    async def publish(self, kind: str, **fields: Any) -> None:
        """Tell the other replicas, as far as they can be told."""
        event = self._events.written(kind, fields)
        try:
            await self.run(lambda redis: redis.publish(CHANNEL, event))
        except AwayError:
            _log.debug("an event of kind %s reached nobody", kind)

    def start(self, work: Coroutine[Any, Any, None]) -> None:
        """Do something that nobody waits for."""
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    async def open(self) -> None:
        """Look for Redis once, and go on looking."""
        self.start(self._events.listen())
        await self._events.begun()
        await self._beat_once()
        if not self.belief.is_there:
            self.belief.was_never_there()
        self.start(self._beat_on())

    async def close(self) -> None:
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if self.belief.is_there:
            try:
                async with asyncio.timeout(PATIENCE):
                    await self._redis.zrem(REPLICAS, self.replica)
            except FAILURES:
                _log.debug("could not take leave of Redis")
        await self._redis.aclose()
        await self._events.close()

    async def _asked(self, command: Command) -> Any:
        try:
            return await asked(self._redis, command)
        except FAILURES as error:
            self.belief.lost(reason(error))
            raise AwayError from error

    async def _beat_on(self) -> None:
        while True:
            await asyncio.sleep(_BEAT_SECONDS)
            await self._beat_once()
            if self.belief.is_shared:
                for work in self._beating:
                    await self._unless_away(work)

    async def _beat_once(self) -> None:
        """Say that this replica is alive, and learn whether Redis is what it was."""
        belief = self.belief
        if not self._events.are_heard:
            # Whoever hears of nothing may not believe what it knows.
            belief.doubt("tells no news")
        keys = [GENERATION, REPLICAS]
        arguments = [self.replica, _ALIVE_SECONDS, secrets.token_hex(4), CHANNEL]
        was_away = not belief.is_there
        try:
            answer = await self._asked(
                lambda redis: self._beat(keys=keys, args=arguments, client=redis)
            )
        except AwayError:
            return
        generation, now, replicas = answer[0].decode(), float(answer[1]), int(answer[2])
        belief.set_clock(now)
        if was_away or generation != belief.generation:
            belief.settle(replicas)
            if await self._tell():
                belief.told(generation, was_away=was_away)
                self._trust_if_settled(belief.replicas)
        elif belief.is_shared:
            belief.replicas = replicas
        elif belief.is_settled and await self._tell():
            # Told once more, and with it what others told meanwhile is read.
            self._trust_if_settled(replicas)

    async def _tell(self) -> bool:
        for tell in self._returning:
            if not await self._unless_away(tell):
                return False
        return True

    def _trust_if_settled(self, replicas: int) -> None:
        if self._events.are_heard and self.belief.is_settled:
            self.belief.trust(replicas)
            for note in self._trusting:
                note()

    async def _unless_away(self, work: Work) -> bool:
        try:
            await work()
        except AwayError:
            return False
        return True

    def _ended(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()):
            _log.error("work in the background failed", exc_info=error)
