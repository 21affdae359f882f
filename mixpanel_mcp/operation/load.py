"""More than memory holds: judged piece by piece, sent after."""

import hashlib
from collections.abc import Sequence

from mixpanel_mcp.api.errors import RefusedError
from mixpanel_mcp.api.request import Repeat, Request
from mixpanel_mcp.operation.guard import Effect, Guard, Permit


class Load:
    """Bodies that go out one after another, known to the guard by a digest each.

    They are judged while they are made, by requests that stand for their records; none goes out
    before `authorize`, and none that was not judged.
    """

    def __init__(self, guard: Guard) -> None:
        self._guard = guard
        self._repeats: dict[bytes, Repeat] = {}
        self._all = hashlib.sha256()
        self._permitted = False

    def weigh(self, request: Request, count: int) -> Permit:
        """Judge a request that stands for `count` records.

        Raises:
            RefusedError: a rule forbids it, whoever agrees.
        """
        return self._guard.weigh(request, count)

    def asks(self) -> str | None:
        """What somebody has to agree to, so far."""
        return self._guard.weighed()

    def is_harmless(self, request: Request) -> bool:
        """Whether the guard takes a request for an addition that can be repeated."""
        permit = self._guard.preview(request)
        return permit.effect is Effect.ADDS and permit.repeat is Repeat.SAFE

    def add(self, body: bytes, repeat: Repeat) -> None:
        """Enter a body as it will go out, whose records were weighed."""
        if self._permitted:
            raise RefusedError("Nothing more can be added to what was permitted.")
        digest = hashlib.sha256(body).digest()
        self._all.update(digest)
        self._repeats[digest] = repeat

    def divide(self, body: bytes, parts: Sequence[bytes]) -> None:
        """Let parts go out in the place of a body; they hold its records and no others."""
        repeat = self.permit_of(body).repeat
        self._repeats.update((hashlib.sha256(part).digest(), repeat) for part in parts)

    async def authorize(self) -> None:
        """Put everything before the guard.

        Raises:
            RefusedError: a person did not agree.
            ConfirmationRequiredError: somebody has to agree first.
        """
        await self._guard.permit_weighed(self._all.hexdigest())
        self._permitted = True

    def permit_of(self, body: bytes) -> Permit:
        """The leave for a body.

        Raises:
            RefusedError: it was not judged, or not permitted.
        """
        repeat = self._repeats.get(hashlib.sha256(body).digest())
        if repeat is None or not self._permitted:
            raise RefusedError("Nothing was sent: this is not what was judged and permitted.")
        return Permit(Effect.ADDS, repeat)
