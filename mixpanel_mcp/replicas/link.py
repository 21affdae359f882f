"""The way to Redis: a short patience, a circuit, and a heartbeat that finds the way back."""

import asyncio
import json
import logging
import secrets
import time
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import suppress
from enum import Enum, auto
from typing import Any

from redis.asyncio import Redis
from redis.exceptions import RedisError
from redis.exceptions import TimeoutError as RedisTimeoutError

from mixpanel_mcp.replicas.scripts import BEAT

_log = logging.getLogger(__name__)

NAMESPACE = "mixpanel-mcp"
CHANNEL = f"{NAMESPACE}:events"

_PATIENCE = 0.5
_BEAT_SECONDS = 1.0
_ALIVE_SECONDS = 10.0
# Longer than every replica needs to notice that Redis is back, and to tell it what it counted.
_SETTLE_SECONDS = 3.0
# Heartbeats are events too: without any for so long, a subscription is dead.
_SILENCE_SECONDS = 5.0
# Whoever never met Redis does not know how many others there are.
_UNKNOWN_REPLICAS = 4

Event = dict[str, Any]
# The client's releases differ in how they type its commands, where they type them at all.
Client = Any
Command = Callable[[Client], Awaitable[Any]]


class AwayError(Exception):
    """Redis did not answer, or not in time; what was asked may have happened."""


class State(Enum):
    """How far Redis is to be believed."""

    AWAY = auto()
    SETTLING = auto()
    """It answers, and is being told what was counted without it."""
    SHARED = auto()


