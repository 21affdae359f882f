"""How the Host header of a request and the Origin of a web page are written.

Both are compared in small letters, as browsers write them.
"""

import re

_HOST = re.compile(
    r"(?P<name>[a-z0-9_](?:[a-z0-9._-]*[a-z0-9_])?|\[[0-9a-f:.]+\])(?::(?P<port>[0-9]{1,5}))?",
    re.ASCII,
)


def split_host(value: str) -> tuple[str, str | None] | None:
    """Name and port of a Host header, in small letters; None where it is no host."""
    match = _HOST.fullmatch(value.lower())
    return None if match is None else (match["name"], match["port"])


def parse_host(value: str) -> str:
    """A host that may be asked for, such as mcp.example.com, [::1] or mcp.example.com:8443."""
    # Nobody writes brackets where nothing follows them.
    bare = f"[{value}]" if value.count(":") > 1 and not value.startswith("[") else value
    if split_host(bare) is None:
        raise ValueError(f"{value!r:.80} is no host; write it as mcp.example.com, without https://")
    return bare.lower()


def parse_origin(value: str) -> str:
    """The origin of a web page: scheme, host and, where it is not the usual one, port."""
    scheme, mark, host = value.lower().partition("://")
    if not mark or scheme not in {"http", "https"} or split_host(host) is None:
        raise ValueError(
            f"{value!r:.80} is no origin of a web page; write each as https://chat.example.com "
            "(there is no sign for any page)"
        )
    usual = {"http": ":80", "https": ":443"}[scheme]
    return f"{scheme}://{host.removesuffix(usual)}"
