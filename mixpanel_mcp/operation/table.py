"""The table of operations, and the decorator that fills it."""

import inspect
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from mixpanel_mcp.operation.answer import Answer
from mixpanel_mcp.operation.arguments import Arguments
from mixpanel_mcp.operation.call import Call
from mixpanel_mcp.operation.guard import Effect

Run = Callable[[Call, Any], Awaitable[Answer]]
_Run = TypeVar("_Run", bound=Run)


@dataclass(frozen=True, kw_only=True)
class Operation:
    """A row of the table; what the fields mean stands at `operation`."""

    name: str
    title: str
    toolset: str
    effect: Effect
    docs: str
    idempotent: bool
    reads_sometimes: bool
    needs_files: bool
    description: str
    arguments: type[Arguments]
    run: Run


OPERATIONS: dict[str, Operation] = {}


def operation(
    *,
    title: str,
    toolset: str,
    effect: Effect,
    docs: str,
    idempotent: bool = False,
    reads_sometimes: bool = False,
    needs_files: bool = False,
) -> Callable[[_Run], _Run]:
    """Enter a function into the table of operations.

    Args:
        title: the tool's name for people.
        toolset: the group it can be switched on and off with.
        effect: the most it can do; what a call does is decided on its requests.
        docs: the specification file and path, or the page, that the function follows.
        idempotent: whether a second call changes nothing more.
        reads_sometimes: whether it is of use in read-only mode, for its reads alone.
        needs_files: whether it works on files alone, so that it is of no use without a folder.
    """

    def enter(function: _Run) -> _Run:
        _, arguments = inspect.signature(function, eval_str=True).parameters.values()
        OPERATIONS[function.__name__] = Operation(
            name=function.__name__,
            title=title,
            toolset=toolset,
            effect=effect,
            docs=docs,
            idempotent=idempotent,
            reads_sometimes=reads_sometimes,
            needs_files=needs_files,
            description=inspect.cleandoc(function.__doc__ or "").split("\n\nRaises:")[0],
            arguments=arguments.annotation,
            run=function,
        )
        return function

    return enter
