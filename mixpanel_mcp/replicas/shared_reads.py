"""Read results kept in Redis, and equal reads of several replicas sent once."""

import asyncio
import hashlib
import json
import secrets
import zlib
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager, suppress
from typing import NamedTuple

from mixpanel_mcp import __version__
from mixpanel_mcp.api.activity import Wait, waiting_for
from mixpanel_mcp.api.cache import LARGEST_REPLY, MOST_BYTES, Answered, Send
from mixpanel_mcp.api.replies import Reply
from mixpanel_mcp.api.request import Request
from mixpanel_mcp.replicas.client import Client
from mixpanel_mcp.replicas.events import Event
from mixpanel_mcp.replicas.keys import NAMESPACE
from mixpanel_mcp.replicas.link import AwayError, Link
from mixpanel_mcp.replicas.scripts import KEEP, RELEASE, RENEW

# A dead replica's reads are sent by another after at most this.
_LOCK_SECONDS = 4.0
_RENEW_SECONDS = 1.0
_LOOK_SECONDS = 0.05
_LONGEST_LOOK_SECONDS = 0.4
# What may not be kept is still an answer for those who asked meanwhile.
_PASSED_ON_SECONDS = 5.0
_EPOCH_SECONDS = 86_400
_WORTH_PACKING = 2048


class _Keys(NamedTuple):
    """Where a read's reply, its connection's epoch, and the list of what its scope keeps are."""

    reply: str
    epoch: str
    kept: str

    def lock(self, epoch: str) -> str:
        return f"{self.reply}:lock:{epoch}"

    def passed_on(self, holder: str) -> str:
        return f"{self.reply}:answer:{holder}"


class Epochs:
    """When something was last written through a connection; told to all replicas."""

    def __init__(self, link: Link, connection: str, forget_reads: Callable[[], None]) -> None:
        """Tell of writes, and be told.

        Args:
            link: the way to Redis.
            connection: the digest of what makes a connection the same on all replicas.
            forget_reads: drops what was read here before a write elsewhere.
        """
        self.key = f"{NAMESPACE}:epoch:{connection}"
        self._link = link
        self._connection = connection
        self._forget_reads = forget_reads
        self._untold = False
        link.when_back(self._tell)
        link.when_shared(forget_reads)
        link.on("written", self._heard)

    async def written(self) -> None:
        self._untold = True
        with suppress(AwayError):
            await self._tell()

    async def _heard(self, event: Event) -> None:
        if event["connection"] == self._connection:
            self._forget_reads()

    async def _tell(self) -> None:
        if self._untold:
            epoch = secrets.token_hex(8)
            await self._link.run(lambda redis: redis.set(self.key, epoch, ex=_EPOCH_SECONDS))
            self._untold = False
            await self._link.publish("written", connection=self._connection)


