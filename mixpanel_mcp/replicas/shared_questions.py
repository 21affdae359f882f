"""Open questions in Redis: whichever replica gets the answer takes it, and it is gone."""

import hashlib
import hmac
import secrets

from mixpanel_mcp.replicas.keys import NAMESPACE
from mixpanel_mcp.replicas.link import AwayError, Link
from mixpanel_mcp.safety.approval import PENDING_SECONDS, PendingQuestions


class SharedQuestions:
    """The questions of one caller and connection.

    While Redis is away a question is kept here, and can be answered here. One that was asked
    through Redis is not taken without it: the person is asked again.
    """

    def __init__(self, link: Link, scope: str) -> None:
        """`scope` is the digest of the caller and the connection."""
        self._link = link
        self._scope = scope
        self._own = PendingQuestions()

    async def add(self, question: str) -> str:
        number = secrets.token_urlsafe(16)
        try:
            await self._link.run(
                lambda redis: redis.set(
                    self._key(number), _digest(question), px=round(1000 * PENDING_SECONDS)
                )
            )
        except AwayError:
            return await self._own.add(question)
        return number

    async def take(self, number: str, question: str) -> bool:
        if await self._own.take(number, question):
            return True
        try:
            # Where its answer got lost, asking again finds nothing: that is a no.
            asked = await self._link.run(lambda redis: redis.getdel(self._key(number)))
        except AwayError:
            return False
        return asked is not None and hmac.compare_digest(asked, _digest(question).encode())

    def _key(self, number: str) -> str:
        told = hashlib.sha256(number.encode()).hexdigest()
        return f"{NAMESPACE}:question:{self._scope}:{told}"


def _digest(question: str) -> str:
    return hashlib.sha256(question.encode()).hexdigest()
