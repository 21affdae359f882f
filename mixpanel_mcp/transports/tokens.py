"""Static bearer tokens, known by their hashes alone."""

import hmac
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence

from mixpanel_mcp.settings import Caller, token_hash

_WRONG_ONES = 20
_WINDOW_SECONDS = 60.0
_MOST_PEERS = 10_000


class StaticTokens:
    """Whose token it is."""

    def __init__(self, callers: Sequence[Caller]) -> None:
        self._known = [(digest, each.name) for each in callers for digest in each.token_sha256]

    def caller_of(self, token: str) -> str | None:
        """The name of the caller; the time it takes does not tell how close a guess was."""
        digest = token_hash(token)
        matching = [name for known, name in self._known if hmac.compare_digest(digest, known)]
        return next(iter(matching), None)


class WrongTokens:
    """Who sends wrong tokens, and how many.

    A right token passes whatever its peer has done: behind a proxy all have the same address, and
    nobody shall lock out the others. Guessing is hopeless anyway; this slows down what retries
    without end.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._seen: OrderedDict[str, tuple[float, int]] = OrderedDict()

    def wait_after(self, peer: str) -> int | None:
        """Count a wrong token; the seconds until the next one is welcome, where there were many."""
        now = self._clock()
        began, count = self._seen.pop(peer, (now, 0))
        if now - began >= _WINDOW_SECONDS:
            began, count = now, 0
        self._seen[peer] = (began, count + 1)
        if len(self._seen) > _MOST_PEERS:
            self._seen.popitem(last=False)
        return None if count < _WRONG_ONES else int(_WINDOW_SECONDS - (now - began)) + 1