class RepliesInRedis:
    """The reads of one caller through one connection, whichever replica sends them."""

    def __init__(self, link: Link, epochs: Epochs, scope: str) -> None:
        """`scope` is the digest of the caller and the connection."""
        self._link = link
        self._epochs = epochs
        self._scope = scope
        self._keep = link.script(KEEP)
        self._release = link.script(RELEASE)
        self._renew = link.script(RENEW)

    @property
    def is_shared(self) -> bool:
        return self._link.belief.is_shared

    async def read(self, request: Request, send: Send, *, seconds: float, fresh: bool) -> Answered:
        """Answer from Redis, from another replica's equal read, or by sending.

        Raises:
            MixpanelError: what `send` raised.
        """
        keys = self._keys(request)
        try:
            if fresh:
                epoch = await self._epoch(keys)
                return await self._sent(keys, epoch, send, seconds)
            found = await self._found_or_lead(keys, seconds)
        except AwayError:
            return Answered(await send())
        if isinstance(found, Answered):
            return found
        epoch, holder = found
        async with self._leading(keys.lock(epoch), holder):
            return await self._sent(keys, epoch, send, seconds, holder)

    def forget(self, request: Request) -> None:
        if self._link.belief.is_there:
            self._link.start(self._forgotten(self._keys(request).reply))

    async def _forgotten(self, key: str) -> None:
        with suppress(AwayError):
            await self._link.run(lambda redis: redis.delete(key))

    def _keys(self, request: Request) -> _Keys:
        told = repr((__version__, self._scope, *_asked(request)))
        digest = hashlib.sha256(told.encode()).hexdigest()
        return _Keys(
            f"{NAMESPACE}:reply:{digest}", self._epochs.key, f"{NAMESPACE}:kept:{self._scope}"
        )

    async def _epoch(self, keys: _Keys) -> str:
        return _text(await self._link.run(lambda redis: redis.get(keys.epoch)))

    async def _found_or_lead(self, keys: _Keys, seconds: float) -> Answered | tuple[str, str]:
        """A reply; or the epoch and the name under which this replica sends for all."""
        holder, pause, before = secrets.token_hex(8), _LOOK_SECONDS, ""
        while True:
            epoch, kept = await self._link.run(lambda redis: redis.mget(keys.epoch, keys.reply))
            if (answered := self._opened(kept, _text(epoch), seconds)) is not None:
                return answered
            lock = keys.lock(_text(epoch))
            if before and (passed := await self._passed_on(keys, before)) is not None:
                return passed
            taken = await self._link.run(
                lambda redis, lock=lock: redis.set(
                    lock, holder, px=round(1000 * _LOCK_SECONDS), nx=True
                )
            )
            if taken:
                return _text(epoch), holder
            leader = _text(await self._link.run(lambda redis, lock=lock: redis.get(lock)))
            if leader == holder:  # taken by a first try whose answer got lost
                return _text(epoch), holder
            before = leader or before
            with waiting_for(Wait.ANSWER):
                await asyncio.sleep(pause)
            pause = min(_LONGEST_LOOK_SECONDS, 1.3 * pause)

    async def _passed_on(self, keys: _Keys, leader: str) -> Answered | None:
        kept = await self._link.run(lambda redis: redis.get(keys.passed_on(leader)))
        return None if kept is None else Answered(_unpacked(kept)[1])

    async def _sent(
        self, keys: _Keys, epoch: str, send: Send, seconds: float, holder: str | None = None
    ) -> Answered:
        asked = self._link.belief.clock()
        reply = await send()
        with suppress(AwayError):
            kept = await self._kept(keys, epoch, asked, reply, seconds)
            if not kept and holder is not None and len(reply.body) <= LARGEST_REPLY:
                packed = await _packed(epoch, self._link.belief.clock(), reply)
                await self._link.run(
                    lambda redis: redis.set(
                        keys.passed_on(holder), packed, px=round(1000 * _PASSED_ON_SECONDS)
                    )
                )
        return Answered(reply)

    async def _kept(
        self, keys: _Keys, epoch: str, asked: float, reply: Reply, seconds: float
    ) -> bool:
        if reply.status != 200 or not seconds or len(reply.body) > LARGEST_REPLY:
            return False
        packed = await _packed(epoch, self._link.belief.clock(), reply)
        arguments = [epoch, f"{asked:020.6f}", packed, round(1000 * seconds), MOST_BYTES]

        async def keep(redis: Client) -> int:
            return int(await self._keep(keys=list(keys), args=arguments, client=redis))

        return bool(await self._link.run(keep))

    def _opened(self, kept: bytes | None, epoch: str, seconds: float) -> Answered | None:
        if kept is None or not seconds:
            return None
        (written, since), reply = _unpacked(kept[20:])
        age = max(0.0, self._link.belief.clock() - since)
        return Answered(reply, age) if written == epoch and age < seconds else None

    @asynccontextmanager
    async def _leading(self, lock: str, holder: str) -> AsyncGenerator[None]:
        """Hold the lock as long as this replica lives and sends."""
        arguments = [holder, round(1000 * _LOCK_SECONDS)]

        async def renewed() -> None:
            while True:
                await asyncio.sleep(_RENEW_SECONDS)
                with suppress(AwayError):
                    await self._link.run(
                        lambda redis: self._renew(keys=[lock], args=arguments, client=redis)
                    )

        renewing = asyncio.create_task(renewed())
        try:
            yield
        finally:
            renewing.cancel()
            self._link.start(self._released(lock, holder))

    async def _released(self, lock: str, holder: str) -> None:
        with suppress(AwayError):
            await self._link.run(
                lambda redis: self._release(keys=[lock], args=[holder], client=redis)
            )


def _asked(request: Request) -> tuple[object, ...]:
    """All that makes two requests equal."""
    return (
        request.family.name,
        request.region.name,
        request.method,
        request.path,
        request.query,
        request.headers,
        request.body,
        request.content_type,
        request.credential.name,
        request.compress,
        request.accept_gzip,
        request.timeout_seconds,
        request.verbatim,
    )


async def _packed(epoch: str, since: float, reply: Reply) -> bytes:
    body, packs = reply.body, len(reply.body) > _WORTH_PACKING
    if packs:
        body = await asyncio.to_thread(zlib.compress, body, 1)
    head = {
        "epoch": epoch,
        "since": since,
        "status": reply.status,
        "headers": dict(reply.headers),
        "packed": packs,
    }
    return json.dumps(head).encode() + b"\n" + body


def _unpacked(kept: bytes) -> tuple[tuple[str, float], Reply]:
    head, _, body = kept.partition(b"\n")
    fields = json.loads(head)
    if fields["packed"]:
        body = zlib.decompress(body)
    reply = Reply(fields["status"], fields["headers"], body)
    return (fields["epoch"], fields["since"]), reply


def _text(value: bytes | None) -> str:
    return "" if value is None else value.decode()
