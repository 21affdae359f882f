"""Naming what was meant."""

import difflib
from collections.abc import Iterable


def nearest(name: str, known: Iterable[str]) -> str:
    """The end of a sentence that names the closest known name, or all of them if none is close."""
    choices = sorted(known)
    close = closest(name, choices)
    return f"; did you mean {close}?" if close else f"; there are {', '.join(choices)}"


def closest(name: str, known: Iterable[str]) -> str | None:
    """The one known name that begins so, or else the one with the most letters in common."""
    choices = sorted(known)
    begun = [choice for choice in choices if choice.startswith(name)]
    if len(begun) == 1:
        return begun[0]
    return next(iter(difflib.get_close_matches(name, choices, n=1, cutoff=0.5)), None)
