"""One connection as resources see it: what is known there, and the way to read more."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from mixpanel_mcp.operation import Answer, Arguments
from mixpanel_mcp.resources.background import Background
from mixpanel_mcp.resources.entries import COLLECTIONS, Collection, Entry, Signs
from mixpanel_mcp.resources.shelf import Shelf
from mixpanel_mcp.settings import Connection


class Read(Protocol):
    """Runs an operation that only reads."""

    async def __call__(
        self,
        operation: str,
        given: Mapping[str, Any],
        connection: str,
        /,
        *,
        in_background: bool = False,
    ) -> Answer:
        """Ask Mixpanel; in the background only once, and not with the last calls it allows.

        Raises:
            MixpanelError: what the operation raises.
        """
        ...


class Place:
    """A connection, its listings, and its secrets to be kept out of what is shown."""

    def __init__(
        self,
        connection: Connection,
        *,
        is_default: bool,
        signs: Signs,
        offered: frozenset[str],
        read: Read,
        changed: Callable[["Place", Collection], None],
        background: Background,
    ) -> None:
        self.connection = connection
        self.is_default = is_default
        self.signs = signs
        self.name_in_uris = signs.connection
        self.redact = signs.redact
        self._read = read
        self._shelves = {
            each: self._shelf(each, changed, background)
            for each in COLLECTIONS
            if each.operation in offered
        }

    async def answer(self, operation: str, **arguments: Any) -> Answer:
        """Ask Mixpanel.

        Raises:
            MixpanelError: what the operation raises.
        """
        return await self._read(operation, arguments, self.connection.name)

    def shelf(self, collection: Collection) -> Shelf | None:
        return self._shelves.get(collection)

    async def known(self, collection: Collection) -> tuple[Entry, ...]:
        """What is known, waiting a moment for the first listing; a refresh begins where due."""
        shelf = self.shelf(collection)
        if shelf is None:
            return ()
        await shelf.first()
        return shelf.look()

    def name_of(self, collection: Collection, key: str) -> str | None:
        """The name that belongs to a key, if it is known."""
        shelf = self.shelf(collection)
        names = (each.name for each in (shelf.entries if shelf else ()) if each.key == key)
        return next(names, None)

    def learn(self, collection: Collection, entries: Sequence[Entry]) -> None:
        """Keep a listing that was asked for anyway."""
        if shelf := self.shelf(collection):
            shelf.put(entries)

    def scope(self) -> dict[str, Any]:
        scope: dict[str, Any] = {
            "project": self.connection.project_id,
            "region": self.connection.region.value,
        }
        if self.name_in_uris:
            scope["connection"] = self.name_in_uris
        if self.connection.sandbox:
            scope["sandbox"] = True
        return scope

    def is_meant_by(self, arguments: Arguments) -> bool:
        """Whether a call is about the project, view and region that the URIs stand for."""
        ours = self.connection
        return (
            arguments.given("project_id") in (None, ours.project_id)
            and arguments.given("workspace_id") in (None, ours.workspace_id)
            and arguments.region in (None, ours.region)
        )

    def _shelf(
        self,
        collection: Collection,
        changed: Callable[["Place", Collection], None],
        background: Background,
    ) -> Shelf:
        async def fetch() -> list[Entry]:
            name = self.connection.name
            return collection.entries(
                await self._read(collection.operation, {}, name, in_background=True)
            )

        return Shelf(fetch, lambda: changed(self, collection), background)
