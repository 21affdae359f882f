"""Whoever counts what goes to Mixpanel hears of it here, whichever client sends."""

from collections.abc import Generator
from contextlib import contextmanager
from typing import Protocol

from mixpanel_mcp.api.request import Request

# Apart from `spans`: an attempt is counted once it ended, by every server of a process; a span is
# open around it and has a parent, for one recorder. As one, counts would be read out of span names.


class Observer(Protocol):
    """Counts; it must not wait, and must not raise."""

    def attempted(self, request: Request, ended: str, *, number: int) -> None:
        """Hear how an attempt ended: a status, or a word. `number` counts from 1."""
        ...

    def waited_for_slot(self, seconds: float) -> None:
        """Hear how long the budget held a request up."""
        ...


_observers: list[Observer] = []


@contextmanager
def observing(observer: Observer) -> Generator[None]:
    """Let an observer hear of everything in this process."""
    _observers.append(observer)
    try:
        yield
    finally:
        _observers.remove(observer)


def attempted(request: Request, ended: str, *, number: int) -> None:
    for observer in _observers:
        observer.attempted(request, ended, number=number)


def waited_for_slot(seconds: float) -> None:
    for observer in _observers:
        observer.waited_for_slot(seconds)
