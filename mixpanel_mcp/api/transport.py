"""The one place that speaks HTTP. Imported at the first request, so that start-up stays quick."""

import logging
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import lru_cache, partial
from http.cookiejar import CookieJar
from ssl import SSLContext

import httpx

from mixpanel_mcp.api.errors import NotConfiguredError
from mixpanel_mcp.api.lanes import Lanes
from mixpanel_mcp.api.retry import AttemptFailedError, Outcome
from mixpanel_mcp.settings import Connection, is_loopback

_CONNECT_SECONDS = 10.0
_OPENING_SHARE = 0.8
# Mixpanel answers no more at once; what waits for more waits here.
_CONNECTIONS = 20
# Writes, and most reads of what there is, go to few addresses; to take one apart is slow.
_ADDRESSES = 64
_LIMITS = httpx.Limits(max_connections=1, max_keepalive_connections=1, keepalive_expiry=30)

# httpx logs whole addresses with their query at INFO, httpcore the headers of replies at DEBUG.
# Both can hold tokens, so a host that turns logging up must not turn these up with it.
for _name in ("httpx", "httpcore"):
    logging.getLogger(_name).setLevel(logging.WARNING)


@dataclass(frozen=True)
class Response:
    """A reply whose body is still on its way."""

    status: int
    headers: Mapping[str, str]
    _response: httpx.Response

    async def raw(self) -> AsyncIterator[bytes]:
        try:
            async for piece in self._response.aiter_raw():
                yield piece
        except httpx.TransportError as error:
            raise AttemptFailedError(_outcome_of(error)) from error


def _outcome_of(error: httpx.TransportError) -> Outcome:
    match error:
        case httpx.ConnectError() | httpx.ConnectTimeout() | httpx.PoolTimeout():
            return Outcome.NEVER_SENT
        case httpx.UnsupportedProtocol() | httpx.LocalProtocolError() | httpx.ProxyError():
            return Outcome.NEVER_SENT
        case httpx.TimeoutException():
            return Outcome.TIMED_OUT
        case _:
            return Outcome.DROPPED


class _NoCookies(CookieJar):
    """Takes none, without looking for any as the policy of the library would."""

    def extract_cookies(self, response: object, request: object) -> None:
        """Leave them where they are."""


class Transport:
    """Kept-alive HTTP/1.1 connections; follows no redirect, keeps no cookie."""

    def __init__(self, connection: Connection) -> None:
        """Make ready; no connection is made yet.

        Raises:
            NotConfiguredError: a proxy or certificate file named in the environment is unusable.
        """
        # A proxy from the environment has no business between us and a sandbox on loopback.
        local = connection.base_url is not None and is_loopback(
            httpx.URL(connection.base_url).host.strip("[]")
        )
        try:
            secure = httpx.create_ssl_context(trust_env=not local)
            self._lanes = Lanes(partial(_client, secure, trust_env=not local), _CONNECTIONS)
        except (ValueError, ImportError, OSError, httpx.InvalidURL) as error:
            # The error's own text may quote a proxy's address with its password.
            raise NotConfiguredError(
                "Nothing was sent: a proxy (HTTPS_PROXY, ALL_PROXY) or a certificate file "
                "(SSL_CERT_FILE, SSL_CERT_DIR) in this server's environment cannot be used. Ask "
                "the person to mend it and to restart the server."
            ) from error

    @asynccontextmanager
    async def exchange(
        self, method: str, url: str, headers: list[tuple[str, str]], body: bytes, seconds: float
    ) -> AsyncGenerator[Response]:
        """Send a request and open its reply; `seconds` bounds each wait for bytes.

        Raises:
            AttemptFailedError: there is no reply, or (from `raw`) it broke off.
        """
        # Before the attempt ends: then it is known that nothing was sent.
        patience = seconds * _OPENING_SHARE
        opening = min(patience, _CONNECT_SECONDS)
        timeout = {"connect": opening, "read": seconds, "write": seconds, "pool": patience}
        request = httpx.Request(
            method,
            _address(url),
            headers=headers,
            content=body or None,
            extensions={"timeout": timeout},
        )
        try:
            async with self._lanes.taken(patience) as client:
                response = await client.send(request, stream=True)
                try:
                    yield Response(response.status_code, response.headers, response)
                finally:
                    await response.aclose()
        except httpx.TransportError as error:
            raise AttemptFailedError(_outcome_of(error)) from error

    async def close(self) -> None:
        await self._lanes.close()


@lru_cache(_ADDRESSES)
def _address(url: str) -> httpx.URL:
    return httpx.URL(url)


def _client(secure: SSLContext, *, trust_env: bool) -> httpx.AsyncClient:
    return httpx.AsyncClient(
        follow_redirects=False,
        verify=secure,
        trust_env=trust_env,
        limits=_LIMITS,
        cookies=_NoCookies(),
    )
