"""What servers make of a path that is spelled oddly."""

import re
from collections.abc import Sequence
from functools import lru_cache
from urllib.parse import unquote


def plain_path(path: str) -> str:
    """The path a lenient server could see: decoded to the end, lower case, no doubled slashes."""
    for _ in range(4):
        path = unquote(path)
    path = path.replace("\\", "/").lower()
    return "/" + "/".join(part for part in path.split("/") if part not in {"", "."})


def readings(path: str) -> Sequence[str]:
    """What servers make of a path: as it is, without parameters, or cut at what ends it."""
    return _remembered(path) if len(path) <= _LONGEST_REMEMBERED else _readings(path)


def _readings(path: str) -> Sequence[str]:
    plain = plain_path(path)
    without_parameters = plain_path("/".join(part.split(";")[0] for part in plain.split("/")))
    ended = [plain_path(re.split(r"[?#]", each)[0]) for each in (plain, without_parameters)]
    return tuple(dict.fromkeys([plain, without_parameters, *ended]))


# Every request is asked for them several times, and most paths are the same few.
_LONGEST_REMEMBERED = 200
_remembered = lru_cache(maxsize=256)(_readings)
