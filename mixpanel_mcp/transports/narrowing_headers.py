"""What a request asks to go without: `X-Mixpanel-Toolsets` and `X-Mixpanel-Read-Only`.

They are for restraint, so one that is misspelt must not pass for one that is not there.
"""

import difflib
from collections.abc import Sequence

from starlette.datastructures import Headers

from mixpanel_mcp.operations import TOOLSETS
from mixpanel_mcp.safety.narrowing import Narrowing
from mixpanel_mcp.sanitize import quoted
from mixpanel_mcp.settings import nearest
from mixpanel_mcp.transports.refusals import misunderstood

_TOOLSETS, _READ_ONLY = "X-Mixpanel-Toolsets", "X-Mixpanel-Read-Only"
_KNOWN = {name.lower(): name for name in (_TOOLSETS, _READ_ONLY)}
_PREFIX = "x-mixpanel"
# By what sets them apart: with all that they share, everything would be near.
_BY_LETTERS = {lower.removeprefix(_PREFIX).replace("-", ""): name for lower, name in _KNOWN.items()}
_NEAR = 0.65
_TRUTH = {"true": True, "false": False}


def narrowing_of(headers: Headers) -> Narrowing:
    """What the headers of a request take away.

    Raises:
        RequestRefusedError: one is unknown, comes twice or has a value that cannot be obeyed.
    """
    # Most requests have nothing of the kind.
    if not any(b"mixpanel" in name for name, _ in headers.raw):
        return Narrowing()
    _refuse_unknown(headers)
    return Narrowing(_toolsets(headers), _read_only(headers))


def _refuse_unknown(headers: Headers) -> None:
    for name in headers:
        plain = name.replace("_", "-")
        if plain.startswith(("x-mixpanel", "mixpanel-")) and name not in _KNOWN:
            raise misunderstood(f"{quoted(name)}: there is no such header; {_meant(plain)}")


def _meant(plain: str) -> str:
    letters = plain.removeprefix("x-").removeprefix("mixpanel").replace("-", "")
    for near in difflib.get_close_matches(letters, _BY_LETTERS, n=1, cutoff=_NEAR):
        return f"did you mean {_BY_LETTERS[near]}?"
    return f"there are {_TOOLSETS} and {_READ_ONLY}"


def _only(headers: Headers, name: str) -> str | None:
    values: Sequence[str] = headers.getlist(name)
    if len(values) > 1:
        raise misunderstood(f"{name}: came more than once; send one")
    return values[0].strip() if values else None


def _toolsets(headers: Headers) -> frozenset[str] | None:
    value = _only(headers, _TOOLSETS)
    if value is None:
        return None
    wanted = frozenset(part.strip() for part in value.split(","))
    for name in sorted(wanted.difference(TOOLSETS)):
        shown = quoted(name, 40) if name else "nothing"
        raise misunderstood(
            f"{_TOOLSETS}: {shown} is none of the toolsets{nearest(name, TOOLSETS)}"
        )
    return None if wanted.issuperset(TOOLSETS) else wanted


def _read_only(headers: Headers) -> bool:
    value = _only(headers, _READ_ONLY)
    if value is None:
        return False
    if value.lower() not in _TRUTH:
        raise misunderstood(f"{_READ_ONLY}: {quoted(value, 40)} is neither true nor false")
    return _TRUTH[value.lower()]
