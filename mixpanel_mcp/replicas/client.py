"""One way to ask Redis: with a short patience, and once more where a connection broke."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any

from redis.asyncio import Redis
from redis.exceptions import RedisError
from redis.exceptions import TimeoutError as RedisTimeoutError

PATIENCE = 0.5
FAILURES = (RedisError, OSError, TimeoutError)

# The client's releases differ in how they type its commands, where they type them at all.
Client = Any
Command = Callable[[Client], Awaitable[Any]]


def client_of(url: str) -> Client:
    """A client that neither retries nor times out: whoever asks does, and knows when.

    Raises:
        ValueError: the URL cannot be read, or names an option that there is not.
    """
    client: Client = Redis.from_url(  # pyright: ignore[reportUnknownMemberType]
        url, socket_timeout=None, socket_connect_timeout=PATIENCE, retry=None
    )
    pool = client.connection_pool
    try:
        # Connects to nothing; else the first connection would find a misspelt option.
        pool.connection_class(**pool.connection_kwargs)
    except (TypeError, RedisError) as error:
        raise ValueError(*error.args) from error
    return client


async def asked(client: Client, command: Command) -> Any:
    """Ask; it has to be safe to ask twice.

    Raises:
        RedisError, OSError, TimeoutError: it did not do it, or not in time, and may yet do it.
    """
    begun = time.monotonic()
    try:
        return await _once(client, command)
    except FAILURES as error:
        slow = isinstance(error, (TimeoutError, RedisTimeoutError))
        if slow and time.monotonic() - begun < 1.5 * PATIENCE:
            raise
        # A connection that a restart broke; or it was this process that was late.
        return await _once(client, command)


async def _once(client: Client, command: Command) -> Any:
    async with asyncio.timeout(PATIENCE):
        return await command(client)
