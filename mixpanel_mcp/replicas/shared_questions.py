"""Open questions in Redis: whichever replica gets the answer takes it, and it is gone."""

import hashlib
import hmac
import secrets

from mixpanel_mcp.replicas.keys import NAMESPACE
from mixpanel_mcp.replicas.link import AwayError, Link
from mixpanel_mcp.safety.approval import PENDING_SECONDS

_MILLISECONDS = round(1000 * PENDING_SECONDS)
# Begins the number of a question that was asked without Redis.
_ALONE = "alone"


class SharedQuestions:
    """The questions of one caller and connection.

    One that was asked through Redis is not taken without it: the person is asked again. One that
    was asked without it says itself what it is. That can be believed, because a state comes back
    sealed with the secret of all replicas, as one of them made it; each replica takes it once, and
    all of them together once where Redis is back.
    """

    def __init__(self, link: Link, scope: str) -> None:
        """`scope` is the digest of the caller and the connection."""
        self._link = link
        self._scope = scope
        # When a question that was taken here could have been answered at the latest.
        self._taken: dict[str, float] = {}

    async def add(self, question: str) -> str:
        number = secrets.token_urlsafe(16)
        try:
            await self._link.run(
                lambda redis: redis.set(self._key(number), _digest(question), px=_MILLISECONDS)
            )
        except AwayError:
            until = self._link.belief.clock() + PENDING_SECONDS
            return f"{_ALONE}:{until:.3f}:{_digest(question)}:{number}"
        return number

    async def take(self, number: str, question: str) -> bool:
        if number.startswith(f"{_ALONE}:"):
            return await self._take_alone(number, question)
        try:
            # Where its answer got lost, asking again finds nothing: that is a no.
            asked = await self._link.run(lambda redis: redis.getdel(self._key(number)))
        except AwayError:
            return False
        return asked is not None and hmac.compare_digest(asked, _digest(question).encode())

    async def _take_alone(self, number: str, question: str) -> bool:
        _, until, digest, _ = number.split(":")
        now = self._link.belief.clock()
        self._taken = {each: end for each, end in self._taken.items() if end > now}
        if digest != _digest(question) or float(until) <= now or number in self._taken:
            return False
        self._taken[number] = float(until)
        try:
            return bool(
                await self._link.run(
                    lambda redis: redis.set(self._key(number), "taken", nx=True, px=_MILLISECONDS)
                )
            )
        except AwayError:
            return True

    def _key(self, number: str) -> str:
        told = hashlib.sha256(number.encode()).hexdigest()
        return f"{NAMESPACE}:question:{self._scope}:{told}"


def _digest(question: str) -> str:
    return hashlib.sha256(question.encode()).hexdigest()
