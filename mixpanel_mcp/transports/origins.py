"""Which Host and Origin headers are answered: a web page may not reach a server by its name."""

from collections.abc import Iterable
from urllib.parse import urlsplit

from starlette.responses import PlainTextResponse, Response
from starlette.types import ASGIApp, Scope

from mixpanel_mcp.settings import Hosting
from mixpanel_mcp.settings.web_origins import parse_host, parse_origin, split_host

_LOOPBACK = ("127.0.0.1", "localhost", "[::1]")
_ANY_ADDRESS = {"0.0.0.0", "::", "[::]", ""}  # noqa: S104 - compared with, not listened on
# A page on this machine may stand at any port.
_LOOPBACK_PAGES = r"http://(127\.0\.0\.1|localhost|\[::1\])(:[0-9]{1,5})?"
_READABLE = ("mcp-session-id", "mcp-protocol-version", "www-authenticate", "retry-after")
_SENDABLE = (
    "accept",
    "authorization",
    "content-type",
    "last-event-id",
    "mcp-method",
    "mcp-name",
    "mcp-protocol-version",
    "mcp-session-id",
    "traceparent",
    "tracestate",
    "x-mixpanel-read-only",
    "x-mixpanel-toolsets",
)


class HostGuard:
    """Judges both headers on every path, before anything else is looked at."""

    def __init__(self, hosting: Hosting) -> None:
        self._hosts = frozenset((*_LOOPBACK, *hosting.allowed_host, *_own_hosts(hosting)))
        self._origins = frozenset(hosting.allowed_origin)
        # Most requests come with the same few values.
        self._known_hosts: set[bytes] = set()

    def refusal(self, scope: Scope) -> Response | None:
        """What to answer instead: 421 for a Host, 403 for an Origin that is not allowed."""
        hosts: list[bytes] = []
        origins: list[bytes] = []
        for name, value in scope["headers"]:
            if name == b"host":
                hosts.append(value)
            elif name == b"origin":
                origins.append(value)
        if len(hosts) != 1 or not self._answers_to(hosts[0]):
            return PlainTextResponse(
                "This server does not answer to this Host header. Its operator can name it with "
                "--allowed-host.\n",
                status_code=421,
            )
        if origins and (len(origins) > 1 or not self._serves_page(origins[0].decode("latin-1"))):
            return PlainTextResponse(
                "This server does not answer pages of this Origin. Its operator can name it with "
                "--allowed-origin.\n",
                status_code=403,
            )
        return None

    def _answers_to(self, host: bytes) -> bool:
        if host in self._known_hosts:
            return True
        text = host.decode("latin-1")
        parts = split_host(text)
        allowed = parts is not None and (parts[0] in self._hosts or text.lower() in self._hosts)
        # As many as anybody may make up: ports of loopback are not worth memory.
        if allowed and len(self._known_hosts) < 100:
            self._known_hosts.add(host)
        return allowed

    def _serves_page(self, origin: str) -> bool:
        try:
            page = parse_origin(origin)
        except ValueError:  # `null` among others: any page can make itself one
            return False
        scheme, _, host = page.partition("://")
        parts = split_host(host)
        at_home = scheme == "http" and parts is not None and parts[0] in _LOOPBACK
        return at_home or page in self._origins


def for_pages(app: ASGIApp, hosting: Hosting) -> ASGIApp:
    """Let pages of the allowed origins read what they are answered (CORS)."""
    from starlette.middleware.cors import CORSMiddleware  # noqa: PLC0415 - with pages alone

    return CORSMiddleware(
        app,
        allow_origins=hosting.allowed_origin,
        allow_origin_regex=_LOOPBACK_PAGES,
        allow_methods=["GET", "POST", "DELETE"],
        allow_headers=_SENDABLE,
        expose_headers=_READABLE,
    )


def _own_hosts(hosting: Hosting) -> Iterable[str]:
    """The names that the server goes by without being told twice."""
    if hosting.host not in _ANY_ADDRESS:
        yield parse_host(hosting.host)
    if hosting.public_url:
        yield parse_host(urlsplit(hosting.public_url).netloc)
