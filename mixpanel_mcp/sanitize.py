"""Values from outside, made fit to be shown.

A project token is public, so anybody can write the names and values that a model reads here.
What could break out of its place or look like something else is taken out before it is shown.
"""

import math
import re
from collections.abc import Mapping

from mixpanel_mcp.json_values import is_list, is_object

# Control characters; marks that reorder text; invisible characters that carry hidden text (tags,
# variation selectors, zero-width); halves of surrogate pairs. The two joiners stay: emoji and
# several scripts need them.
_HIDDEN = re.compile(
    "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u00ad\u061c\u180e\u200b\u200e\u200f\u202a-\u202e"
    "\u2060-\u206f\ufeff\ufff9-\ufffb\ud800-\udfff\U000e0000-\U000e0fff]"
)
_BREAKS = re.compile("\r\n|[\r\n\t\u2028\u2029]")

_LONGEST_VALUE = 500
_DEEPEST = 40


def clean(text: str) -> str:
    """One line without hidden characters."""
    return _HIDDEN.sub("", _BREAKS.sub(" ", text))


def clean_lines(text: str) -> str:
    """Text that keeps its lines and tabs, without hidden characters."""
    return _HIDDEN.sub("", re.sub("\r\n|[\r\u2028\u2029]", "\n", text))


def cut(text: str, limit: int = _LONGEST_VALUE) -> str:
    """Say how much is missing where something is."""
    return text if len(text) <= limit else f"{text[:limit]}… (+{len(text) - limit} characters)"


def quoted(value: object, limit: int = 80) -> str:
    """A value inside a sentence of ours: cleaned, cut and in quotes it cannot close."""
    return '"' + cut(clean(str(value)), limit).replace('"', "'") + '"'


def counted(count: int, noun: str) -> str:
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def listed(values: list[str], most: int = 5, limit: int = 80) -> str:
    """The first few of many values, and how many more there are."""
    shown = ", ".join(quoted(value, limit) for value in values[:most])
    return shown if len(values) <= most else f"{shown} and {len(values) - most} more"


def clean_data(value: object, *, depth: int = 0) -> object:
    """A JSON value for programs: hidden characters removed, strings and keys else untouched."""
    if isinstance(value, str):
        return clean_lines(value)
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if depth > _DEEPEST and (is_list(value) or is_object(value)):
        return "… (nested too deeply)"
    if is_object(value):
        return {
            clean_lines(str(key)): clean_data(item, depth=depth + 1) for key, item in value.items()
        }
    if is_list(value):
        return [clean_data(item, depth=depth + 1) for item in value]
    return value


class Redactor:
    """Takes secrets out of text, in every form in which they could have been sent."""

    def __init__(self, secrets: Mapping[str, str]) -> None:
        """`secrets` maps each text to look for to what stands in its place."""
        self._names = {text: name for text, name in secrets.items() if len(text) >= 4}
        longest_first = sorted(self._names, key=len, reverse=True)
        self._pattern = re.compile("|".join(map(re.escape, longest_first)) or r"(?!)")

    def text(self, text: str) -> str:
        return self._pattern.sub(lambda found: self._names[found.group()], text)

    def data(self, value: object) -> object:
        if isinstance(value, str):
            return self.text(value)
        if is_object(value):
            return {self.text(key): self.data(item) for key, item in value.items()}
        if is_list(value):
            return [self.data(item) for item in value]
        return value
