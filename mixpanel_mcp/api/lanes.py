"""Connections to Mixpanel, of which each request has one to itself."""

from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager

import anyio
import httpx


class Lanes:
    """Clients with one connection each.

    A pool of many looks through all of them whenever a request begins or ends, and asks the system
    about each that is idle: at twenty connections that costs more than the request itself.
    """

    def __init__(self, open_client: Callable[[], httpx.AsyncClient], most: int) -> None:
        """Open the first lane; others follow when it is taken.

        Args:
            open_client: makes a client, whose connection is made at its first request.
            most: how many requests may be under way.
        """
        self._open_client = open_client
        # The one used last is taken first: the other side has most likely kept it.
        self._idle = [open_client()]
        self._opened = list(self._idle)
        self._places = anyio.Semaphore(most)

    @asynccontextmanager
    async def taken(self, patience_seconds: float) -> AsyncGenerator[httpx.AsyncClient]:
        """A lane for one request.

        Raises:
            httpx.PoolTimeout: none was free in time.
        """
        await self._wait(patience_seconds)
        try:
            client = self._idle.pop() if self._idle else self._another()
            try:
                yield client
            finally:
                self._idle.append(client)
        finally:
            self._places.release()

    async def close(self) -> None:
        for client in self._opened:
            await client.aclose()

    async def _wait(self, seconds: float) -> None:
        try:
            self._places.acquire_nowait()
        except anyio.WouldBlock:
            with anyio.move_on_after(seconds):
                await self._places.acquire()
                return
            raise httpx.PoolTimeout("no connection became free in time") from None

    def _another(self) -> httpx.AsyncClient:
        client = self._open_client()
        self._opened.append(client)
        return client
