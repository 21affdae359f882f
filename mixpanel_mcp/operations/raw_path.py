"""Where a passthrough request goes: a path of Mixpanel's on a host of Mixpanel's, no other."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from urllib.parse import parse_qsl, quote, unquote

from mixpanel_mcp.api.errors import InvalidArgumentsError
from mixpanel_mcp.api.regions import ORIGINS, PREFIXES, Family
from mixpanel_mcp.api.request import Pairs
from mixpanel_mcp.settings import Connection, Region

# Three rounds undo any encoding that a server behind another one could undo.
_ROUNDS = 3

_HOSTS: Mapping[str, tuple[Region, Family]] = {
    origin: (region, family)
    for region, families in ORIGINS.items()
    for family, origin in families.items()
    if family is not Family.APP  # shares its origin with query; the path tells them apart
}


@dataclass(frozen=True)
class Target:
    """Host, path and query of a passthrough request."""

    family: Family
    region: Region
    path: str
    query: Pairs


def read_url(url: str) -> tuple[str, Pairs]:
    """Split a path with an optional query; a fragment is a label of the docs and is dropped.

    Raises:
        InvalidArgumentsError: anything but a plain path.
    """
    path, _, query = url.split("#", maxsplit=1)[0].partition("?")
    path = path if path.startswith("/") or not path else "/" + path
    if fault := _path_fault(path):
        raise InvalidArgumentsError(
            [f"url: {fault}; give a path such as /import, and query_parameters"]
        )
    return quote(path, safe="/%!$&'()*+,;=:~"), tuple(parse_qsl(query, keep_blank_values=True))


def _path_fault(path: str) -> str | None:
    if not path or "//" in path or "//" in unquote(path):
        return "is not a path"
    if re.match(r"/?[A-Za-z][A-Za-z0-9+.-]*:", path) or "@" in path:
        return "names a host or a scheme"
    return next(filter(None, map(_hidden_fault, _decodings(path))), None)


def _decodings(path: str) -> Iterator[str]:
    """The path as it is, and as it would look to whoever decodes it once more."""
    for _ in range(_ROUNDS + 1):
        yield path
        path = unquote(path)


def _hidden_fault(path: str) -> str | None:
    if re.search(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]", path):
        return "has a control character"
    if "\\" in path:
        return "has a backslash"
    segments = [segment.split(";")[0].lower() for segment in path.split("/")]
    if {".", ".."} & set(segments):
        return "has a step such as . or .."
    if list(filter(None, segments))[:1] == ["sandbox"]:
        return "names the sandbox's own controls"
    return None


def family_of(path: str) -> Family:
    """The kind of host that a path belongs to."""
    plain = unquote(path).lower()
    if _below(plain, "/api/query"):
        return Family.QUERY
    if any(
        _below(plain, prefix)
        for prefix in ("/api/2.0/export", "/api/2.0/nessie", "/export", "/nessie")
    ):
        return Family.DATA
    if _below(plain, "/api/2.0"):
        return Family.QUERY
    return Family.APP if _below(plain, "/api/app") else Family.INGESTION


def with_data_prefix(path: str) -> str:
    """Put `/api/2.0` before the paths of the data host that people write without it."""
    plain = unquote(path).lower()
    short = _below(plain, "/export") or _below(plain, "/nessie")
    return PREFIXES[Family.DATA] + path if short else path


def _below(path: str, prefix: str) -> bool:
    return path == prefix or path.startswith(prefix + "/")


def target_of(
    connection: Connection, url: str, base_url: str | None, region: Region | None
) -> Target:
    """Find the host of a raw request from its base URL, or from its path.

    Raises:
        InvalidArgumentsError: the URL is no path, or the base URL none of Mixpanel's.
    """
    path, query = read_url(url)
    family = family_of(path)
    chosen = region or connection.region
    if base_url is not None and not _is_own(connection, base_url):
        named = _HOSTS.get(base_url.rstrip("/").lower())
        if named is None:
            origins = ", ".join(_HOSTS)
            raise InvalidArgumentsError([f"base_url: must be one of {origins}, or be left out"])
        if region is not None and named[0] is not region:
            raise InvalidArgumentsError(["base_url: names another region than region does"])
        chosen = named[0]
        by_host = named[1]
        family = family if by_host is Family.QUERY and family is Family.APP else by_host
    return Target(family, chosen, with_data_prefix(path), query)


def _is_own(connection: Connection, base_url: str) -> bool:
    return connection.base_url is not None and (base_url.rstrip("/").lower() == connection.base_url)
