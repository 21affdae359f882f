"""Whether a connection could be used now: without a credential, and without spending a query."""

import ssl
from collections.abc import Sequence
from functools import partial
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

import anyio

from mixpanel_mcp.api.regions import origins_in_use
from mixpanel_mcp.settings import Connection, is_loopback
from mixpanel_mcp.transports.probes import Check

_PORTS = {"http": 80, "https": 443}


def connection_checks(connections: Sequence[Connection]) -> dict[str, Check]:
    """A check for each connection, by a name that says what it is."""
    return {f"connection {each.name}": partial(_usable, each) for each in connections}


async def _usable(connection: Connection) -> str | None:
    """Whether it is configured, and all its hosts take connections."""
    if not (connection.username and connection.password) and connection.project_token is None:
        return "has neither a service account nor a project token"
    for origin in dict.fromkeys(origins_in_use(connection).values()):
        try:
            await _knock(origin)
        except OSError as error:  # of TLS, too
            return f"{origin} cannot be reached ({type(error).__name__})"
    return None


async def _knock(origin: str) -> None:
    """Connect, shake hands where it is TLS, and hang up.

    Raises:
        OSError: nobody is there.
    """
    parts = urlsplit(origin)
    host, port = parts.hostname or "", parts.port or _PORTS[parts.scheme]
    proxy = None if is_loopback(host) or proxy_bypass(host) else getproxies().get(parts.scheme)
    if proxy:
        # Requests go through it, so it is what has to be there.
        there = urlsplit(proxy)
        stream = await anyio.connect_tcp(there.hostname or "", there.port or 80)
    elif parts.scheme == "https":
        context = ssl.create_default_context()
        stream = await anyio.connect_tcp(
            host, port, tls=True, ssl_context=context, tls_standard_compatible=False
        )
    else:
        stream = await anyio.connect_tcp(host, port)
    await stream.aclose()
