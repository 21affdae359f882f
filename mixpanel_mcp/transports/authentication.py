"""Who calls: told by a bearer token, and by nothing else that a request carries."""

import logging
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from starlette.datastructures import Headers
from starlette.responses import Response
from starlette.types import Scope

from mixpanel_mcp.safety.identity import Identity
from mixpanel_mcp.sanitize import quoted
from mixpanel_mcp.settings import Settings
from mixpanel_mcp.transports.refusals import RequestRefusedError, challenge
from mixpanel_mcp.transports.tokens import StaticTokens, WrongTokens

if TYPE_CHECKING:
    from mixpanel_mcp.transports.json_web_tokens import JsonWebTokens

_log = logging.getLogger(__name__)

_BEARER = re.compile(r"bearer +([A-Za-z0-9._~+/=-]+) *", re.ASCII | re.IGNORECASE)
_RETRY_SECONDS = "5"
_NO_GOOD = "the token is unknown here, has expired, or was issued for something else"


@dataclass(frozen=True)
class Authenticated:
    """Who calls (None where nobody has to say), and until when: seconds since the epoch."""

    identity: Identity | None
    expires: float | None = None


class Authentication:
    """Tells callers apart."""

    def __init__(self, settings: Settings) -> None:
        self._callers = settings.callers
        self._tokens = StaticTokens(settings.callers)
        self._wrong = WrongTokens()
        self._jwts = self._resource = None
        if settings.hosting.jwt_issuer is not None:
            # What only an operator with an issuer needs is loaded for nobody else.
            from mixpanel_mcp.transports.protected_resource import (  # noqa: PLC0415
                ProtectedResource,
            )

            self._resource = ProtectedResource(settings.hosting, settings.callers)
            self._jwts = _json_web_tokens(settings)

    @property
    def is_required(self) -> bool:
        return bool(self._callers) or self._jwts is not None

    def metadata(self, path: str) -> Response | None:
        """What OAuth clients look for, if a path is where they look; anybody may read it."""
        return self._resource.document(path) if self._resource else None

    async def authenticate(self, scope: Scope) -> Authenticated:
        """Who sent a request.

        Raises:
            RequestRefusedError: the token is missing, or not good.
        """
        if not self.is_required:
            return Authenticated(None)
        given = Headers(scope=scope).getlist("authorization")
        if not given:
            raise self._challenge(scope, 401, None, "a bearer token is needed")
        bearer = _BEARER.fullmatch(given[0]) if len(given) == 1 else None
        if bearer is None:
            wanted = "one header is needed: Authorization: Bearer TOKEN"
            raise self._challenge(scope, 401, "invalid_request", wanted)
        caller = self._tokens.caller_of(bearer[1])
        if caller is not None:
            return Authenticated(Identity(caller))
        return await self._by_jwt(scope, bearer[1])

    async def _by_jwt(self, scope: Scope, token: str) -> Authenticated:
        if self._jwts is None:
            raise self._refused(scope)
        from mixpanel_mcp.transports.json_web_tokens import (  # noqa: PLC0415 - as above
            ExpiredTokenError,
            InvalidTokenError,
            NobodyError,
        )
        from mixpanel_mcp.transports.signing_keys import NoKeysError  # noqa: PLC0415 - as above

        try:
            holder = await self._jwts.holder_of(token)
        except ExpiredTokenError:
            raise self._challenge(scope, 401, "invalid_token", _NO_GOOD) from None
        except InvalidTokenError:
            raise self._refused(scope) from None
        except NobodyError:
            text = "the token is good, and its subject and scopes are those of no caller here"
            raise self._challenge(scope, 403, "insufficient_scope", text) from None
        except NoKeysError:
            body = {
                "error": "temporarily_unavailable",
                "error_description": "the issuer's keys cannot be had at the moment; try again",
            }
            raise RequestRefusedError(503, body, {"Retry-After": _RETRY_SECONDS}) from None
        return Authenticated(holder.identity, holder.expires)

    def _refused(self, scope: Scope) -> RequestRefusedError:
        """All that is wrong with a token is said in the same words, and to guess is slow."""
        peer = scope["client"][0] if scope.get("client") else ""
        _log.info("a wrong token came from %s", quoted(peer))
        if wait := self._wrong.wait_after(peer):
            body = {"error": "slow_down", "error_description": "too many wrong tokens"}
            return RequestRefusedError(429, body, {"Retry-After": str(wait)})
        return self._challenge(scope, 401, "invalid_token", _NO_GOOD)

    def _challenge(
        self, scope: Scope, status: int, error: str | None, description: str
    ) -> RequestRefusedError:
        url = self._resource.url_for(scope["path"]) if self._resource else None
        return challenge(status, error, description, url)


def _json_web_tokens(settings: Settings) -> "JsonWebTokens":
    from mixpanel_mcp.transports.json_web_tokens import JsonWebTokens  # noqa: PLC0415 - as above
    from mixpanel_mcp.transports.signing_keys import SigningKeys  # noqa: PLC0415 - as above

    hosting = settings.hosting
    assert hosting.jwt_issuer  # noqa: S101 - checked at the start, as the others
    assert hosting.jwt_jwks_url  # noqa: S101
    assert hosting.jwt_audience  # noqa: S101
    return JsonWebTokens(
        SigningKeys(hosting.jwt_jwks_url),
        issuer=hosting.jwt_issuer,
        audience=hosting.jwt_audience,
        callers=settings.callers,
    )
