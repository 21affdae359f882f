"""A script from its plan to its result: data is read while the engine works on the piece before."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mixpanel_mcp.sandbox.jql.errors import misplaced
from mixpanel_mcp.sandbox.jql.frames import Tag
from mixpanel_mcp.sandbox.jql.plans import read_plan
from mixpanel_mcp.sandbox.jql.sources import SourceError, items

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mixpanel_mcp.analytics.store import Store
    from mixpanel_mcp.sandbox.jql.process import ScriptProcess


def run_script(store: Store, process: ScriptProcess, script: str, params: str) -> bytes:
    """Return the JSON array that the script makes of the stored data. It blocks.

    Raises:
        JqlError: the script is at fault, or took too much.
        EngineMissingError: there is no engine to run it.
    """
    with process:
        plan = read_plan(process.start(script, params))
        try:
            pieces = items(store, plan)
        except SourceError as error:
            raise misplaced(str(error), plan.stack, script) from error
        return b"[" + b",".join(filter(None, _results(process, pieces))) + b"]"


def _results(process: ScriptProcess, pieces: Iterator[bytes]) -> Iterator[bytes]:
    is_busy = False
    for piece in pieces:
        if is_busy:
            yield process.receive()
        process.send(Tag.ITEMS, piece)
        is_busy = True
    if is_busy:
        yield process.receive()
    process.send(Tag.END, b"")
    yield process.receive()
