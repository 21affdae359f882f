"""A script from its plan to its result: data is read while the engine works on the piece before."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mixpanel_mcp.sandbox.jql.errors import JqlError, misplaced
from mixpanel_mcp.sandbox.jql.frames import Tag
from mixpanel_mcp.sandbox.jql.plans import read_plan
from mixpanel_mcp.sandbox.jql.sources import SourceError, items

if TYPE_CHECKING:
    from mixpanel_mcp.analytics.store import Store
    from mixpanel_mcp.sandbox.jql.limits import Limits
    from mixpanel_mcp.sandbox.jql.process import ScriptProcess


def run_script(
    store: Store, process: ScriptProcess, limits: Limits, script: str, params: str
) -> bytes:
    """Return the JSON array that the script makes of the stored data. It blocks.

    Raises:
        JqlError: the script is at fault, or took too much.
        EngineMissingError: there is no engine to run it.
    """
    result = _Result(limits.output)
    with process:
        plan = read_plan(process.start(script, params))
        try:
            pieces = items(store, plan)
        except SourceError as error:
            raise misplaced(str(error), plan.stack, script) from error
        is_busy = False
        for piece in pieces:
            if is_busy:
                result.add(process.receive())
            process.send(Tag.ITEMS, piece)
            is_busy = True
        if is_busy:
            result.add(process.receive())
        process.send(Tag.END, b"")
        result.add(process.receive())
    return result.array()


class _Result:
    def __init__(self, most: int) -> None:
        self._left = most
        self._most = most
        self._pieces: list[bytes] = []

    def add(self, texts: bytes) -> None:
        self._left -= len(texts)
        if self._left < 0:
            megabytes = self._most // 2**20
            raise JqlError(f"The result of the script is larger than {megabytes} MB.")
        if texts:
            self._pieces.append(texts)

    def array(self) -> bytes:
        return b"[" + b",".join(self._pieces) + b"]"
