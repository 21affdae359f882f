"""URIs of resources: `mixpanel://pipelines/a%2Fb?format=json`, and back without losing a letter.

The library of the SDK refuses a `..` in a value and decodes before it divides, so names that
somebody chose freely would not all come back as they were. Here a URI is divided first, and each
part then decoded strictly.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from urllib.parse import quote, unquote_to_bytes

from mixpanel_mcp.sanitize import quoted

SCHEME = "mixpanel://"

_LONGEST = 16_384
_BROKEN_ESCAPE = re.compile("%(?![0-9A-Fa-f]{2})")


class AddressError(ValueError):
    """A URI that names nothing here; says why."""


class Format(StrEnum):
    """In which form a resource is read."""

    MARKDOWN = "markdown"
    JSON = "json"

    @property
    def mime_type(self) -> str:
        return "text/markdown" if self is Format.MARKDOWN else "application/json"


@dataclass(frozen=True)
class Address:
    """A URI, understood: its decoded path, and the two query variables there are."""

    path: tuple[str, ...]
    format: Format = Format.MARKDOWN
    connection: str | None = None

    @property
    def uri(self) -> str:
        """The one spelling that listings and links use: pure ASCII, all but letters escaped.

        Raises:
            UnicodeEncodeError: the path has half of a character, which no URI can carry.
        """
        variables: list[str] = []
        if self.format is not Format.MARKDOWN:
            variables.append(f"format={self.format.value}")
        if self.connection is not None:
            variables.append(f"connection={_escaped(self.connection)}")
        path = "/".join(map(_escaped, self.path))
        return f"{SCHEME}{path}" + (f"?{'&'.join(variables)}" if variables else "")

    def spellings(self, *, default_connection: bool) -> Sequence[str]:
        """Every URI under which somebody may have asked to be told of changes."""
        places = [self, replace(self, connection=None)] if default_connection else [self]
        return list(
            dict.fromkeys(replace(place, format=each).uri for place in places for each in Format)
        )


def parse_address(uri: str) -> Address:
    """Understand a URI; whether there is such a resource is for others to say.

    Raises:
        AddressError: it is not one of ours, or cannot be read.
    """
    if len(uri) > _LONGEST:
        raise AddressError("The URI is too long to be one of this server's.")
    if not uri.startswith(SCHEME):
        raise AddressError(f"{quoted(uri)} is none of this server's URIs: they begin {SCHEME}.")
    if "#" in uri:
        raise AddressError("A resource's URI has no fragment; a # in a name is written %23.")
    path, _, query = uri.removeprefix(SCHEME).partition("?")
    variables = _variables(query)
    return Address(
        path=tuple(_decoded(part) for part in path.split("/")),
        format=_format(variables.get("format", "")),
        connection=variables.get("connection") or None,
    )


def _variables(query: str) -> Mapping[str, str]:
    found: dict[str, str] = {}
    for pair in filter(None, query.split("&")):
        name, _, value = (_decoded(part) for part in pair.partition("="))
        if name not in {"format", "connection"}:
            raise AddressError(
                f"A resource has no variable {quoted(name)}; a ? in a name is written %3F."
            )
        if name in found:
            raise AddressError(f"The URI has {name} twice.")
        found[name] = value
    return found


def _format(value: str) -> Format:
    # Forms that fill in a template send what was left empty as `format=`.
    if value in {"", *Format}:
        return Format(value or Format.MARKDOWN)
    known = " or ".join(each.value for each in Format)
    raise AddressError(
        f"There is no format {quoted(value)}; use {known} (the default is markdown)."
    )


def _escaped(part: str) -> str:
    # Whoever normalizes a URI takes a part that is only dots for a step in the tree.
    return "%2E" * len(part) if part in {".", ".."} else quote(part, safe="")


def _decoded(part: str) -> str:
    if _BROKEN_ESCAPE.search(part):
        raise AddressError("The URI has a % that escapes nothing; a % in a name is written %25.")
    try:
        return unquote_to_bytes(part).decode()
    except UnicodeError:
        raise AddressError("The URI's escapes are not UTF-8.") from None
