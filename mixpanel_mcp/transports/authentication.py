"""Who calls: told by a bearer token, and by nothing else that a request carries."""

import hashlib
import hmac

from starlette.datastructures import Headers

from mixpanel_mcp.safety.identity import Identity
from mixpanel_mcp.settings import Settings


class NotAuthenticatedError(Exception):
    """Nobody knows who calls; `description` says why, and never quotes the token."""

    def __init__(self, description: str) -> None:
        self.description = description
        super().__init__(description)


class Authentication:
    """Tells callers apart."""

    def __init__(self, settings: Settings) -> None:
        self._callers = settings.callers

    @property
    def is_required(self) -> bool:
        return bool(self._callers)

    async def identity(self, headers: Headers) -> Identity | None:
        """Who sent these headers; None where nobody has to say.

        Raises:
            NotAuthenticatedError: the token is missing, or nobody's.
        """
        if not self.is_required:
            return None
        scheme, _, token = headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not token.strip():
            raise NotAuthenticatedError("a bearer token is needed")
        digest = hashlib.sha256(token.strip().encode()).hexdigest()
        for caller in self._callers:
            if any(hmac.compare_digest(digest, known) for known in caller.token_sha256):
                return Identity(caller.name)
        raise NotAuthenticatedError("this token is nobody's")
