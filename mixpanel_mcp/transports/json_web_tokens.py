"""JWTs of the operator's issuer: who sent one, and which caller that is."""

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import jwt

from mixpanel_mcp.json_values import is_list
from mixpanel_mcp.safety.identity import Identity
from mixpanel_mcp.settings import Caller
from mixpanel_mcp.transports.signing_keys import SigningKeys

_log = logging.getLogger(__name__)

# Asymmetric ones alone: with the others, whoever can check a token can make one.
_ALGORITHMS = (
    *("RS256", "RS384", "RS512", "PS256", "PS384", "PS512"),
    *("ES256", "ES384", "ES512", "ES256K", "EdDSA"),
)
# Clocks differ. An expiry is exact all the same: what it ends, it ends when it says.
_LEEWAY_SECONDS = 30
# Issuers that mean "never" write numbers that no clock can hold.
_LATEST = 2**40
# RFC 9068 section 2.2 requires more than these, and many issuers leave the rest out.
_REQUIRED = ["exp", "iss", "aud", "sub"]


class InvalidTokenError(Exception):
    """It is no JWT that this server may believe."""


class ExpiredTokenError(InvalidTokenError):
    """It was good once: no guess, but a client that is late."""


class NobodyError(Exception):
    """The JWT is good, and its holder is none of the callers."""


@dataclass(frozen=True)
class Holder:
    """Whose token it is, and until when (seconds since the epoch)."""

    identity: Identity
    expires: float


class JsonWebTokens:
    """Judges JWTs by issuer, audience, signature and time."""

    def __init__(
        self,
        keys: SigningKeys,
        *,
        issuer: str,
        audience: str,
        callers: Sequence[Caller],
        now: Callable[[], float] = time.time,
    ) -> None:
        self._keys = keys
        self._issuer = issuer
        self._audience = audience
        self._callers = [caller for caller in callers if caller.is_known_by_jwt]
        self._now = now

    async def holder_of(self, token: str) -> Holder:
        """Who sent a token.

        Raises:
            ExpiredTokenError: it is to be believed no longer.
            InvalidTokenError: it is not to be believed.
            NobodyError: its subject and scopes are those of no caller.
            NoKeysError: nobody can tell.
        """
        try:
            claims = await self._claims(token)
        except jwt.ExpiredSignatureError as error:  # which is looked at after the signature
            raise ExpiredTokenError from error
        except (jwt.PyJWTError, RecursionError) as error:
            _log.info("a JWT was refused: %s", type(error).__name__)
            raise InvalidTokenError from error
        expires = float(min(int(claims["exp"]), _LATEST))
        if expires <= self._now():
            raise ExpiredTokenError
        subject = str(claims["sub"])
        caller = self._caller(subject, _scopes_of(claims))
        if caller is None:
            raise NobodyError
        return Holder(Identity(caller.name, subject), expires)

    async def _claims(self, token: str) -> Mapping[str, Any]:
        header = jwt.get_unverified_header(token)
        if header.get("alg") not in _ALGORITHMS:  # before anybody is asked for a key
            raise jwt.InvalidAlgorithmError
        key = await self._keys.named(header.get("kid"))
        if key is None:
            raise jwt.InvalidKeyError
        return jwt.decode(
            token,
            key,
            algorithms=_ALGORITHMS,
            audience=self._audience,
            issuer=self._issuer,
            leeway=_LEEWAY_SECONDS,
            options={"require": _REQUIRED, "enforce_minimum_key_length": True},
        )

    def _caller(self, subject: str, scopes: set[str]) -> Caller | None:
        """One of that very subject, or else the first in the file who asks for scopes alone."""
        fitting = [caller for caller in self._callers if set(caller.scopes) <= scopes]
        own = (caller for caller in fitting if caller.subject == subject)
        anybody = (caller for caller in fitting if caller.subject is None)
        return next(own, None) or next(anybody, None)


def _scopes_of(claims: Mapping[str, Any]) -> set[str]:
    """`scope` of RFC 9068, or what other issuers call it; in a text, blanks part them."""
    found: set[str] = set()
    for name in ("scope", "scp"):
        value = claims.get(name)
        parts = value.split() if isinstance(value, str) else value if is_list(value) else ()
        found |= {each for each in parts if isinstance(each, str)}
    return found
