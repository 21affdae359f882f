"""The child process: one script in one JavaScript engine, spoken to over stdin and stdout.

The engine gets no function of ours to call, so a script that broke out of the language would still
have to break out of a process without data, secrets or the right to open a file.
"""

from __future__ import annotations

import json
import math
import sys
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from mixpanel_mcp.sandbox.jql.frames import Tag, read_frame, write_frame
from mixpanel_mcp.sandbox.jql.lines import lines_of

if TYPE_CHECKING:
    from collections.abc import Callable

_UNSPEAKABLE = "(Failed obtaining"
"""What the binding says of a thrown value that throws when it is asked for its text."""

Answer = tuple[Tag, bytes]

_RUNTIME = ("dates", "values", "reducers", "collections", "underscore", "engine")
_MAIN = "typeof main === 'function' ? main : undefined"


class Engine:
    """Raises ModuleNotFoundError where the engine is not installed."""

    def __init__(self, script: str, memory: int, seconds: float) -> None:
        # An optional extra that only the child needs; it brings no types.
        import quickjs  # noqa: PLC0415  # pyright: ignore[reportMissingTypeStubs]

        binding: Any = quickjs
        self._thrown: type[Exception] = binding.JSException
        self._context: Any = binding.Context()
        self._context.set_memory_limit(memory)
        # The parent watches the clock. This is for the case that there is no parent any more.
        self._context.set_time_limit(seconds)
        self._set_params, self._begin, self._feed, self._finish = self._load(script)

    def start(self, script: str, params: str) -> Answer:
        """Run the script and its main(), and answer with what it reads."""
        self._run(self._set_params, params)
        try:
            # The binding refuses the character that JavaScript allows in its strings.
            self._context.eval(script.replace("\0", "\\u0000"))
            script_main = self._context.eval(_MAIN)
        except self._thrown as error:
            return _failure(error)
        return self._run(self._begin, script_main)

    def feed(self, items: str) -> Answer:
        return self._run(self._feed, items)

    def finish(self) -> Answer:
        return self._run(self._finish, None)

    def _load(self, script: str) -> list[Any]:
        # Stack traces name no files: our lines are those that come after the script's last.
        blank = "\n" * len(lines_of(script))
        folder = files("mixpanel_mcp.sandbox.jql") / "runtime"
        texts = [(folder / f"{name}.js").read_text(encoding="utf-8") for name in _RUNTIME]
        self._context.eval(f'(() => {{ "use strict"; {blank}{"".join(texts)} }})()')
        calls = [self._context.eval(f"jqlCalls[{index}]") for index in range(4)]
        self._context.eval("delete globalThis.jqlCalls")
        return calls

    def _run(self, call: Callable[[Any], str], argument: Any) -> Answer:
        try:
            answer = call(argument)
        except self._thrown as error:
            # Not even the runtime could answer: no memory, no stack or no time is left.
            return _failure(error)
        return Tag(answer[0].encode()), answer[1:].encode()


def _failure(error: Exception) -> Answer:
    head, _, stack = str(error).partition("\n")
    if head.startswith(_UNSPEAKABLE):
        head = "something was thrown that has no text"
    name, colon, message = head.partition(": ")
    parts = (name, message) if colon else ("", head)
    body = {"name": parts[0], "message": parts[1], "stack": stack}
    return Tag.FAILURE, json.dumps(body).encode()


def main() -> None:
    incoming, outgoing = sys.stdin.buffer, sys.stdout.buffer
    _, order = read_frame(incoming)
    asked = json.loads(order)
    script, seconds = asked["script"], asked["seconds"]
    try:
        engine = Engine(script, asked["memory"], seconds)
    except ModuleNotFoundError:
        write_frame(outgoing, Tag.NO_ENGINE, b"")
        return
    _give_up_rights(seconds)
    write_frame(outgoing, *engine.start(script, asked["params"]))
    while True:
        try:
            tag, body = read_frame(incoming)
        except EOFError:
            return
        answer = engine.feed(body.decode()) if tag is Tag.ITEMS else engine.finish()
        write_frame(outgoing, *answer)


def _give_up_rights(seconds: float) -> None:
    if sys.platform == "win32":
        return
    import resource  # noqa: PLC0415  # it is not there on Windows

    for kind, wanted in (
        (resource.RLIMIT_NOFILE, 0),
        (resource.RLIMIT_CORE, 0),
        # The engine looks at its clock between two steps of a script; some steps are endless.
        (resource.RLIMIT_CPU, math.ceil(seconds) + 5),
    ):
        _, most = resource.getrlimit(kind)
        limit = wanted if most == resource.RLIM_INFINITY else min(wanted, most)
        resource.setrlimit(kind, (limit, limit))
