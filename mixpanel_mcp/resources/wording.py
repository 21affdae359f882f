"""Text from Mixpanel inside Markdown, titles and links, where it must stay what it is: text."""

import re

from mixpanel_mcp.sanitize import clean, cut

_LONGEST_TITLE = 80
_MARKUP = re.compile(r"[\\`*_\[\]<>|~@]|:(?=//)|(?<=www)\.", re.IGNORECASE)
_TICKS = re.compile("`+")
_LINKS = (("<", "\u2039"), (">", "\u203a"), ("](", "] ("), ("://", ": //"), ("`", "'"))


def code(text: str) -> str:
    """A code span: its content is shown letter by letter, and links to nothing.

    `text` is one line, cleaned.
    """
    if not text:
        return ""
    ticks = "`" * (max(map(len, _TICKS.findall(text)), default=0) + 1)
    # A blank at both ends is taken off again; without it, ticks of the text would join the fence.
    padded = f" {text} " if text[0] in "` " or text[-1] in "` " else text
    return f"{ticks}{padded}{ticks}"


def escaped(sentence: str) -> str:
    """One of our sentences in Markdown, with values in it that may look like markup."""
    return _MARKUP.sub(lambda found: "\\" + found.group(), sentence)


def title(text: str, limit: int = _LONGEST_TITLE) -> str:
    """A name for people in a list, where hosts may show Markdown or HTML."""
    shown = cut(clean(text), limit)
    for markup, harmless in _LINKS:
        shown = shown.replace(markup, harmless)
    return shown
