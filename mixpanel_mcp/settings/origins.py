"""What may stand in the place of Mixpanel's own hosts."""

import ipaddress
import re
from urllib.parse import urlsplit


def is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


# A name may not end in a number: some resolvers read 2130706433 and 0x7f000001 as addresses.
_LABEL = r"[a-z0-9_](?:[a-z0-9_-]*[a-z0-9_])?"
_ORIGIN = re.compile(
    rf"https?://(?:(?:{_LABEL}\.)*(?![0-9]){_LABEL}|(?P<address>[0-9.]+|\[[0-9a-f:.]+\]))"
    r"(?::[0-9]{1,5})?",
    re.ASCII | re.IGNORECASE,
)


def parse_base_url(value: str | None) -> str | None:
    """An origin without path, so that every endpoint keeps the path Mixpanel gives it."""
    if value is None:
        return None
    origin = value.rstrip("/")
    # Before urlsplit, which drops line breaks, overlooks blanks and quotes secrets in its errors.
    match = _ORIGIN.fullmatch(origin)
    if match is None:
        raise ValueError(
            "must be an origin alone, such as https://proxy.example.com: no user, path, query or "
            "fragment"
        )
    parts = urlsplit(origin.lower())
    host = parts.hostname or ""
    if match["address"]:
        ipaddress.ip_address(host)  # raises ValueError when it is none
    _ = parts.port  # raises ValueError when it is not a number a port can be
    if parts.scheme == "http" and not is_loopback(host):
        raise ValueError("must be https (plain http is for loopback only)")
    return f"{parts.scheme}://{parts.netloc}"


def parse_web_address(value: str | None) -> str | None:
    """A URL with a path: kept as it is, since those who compare it do so letter by letter."""
    if value is None:
        return None
    try:
        parts = urlsplit(value)
        host, _ = parts.hostname or "", parts.port
    except ValueError:  # its text quotes the URL
        raise ValueError("is no URL") from None
    plain = value.isascii() and value.isprintable() and " " not in value
    if not plain or parts.scheme not in {"http", "https"} or not host:
        raise ValueError("is no URL; write one such as https://mcp.example.com/mcp")
    if parts.username is not None or parts.fragment or "#" in value:
        raise ValueError("has a user or a fragment; leave it out")
    if parts.scheme == "http" and not is_loopback(host):
        raise ValueError("must be https (plain http is for loopback only)")
    return value
