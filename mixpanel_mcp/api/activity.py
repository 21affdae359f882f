"""What a call waits for at the moment, for whoever tells the person how it goes.

The layers between a call and the wire need not hand this through: whoever begins to wait says so
with `waiting_for`, and whoever opened the activity reads it.
"""

import time
from collections.abc import Generator
from contextlib import contextmanager, nullcontext
from contextvars import ContextVar
from enum import StrEnum
from typing import Protocol

from mixpanel_mcp import spans
from mixpanel_mcp.api.observers import waited_for_slot


class Wait(StrEnum):
    """What can take long; where a call does several at once the first of these is told."""

    ANSWER = "waiting for Mixpanel"
    STREAM = "receiving from Mixpanel"
    RETRY = "waiting to send again, as Mixpanel asked for time or failed"
    SLOT = "waiting for a slot of Mixpanel's budget"
    PERSON = "waiting for a person to answer"


# What is waited for an answer is the span of the request.
_SPANS = {
    Wait.STREAM: "mixpanel.receive",
    Wait.RETRY: "mixpanel.wait.retry",
    Wait.SLOT: "mixpanel.wait.budget",
    Wait.PERSON: "mixpanel.wait.person",
}


class Clock(Protocol):
    def __call__(self) -> float: ...


class Activity:
    """The waits of one call that go on now, each with its beginning."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._begun = clock()
        self._waits: list[tuple[Wait, float]] = []

    def shown(self) -> str:
        """One sentence, such as `waiting for Mixpanel since 4 s`."""
        for wait in Wait:
            beginnings = [begun for kind, begun in self._waits if kind is wait]
            if beginnings:
                return f"{wait} since {self._clock() - min(beginnings):.0f} s"
        return f"working since {self._clock() - self._begun:.0f} s"

    @contextmanager
    def waiting(self, wait: Wait) -> Generator[None]:
        entry = (wait, self._clock())
        self._waits.append(entry)
        try:
            yield
        finally:
            self._waits.remove(entry)

    @contextmanager
    def opened(self) -> Generator[None]:
        """Let the waits of everything called inside be this activity's."""
        token = _current.set(self)
        try:
            yield
        finally:
            _current.reset(token)


_current: ContextVar[Activity | None] = ContextVar("activity", default=None)


@contextmanager
def waiting_for(wait: Wait) -> Generator[None]:
    """Say what the call that runs here waits for, while it does."""
    activity, name, begun = _current.get(), _SPANS.get(wait), time.monotonic()
    try:
        with (
            spans.span(name) if name else nullcontext(),
            activity.waiting(wait) if activity else nullcontext(),
        ):
            yield
    finally:
        if wait is Wait.SLOT:
            waited_for_slot(time.monotonic() - begun)
