"""Values from outside, made fit to be shown.

A project token is public, so anybody can write the names and values that a model reads here.
What could break out of its place or look like something else is taken out before it is shown.
"""

import math
import re
from collections import Counter
from collections.abc import Mapping

from mixpanel_mcp.json_values import is_list, is_object

# Control characters; marks that reorder text; invisible characters that carry hidden text (tags,
# variation selectors, zero-width, shorthand and music formats); letters without a shape; halves of
# surrogate pairs. The two joiners and U+FE0F stay: emoji and several scripts need them.
_HIDDEN = re.compile(
    "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u00ad\u061c\u200b\u200e\u200f\u202a-\u202e"
    "\u2060-\u206f\ufeff\ufff9-\ufffb\ud800-\udfff\U000e0000-\U000e0fff"
    "\u180b-\u180f\ufe00-\ufe0e\U0001bca0-\U0001bca3\U0001d173-\U0001d17a"
    "\u034f\u115f\u1160\u17b4\u17b5\u3164\uffa0]"
)
_BREAKS = re.compile("\r\n|[\r\n\t\u2028\u2029]")

LONGEST_VALUE = 500
_DEEPEST = 40
_SIMPLE: set[type] = {str, int, float, bool, type(None)}


def clean(text: str) -> str:
    """One line without hidden characters."""
    if _is_plain(text):
        return text
    return _HIDDEN.sub("", _BREAKS.sub(" ", text))


def clean_lines(text: str) -> str:
    """Text that keeps its lines and tabs, without hidden characters."""
    if _is_plain(text):
        return text
    return _HIDDEN.sub("", re.sub("\r\n|[\r\u2028\u2029]", "\n", text))


def _is_plain(text: str) -> bool:
    """Whether nothing in it can be hidden or break a line, as in most names and numbers."""
    return text.isascii() and text.isprintable()


def cut(text: str, limit: int = LONGEST_VALUE) -> str:
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
        items = [clean_data(item, depth=depth + 1) for item in value.values()]
        return dict(zip(_clean_names([str(key) for key in value]), items, strict=True))
    if is_list(value):
        return [clean_data(item, depth=depth + 1) for item in value]
    return value


def is_plain_data(value: object, *, depth: int = 0) -> bool:
    """Whether cleaning would leave a value as it is, but for strings, names and infinities."""
    if is_object(value):
        names, items = value.keys(), value.values()
        if not {str}.issuperset(map(type, names)):
            return False
    elif is_list(value):
        items = value
    else:
        return type(value) in _SIMPLE
    if depth > _DEEPEST:
        return False
    if _SIMPLE.issuperset(map(type, items)):
        return True
    return all(is_plain_data(item, depth=depth + 1) for item in items)


def _clean_names(names: list[str]) -> list[str]:
    """As many different names as before; of two that look the same, the later one is numbered.

    A name that was clean keeps its place: nobody can push it aside with a look-alike.
    """
    cleaned = [clean_lines(name) for name in names]
    if len(set(cleaned)) == len(names):
        return cleaned
    taken = {name for name, shown in zip(names, cleaned, strict=True) if name == shown}
    numbers: Counter[str] = Counter()
    for place, (name, shown) in enumerate(zip(names, cleaned, strict=True)):
        if name == shown:
            continue
        while cleaned[place] in taken:
            numbers[shown] += 1
            cleaned[place] = f"{shown} ({numbers[shown] + 1})"
        taken.add(cleaned[place])
    return cleaned


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
