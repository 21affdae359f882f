"""Telling one caller's other servers what a call changed."""

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True)
class Notice:
    """A collection that changed, by its folder in URIs, and the keys that did."""

    folder: str
    keys: tuple[str, ...] = ()
    list_changed: bool = True


class Ear(Protocol):
    """One server, as far as it hears of one connection."""

    async def heard(self, notice: Notice) -> None: ...

    def missed(self) -> None:
        """Notices may have got lost."""
        ...


class Notices:
    """What the servers of one caller tell each other of one connection, in this process."""

    def __init__(self) -> None:
        self._ears: list[Ear] = []

    def listen(self, ear: Ear) -> None:
        self._ears.append(ear)

    def leave(self, ear: Ear) -> None:
        if ear in self._ears:
            self._ears.remove(ear)

    async def tell(self, notice: Notice, teller: Ear | None = None) -> None:
        for ear in list(self._ears):
            if ear is not teller:
                await ear.heard(notice)

    def missed(self) -> None:
        for ear in self._ears:
            ear.missed()
