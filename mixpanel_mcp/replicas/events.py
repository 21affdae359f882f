"""What replicas tell each other, as messages through Redis."""

import asyncio
import json
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

from mixpanel_mcp.replicas.client import FAILURES, PATIENCE, client_of
from mixpanel_mcp.replicas.keys import CHANNEL

_LOOK_SECONDS = 1.0
# Heartbeats are events too: without any for so long, a subscription is dead.
_SILENCE_SECONDS = 5.0

Event = dict[str, Any]
Handler = Callable[[Event], Awaitable[None]]


class Events:
    """One replica's subscription, on a connection of its own."""

    def __init__(self, url: str, replica: str, is_quiet: Callable[[], bool]) -> None:
        """Listen to nothing yet.

        Args:
            url: of Redis.
            replica: whose own events are left out.
            is_quiet: whether silence means nothing at the moment, as nobody can tell anything.

        Raises:
            ValueError: the URL cannot be read.
        """
        self.are_heard = False
        """Whether whatever others tell arrives here."""
        self._redis = client_of(url)
        self._replica = replica
        self._is_quiet = is_quiet
        self._begun = asyncio.Event()
        self._handlers: dict[str, list[Handler]] = {}

    def on(self, kind: str, handler: Handler) -> None:
        """Call this for every event of a kind; those of this replica are left out."""
        self._handlers.setdefault(kind, []).append(handler)

    def written(self, kind: str, fields: dict[str, Any]) -> str:
        return json.dumps({"kind": kind, "from": self._replica, **fields})

    async def begun(self) -> None:
        """Wait for the first subscription, but not for long."""
        with suppress(TimeoutError):
            async with asyncio.timeout(PATIENCE):
                await self._begun.wait()

    async def listen(self) -> None:
        """Listen for good, over however many connections."""
        while True:
            try:
                async with self._redis.pubsub(ignore_subscribe_messages=True) as events:
                    async with asyncio.timeout(PATIENCE):
                        await events.subscribe(CHANNEL)
                    self.are_heard = True
                    self._begun.set()
                    await self._hear(events)
            except FAILURES:
                self.are_heard = False
            await asyncio.sleep(_LOOK_SECONDS / 2)

    async def close(self) -> None:
        await self._redis.aclose()

    async def _hear(self, events: Any) -> None:
        heard = time.monotonic()
        while time.monotonic() - heard < _SILENCE_SECONDS or self._is_quiet():
            message = await events.get_message(timeout=_LOOK_SECONDS)
            if message is None:
                continue
            heard = time.monotonic()
            event = json.loads(message["data"])
            if event.get("from") != self._replica:
                for handler in self._handlers.get(event["kind"], ()):
                    await handler(event)
        self.are_heard = False
