"""One request, sent once, and what became of it, in terms that a person can act on."""

import asyncio
import os
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from enum import Enum, auto
from typing import TypeVar
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

import anyio

from mixpanel_mcp.api import errors
from mixpanel_mcp.api.client import MixpanelClient
from mixpanel_mcp.api.regions import origin
from mixpanel_mcp.api.replies import Reply
from mixpanel_mcp.api.request import Repeat, Request, RetryRules
from mixpanel_mcp.api.retry import AttemptFailedError, Deadline
from mixpanel_mcp.sanitize import quoted
from mixpanel_mcp.settings import Connection, is_loopback

_E = TypeVar("_E", bound=BaseException)

_UNREADABLE = "(an address that cannot be read)"
_ONCE = RetryRules(retries=0, delay_seconds=0, on_rate_limit=False)


class Obstacle(Enum):
    """Why there is no reply."""

    PROXY = auto()
    DNS = auto()
    TLS = auto()
    UNREACHABLE = auto()
    GARBLED = auto()


@dataclass(frozen=True)
class Seen:
    """A whole reply and when it came (seconds since the epoch), or what stood in its way."""

    at: float = 0
    reply: Reply | None = None
    obstacle: Obstacle | None = None
    why: str = ""


@dataclass(frozen=True)
class Instruments:
    """Deadline, clock and name service of a probe; handed in so that tests can play them."""

    seconds: float = 5
    now: Callable[[], float] = time.time
    lookup: Callable[[str, int], object] = socket.getaddrinfo


def proxy_of(connection: Connection, url: str) -> str | None:
    """Host and port of the environment's proxy for an address, never the name and password."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    if (connection.base_url is not None and is_loopback(host)) or proxy_bypass(host):
        return None
    proxies = getproxies()
    written = proxies.get(parts.scheme) or proxies.get("all")
    if not written:
        return None
    try:
        proxy = urlsplit(written if "://" in written else f"http://{written}")
        name, port = proxy.hostname or "", proxy.port
    except ValueError:
        return _UNREADABLE
    shown = f"[{name}]" if ":" in name else name
    return f"{shown}:{port}" if port else shown or _UNREADABLE


async def probe(client: MixpanelClient, request: Request, instruments: Instruments) -> Seen:
    """Send a request once, within the deadline; never raises for what a network can do."""
    url = origin(client.connection, request.region, request.family)
    proxy = proxy_of(client.connection, url)
    try:
        with anyio.fail_after(instruments.seconds):
            first = f"http://{proxy}" if proxy else url
            if proxy != _UNREADABLE and (unknown := await _unknown_name(first, instruments)):
                return Seen(obstacle=Obstacle.PROXY if proxy else Obstacle.DNS, why=unknown)
            reply = await _reply(client, request, instruments)
    except TimeoutError:
        way = f" through the proxy {proxy}" if proxy else ""
        why = f"no answer within {instruments.seconds:g} s{way}"
        return Seen(obstacle=Obstacle.UNREACHABLE, why=why)
    except errors.NotConfiguredError as error:
        return _unusable_environment(error)
    except (AttemptFailedError, errors.MixpanelError) as error:
        obstacle, why = _obstacle(error, proxy)
        return Seen(obstacle=obstacle, why=why)
    return Seen(at=instruments.now(), reply=reply)


async def _reply(client: MixpanelClient, request: Request, instruments: Instruments) -> Reply:
    once = replace(request, retry=_ONCE)
    # The deadline around this one is the shorter; this only leaves a single attempt all of it.
    deadline = Deadline(instruments.seconds * 10, client.pacing)
    try:
        return await client.send(once, project="", repeat=Repeat.READ, deadline=deadline)
    except errors.MixpanelError as error:
        failed = error.__cause__
        if isinstance(failed, AttemptFailedError):
            if failed.reply is not None:
                return failed.reply
            raise failed from failed.__cause__
        raise


async def _unknown_name(url: str, instruments: Instruments) -> str:
    """What is wrong with a host's name; empty if it has an address.

    A thread of its own, as the event loop would wait for its helpers when it closes, and a name
    service that does not answer can hold one for half a minute.
    """
    parts = urlsplit(url)
    host, port = parts.hostname or "", parts.port or 443
    loop = asyncio.get_running_loop()
    answer: asyncio.Future[str] = loop.create_future()

    def settle(why: str) -> None:
        if not answer.done():
            answer.set_result(why)

    def look_up() -> None:
        why = ""
        try:
            instruments.lookup(host, port)
        except OSError as error:
            why = f"{host} has no address ({error.strerror or 'the name service failed'})"
        except UnicodeError:
            why = f"{host} cannot be the name of a host"
        with suppress(RuntimeError):  # the loop has closed: nobody waits any more
            loop.call_soon_threadsafe(settle, why)

    threading.Thread(target=look_up, daemon=True).start()
    try:
        with anyio.fail_after(instruments.seconds * 0.8):
            return await answer
    except TimeoutError:
        return f"the name service did not answer for {host}"


def _unusable_environment(error: errors.NotConfiguredError) -> Seen:
    """Tell apart the two things in the environment without which no client can be made."""
    if isinstance(error.__cause__, OSError):
        why = "the file of trusted certificates (SSL_CERT_FILE, SSL_CERT_DIR) cannot be read"
        return Seen(obstacle=Obstacle.TLS, why=why)
    why = "HTTP_PROXY, HTTPS_PROXY, ALL_PROXY or NO_PROXY holds an address that is of no use"
    return Seen(obstacle=Obstacle.PROXY, why=why)


def _obstacle(error: Exception, proxy: str | None) -> tuple[Obstacle, str]:
    import httpx  # noqa: PLC0415

    causes = list(_causes(error))
    if refusal := _first(causes, httpx.ProxyError):
        return Obstacle.PROXY, f"the proxy {proxy} refused: {quoted(refusal)}"
    if insecure := _first(causes, ssl.SSLError):
        said = getattr(insecure, "verify_message", "") or insecure.reason or "no handshake"
        return Obstacle.TLS, f"no secure connection: {quoted(said, 200)}"
    if _first(causes, errors.UnreadableReplyError):
        return Obstacle.GARBLED, "the reply is damaged, too large or in an unknown encoding"
    numbers = (cause.errno for cause in causes if isinstance(cause, OSError))
    reason = next((os.strerror(number) for number in numbers if number), "no connection")
    if proxy is not None and _first(causes, httpx.ConnectError):
        return Obstacle.PROXY, f"the proxy {proxy} cannot be reached ({reason})"
    broken = _first(causes, httpx.RemoteProtocolError)
    if broken is not None and "disconnected" not in str(broken).lower():
        return Obstacle.GARBLED, "the reply is no HTTP, or it broke off"
    return Obstacle.UNREACHABLE, "closed without an answer" if broken else reason


def _first(causes: Iterable[BaseException], kind: type[_E]) -> _E | None:
    return next((cause for cause in causes if isinstance(cause, kind)), None)


def _causes(error: BaseException) -> Iterator[BaseException]:
    seen: BaseException | None = error
    while seen is not None:
        yield seen
        seen = seen.__cause__ or seen.__context__
