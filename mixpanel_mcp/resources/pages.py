"""What is read under a URI: Markdown for people and models, or the same as JSON for programs."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

from mixpanel_mcp.api.errors import MixpanelError
from mixpanel_mcp.operation import Answer
from mixpanel_mcp.resources.addresses import Address, Format
from mixpanel_mcp.resources.wording import code, escaped
from mixpanel_mcp.results import DATA_LIMIT, TEXT_LIMIT, Shown, bounded, fence, scope_line
from mixpanel_mcp.sanitize import Redactor

_ROOM_FOR_WORDS = 2_000
_LONGEST_WORDS = 600


@dataclass(frozen=True)
class Page:
    """The content of a resource."""

    text: str
    mime_type: str


@dataclass(frozen=True, kw_only=True)
class Subject:
    """What a page is about.

    `name` comes from Mixpanel; `uris` stand beside the table's rows, None where a row has none.
    """

    title: str
    name: str = ""
    answer: Answer
    scope: Mapping[str, Any]
    uris: Sequence[str | None] = ()


def page(address: Address, subject: Subject, redact: Redactor) -> Page:
    """Write a page in the form that its address asks for."""
    shown = Shown(redact)
    write = _json if address.format is Format.JSON else _markdown
    return Page(write(address, subject, shown), address.format.mime_type)


def _markdown(address: Address, subject: Subject, shown: Shown) -> str:
    del address
    answer = subject.answer
    name = code(shown.line(subject.name, 200))
    blocks = [f"# {subject.title} {name}".rstrip()]
    blocks.append(escaped(shown.line(answer.headline, _LONGEST_WORDS)))
    if answer.table is not None and answer.table.rows:
        blocks.append(fence("\n" + "\n".join(_table(subject, shown)) + "\n"))
    blocks += [f"Note: {escaped(shown.line(note, _LONGEST_WORDS))}" for note in answer.notes]
    scope = cast("dict[str, Any]", shown.data({**subject.scope, **answer.scope}))
    blocks.append(escaped(scope_line(scope, complete=answer.complete)))
    return "\n\n".join(blocks) + "\n"


def _table(subject: Subject, shown: Shown) -> Sequence[str]:
    """The answer's table within the limit, and how much of it is left out."""
    table = subject.answer.table
    if table is None:
        return ()
    uris = subject.uris
    columns = [*table.columns, *(["resource"] if uris else [])]
    lines = [_line(list(map(str, columns))), _line(["---"] * len(columns))]
    room = TEXT_LIMIT - _ROOM_FOR_WORDS
    for number, row in enumerate(table.rows):
        cells = [_cell(value, shown) for value in row]
        if uris:
            cells.append(code(uris[number] or ""))
        line = _line(cells)
        room -= len(line.encode()) + 1
        if room < 0:
            lines.append(f"\n({len(table.rows) - number} more rows are left out here)")
            break
        lines.append(line)
    return lines


def _line(cells: Sequence[str]) -> str:
    # A table takes | for its own, even in code.
    return "| " + " | ".join(cell.replace("|", r"\|") for cell in cells) + " |"


def _cell(value: object, shown: Shown) -> str:
    """Numbers as they are; whatever could be markup as a code span."""
    text = shown.cell(value, shown.value)
    return text if isinstance(value, int | float) else code(text)


def _json(address: Address, subject: Subject, shown: Shown) -> str:
    answer = subject.answer
    data, left_out = bounded(shown.data(answer.data), DATA_LIMIT)
    document = {
        "uri": shown.line(address.uri, TEXT_LIMIT),
        "status": answer.status.value,
        "headline": shown.line(answer.headline, _LONGEST_WORDS),
        "data": data,
        "scope": shown.data({**subject.scope, **answer.scope}),
        "notes": [shown.line(note, _LONGEST_WORDS) for note in answer.notes],
        "complete": answer.complete and not left_out,
    }
    if subject.uris:
        document["resources"] = list(subject.uris)
    return json.dumps(document, ensure_ascii=False, indent=1)


def failure(error: MixpanelError, redact: Redactor) -> str:
    """An expected failure in words, with Mixpanel's own set apart."""
    shown = Shown(redact)
    words = shown.line(str(error), TEXT_LIMIT // 2)
    if not error.said:
        return words
    return f"{words}\nMixpanel's own words:\n{fence(shown.value(error.said))}"
