"""A script's lines, as JavaScript counts them."""

from __future__ import annotations

import re

_END = re.compile("\r\n|[\n\r\u2028\u2029]")


def lines_of(script: str) -> list[str]:
    return _END.split(script)


def place_of(script: str, offset: int) -> tuple[int, int]:
    """Line and column of a character, both from 1."""
    before = lines_of(script[:offset])
    return len(before), len(before[-1]) + 1
