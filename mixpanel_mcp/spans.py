"""What goes on inside a call, for whoever records it as a trace; nothing where nobody does.

Only the room `tracing` knows OpenTelemetry. So nothing here costs anything before a recorder is
there, and the layers below the server need no library for it. Attributes are numbers, words of ours
and names that the operator chose: never an argument, a query, or anything of Mixpanel's data.
"""

from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import Protocol

Value = str | int | float | bool | None
Attributes = Mapping[str, Value]
"""By the semantic conventions' names where there are any; None stands for what is not known."""


class Recorder(Protocol):
    """Where spans go."""

    def span(
        self, name: str, attributes: Attributes, *, outgoing: bool
    ) -> AbstractContextManager[None]: ...

    def note(self, attributes: Attributes) -> None: ...

    def trace_id(self) -> str | None: ...

    def continued(self, carrier: Mapping[str, str]) -> AbstractContextManager[None]: ...


class _Recording:
    """The recorder of this process, once there is one."""

    recorder: Recorder | None = None


_NOTHING = nullcontext()


def record_with(recorder: Recorder | None) -> None:
    """Let all spans from here on go to this recorder, or to none."""
    _Recording.recorder = recorder


def span(
    name: str, attributes: Attributes | None = None, *, outgoing: bool = False
) -> AbstractContextManager[None]:
    """Open a span below the one that is open here; `outgoing` where it is a request to others."""
    recorder = _Recording.recorder
    if recorder is None:
        return _NOTHING
    return recorder.span(name, attributes or {}, outgoing=outgoing)


def note(attributes: Attributes) -> None:
    """Add to the span that is open here. `error.type` says that it failed."""
    if _Recording.recorder is not None:
        _Recording.recorder.note(attributes)


def trace_id() -> str | None:
    """The trace that this code runs in: 32 hexadecimal digits."""
    return None if _Recording.recorder is None else _Recording.recorder.trace_id()


def continued(carrier: Mapping[str, str]) -> AbstractContextManager[None]:
    """Run in the trace that a request's headers name (W3C `traceparent`), if they name one."""
    return _NOTHING if _Recording.recorder is None else _Recording.recorder.continued(carrier)
