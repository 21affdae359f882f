"""What of the hosted server's settings does not fit together."""

from collections.abc import Callable, Collection, Iterator

from mixpanel_mcp.settings.hosting import HOSTING_NAMES, Hosting, Protocol
from mixpanel_mcp.settings.origins import is_loopback


def hosting_faults(
    hosting: Hosting,
    given: Collection[str],
    shown: Callable[[str], str],
    *,
    callers_are_known: bool,
) -> Iterator[str]:
    """A sentence for each fault.

    Args:
        hosting: what was read.
        given: the names of all settings that the operator set.
        shown: where the operator set one.
        callers_are_known: whether whoever calls has to say who it is.
    """
    if hosting.transport is not Protocol.HTTP:
        for name in HOSTING_NAMES:
            if name in given and name != "transport":
                yield f"{shown(name)}: is for the hosted server alone; add --transport http"
    elif not callers_are_known and not is_loopback(hosting.host):
        yield (
            f"{shown('host')}: {hosting.host!r:.60} can be reached from other machines, and nobody "
            "who calls would have to say who it is. Name callers with their token_sha256 in the "
            "file of MIXPANEL_MCP_CONFIG ([callers.NAME]; `mixpanel-mcp token new NAME` makes a "
            "token), or set JWT_ISSUER, JWT_JWKS_URL and JWT_AUDIENCE; or listen on 127.0.0.1, "
            "where a proxy on this machine reaches it too"
        )