class Link:
    """One replica's connection to what all of them share."""

    def __init__(self, url: str) -> None:
        self.replica = secrets.token_hex(8)
        self.state = State.AWAY
        self.replicas = _UNKNOWN_REPLICAS
        self.generation = ""
        self.left_at: float | None = None
        """When Redis was last believed, by the shared clock."""
        self._redis = _client(url)
        self._listening = _client(url)
        self._beat = self._redis.register_script(BEAT)
        self._offset = time.time() - time.monotonic()
        self._trusted_from = 0.0
        self._listens = False
        self._was_told = False
        self._why = "no answer"
        self._tasks: set[asyncio.Task[Any]] = set()
        self._returning: list[Callable[[], Awaitable[None]]] = []
        self._beating: list[Callable[[], Awaitable[None]]] = []
        self._trusting: list[Callable[[], None]] = []
        self._handlers: dict[str, list[Callable[[Event], Awaitable[None]]]] = {}

    @property
    def is_shared(self) -> bool:
        """Whether Redis knows everything."""
        return self.state is State.SHARED

    @property
    def is_there(self) -> bool:
        return self.state is not State.AWAY

    def clock(self) -> float:
        """Redis' time, as far as it is known."""
        return time.monotonic() + self._offset

    def set_clock(self, now: float) -> None:
        self._offset = now - time.monotonic()

    def script(self, text: str) -> Any:
        return self._redis.register_script(text)

    def when_back(self, tell: Callable[[], Awaitable[None]]) -> None:
        """Call this each time Redis has to be told what it may not know."""
        self._returning.append(tell)

    def each_beat(self, work: Callable[[], Awaitable[None]]) -> None:
        self._beating.append(work)

    def when_shared(self, note: Callable[[], None]) -> None:
        """Call this when Redis is believed again: events may have been missed."""
        self._trusting.append(note)

    def on(self, kind: str, handler: Callable[[Event], Awaitable[None]]) -> None:
        """Call this for every event of a kind; those of this replica are left out."""
        self._handlers.setdefault(kind, []).append(handler)

    async def run(self, command: Command) -> Any:
        """Ask Redis; it has to be safe to ask twice.

        Raises:
            AwayError: it was away before, or is now.
        """
        if self.state is State.AWAY:
            raise AwayError
        return await self._asked(command)

    async def publish(self, kind: str, **fields: Any) -> None:
        """Tell the other replicas, as far as they can be told."""
        event = json.dumps({"kind": kind, "from": self.replica, **fields})
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
        listening = asyncio.Event()
        self.start(self._listen(listening))
        with suppress(TimeoutError):
            async with asyncio.timeout(_PATIENCE):
                await listening.wait()
        await self._beat_once()
        if self.state is State.AWAY:
            self._say(f"cannot be reached ({self._why})")
        self.start(self._beat_on())

    async def close(self) -> None:
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if self.state is not State.AWAY:
            try:
                async with asyncio.timeout(_PATIENCE):
                    await self._redis.zrem(f"{NAMESPACE}:replicas", self.replica)
            except (RedisError, OSError, TimeoutError):
                _log.debug("could not take leave of Redis")
        await self._redis.aclose()
        await self._listening.aclose()

    def doubt(self, why: str) -> None:
        """Believe Redis no longer until all have told it what they know."""
        if self.state is State.AWAY:
            return
        if self.state is State.SHARED:
            self.left_at = self.clock()
            self._say(why)
        self.state = State.SETTLING
        self._trusted_from = self.clock() + _SETTLE_SECONDS

    def forgot(self) -> None:
        """Redis is none that was told anything: the next heartbeat does it."""
        self.doubt("lost its memory")
        self.generation = ""

    async def _asked(self, command: Command) -> Any:
        begun = time.monotonic()
        try:
            try:
                return await self._once(command)
            except (RedisError, OSError, TimeoutError) as error:
                slow = isinstance(error, (TimeoutError, RedisTimeoutError))
                if slow and time.monotonic() - begun < 1.5 * _PATIENCE:
                    raise
                # A connection that a restart broke; or it was this process that was late.
                return await self._once(command)
        except (RedisError, OSError, TimeoutError) as error:
            self._lost(error)
            raise AwayError from error

    async def _once(self, command: Command) -> Any:
        async with asyncio.timeout(_PATIENCE):
            return await command(self._redis)

    def _lost(self, error: BaseException) -> None:
        self._why = type(error).__name__
        if self.state is State.AWAY:
            return
        if self.state is State.SHARED:
            self.left_at = self.clock()
        self.state = State.AWAY
        self._say(f"is away ({self._why})")

    def _say(self, why: str) -> None:
        """Say it once, until Redis is believed again."""
        if not self._was_told:
            _log.warning("Redis %s: this server counts cautiously, for itself", why)
        self._was_told = True

    async def _beat_on(self) -> None:
        while True:
            await asyncio.sleep(_BEAT_SECONDS)
            await self._beat_once()
            if self.state is State.SHARED:
                for work in self._beating:
                    await self._unless_away(work)

    async def _beat_once(self) -> None:
        """Say that this replica is alive, and learn whether Redis is what it was."""
        if not self._listens:
            # Whoever hears of nothing may not believe what it knows.
            self.doubt("tells no news")
        keys = [f"{NAMESPACE}:generation", f"{NAMESPACE}:replicas"]
        arguments = [self.replica, _ALIVE_SECONDS, secrets.token_hex(4), CHANNEL]
        was_away = self.state is State.AWAY
        try:
            generation, now, replicas = await self._asked(
                lambda redis: self._beat(keys=keys, args=arguments, client=redis)
            )
        except AwayError:
            return
        self.set_clock(float(now))
        if was_away or generation.decode() != self.generation:
            self.replicas = max(self._replicas_known, int(replicas))
            await self._returned(generation.decode(), was_away=was_away)
        elif self.state is State.SHARED:
            self.replicas = int(replicas)
        elif self.clock() >= self._trusted_from and await self._tell():
            # Told once more, and with it what others told meanwhile is read.
            self._trust(int(replicas))

    @property
    def _replicas_known(self) -> int:
        """How many there were when Redis was last believed."""
        ever = self.left_at is not None or self.state is State.SHARED
        return self.replicas if ever else 1

    async def _returned(self, generation: str, *, was_away: bool) -> None:
        """Tell Redis what it may not know, before it is believed."""
        self.doubt("lost its memory")
        self.state = State.SETTLING
        if not await self._tell():
            return
        self.generation = generation
        began = float(generation.split(":")[1])
        self._trusted_from = began + _SETTLE_SECONDS
        if was_away and self.left_at is not None:
            self._trusted_from = self.clock() + _SETTLE_SECONDS
        if self._listens and self.clock() >= self._trusted_from:
            self._trust(self.replicas)

    async def _tell(self) -> bool:
        for tell in self._returning:
            if not await self._unless_away(tell):
                return False
        return True

    def _trust(self, replicas: int) -> None:
        if not self._listens:
            return
        self.state = State.SHARED
        self.replicas = replicas
        if self._was_told:
            _log.warning("Redis is believed again: what replicas count is shared")
            self._was_told = False
        for note in self._trusting:
            note()

    async def _unless_away(self, work: Callable[[], Awaitable[None]]) -> bool:
        try:
            await work()
        except AwayError:
            return False
        return True

    async def _listen(self, listening: asyncio.Event) -> None:
        while True:
            try:
                async with self._listening.pubsub(ignore_subscribe_messages=True) as events:
                    async with asyncio.timeout(_PATIENCE):
                        await events.subscribe(CHANNEL)
                    self._listens = True
                    listening.set()
                    await self._hear(events)
            except (RedisError, OSError, TimeoutError):
                self._listens = False
            await asyncio.sleep(_BEAT_SECONDS / 2)

    async def _hear(self, events: Any) -> None:
        heard = time.monotonic()
        while time.monotonic() - heard < _SILENCE_SECONDS or self.state is State.AWAY:
            message = await events.get_message(timeout=_BEAT_SECONDS)
            if message is None:
                continue
            heard = time.monotonic()
            event = json.loads(message["data"])
            if event.get("from") != self.replica:
                for handler in self._handlers.get(event["kind"], ()):
                    await handler(event)
        self._listens = False

    def _ended(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()):
            _log.error("work in the background failed", exc_info=error)


def _client(url: str) -> Client:
    """A client that neither retries nor times out: the link does, and knows when."""
    return Redis.from_url(  # pyright: ignore[reportUnknownMemberType]
        url, socket_timeout=None, socket_connect_timeout=_PATIENCE, retry=None
    )
