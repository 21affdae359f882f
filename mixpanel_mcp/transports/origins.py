"""Which Host and Origin headers are answered: a web page may not reach a server by its name."""

from mcp.server.transport_security import (
    TransportSecurityMiddleware,
    TransportSecuritySettings,
)
from starlette.requests import Request
from starlette.responses import Response

from mixpanel_mcp.settings import Hosting

_LOOPBACK = ("127.0.0.1", "localhost", "[::1]")


class HostGuard:
    """Judges both headers on every path."""

    def __init__(self, hosting: Hosting) -> None:
        hosts = [*_LOOPBACK, *hosting.allowed_host]
        self._judge = TransportSecurityMiddleware(
            TransportSecuritySettings(
                allowed_hosts=[each for host in hosts for each in (host, f"{host}:*")],
                allowed_origins=[
                    *(f"http://{host}:*" for host in _LOOPBACK),
                    *(f"http://{host}" for host in _LOOPBACK),
                    *hosting.allowed_origin,
                ],
            )
        )

    async def refusal(self, request: Request) -> Response | None:
        """What to answer instead: 421 for a Host, 403 for an Origin that is not allowed."""
        return await self._judge.validate_request(request)
