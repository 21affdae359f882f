"""The resources of one server: which there are, where they lead, and who is told of changes."""

import asyncio
from collections.abc import Mapping, Sequence

import mcp.types as t
from mcp.server.subscriptions import ResourcesListChanged, ResourceUpdated

from mixpanel_mcp.resources.addresses import Address, AddressError, Format, parse_address
from mixpanel_mcp.resources.announcements import Announcements
from mixpanel_mcp.resources.background import Background
from mixpanel_mcp.resources.entries import (
    COLLECTIONS,
    EXPORT_COLLECTION,
    MOST_LISTED,
    PIPELINE_COLLECTION,
    Collection,
    Signs,
)
from mixpanel_mcp.resources.kinds import KINDS, Kind, kind_of
from mixpanel_mcp.resources.notices import Notice, Notices
from mixpanel_mcp.resources.place import Place, Read
from mixpanel_mcp.resources.shelf import Shelf
from mixpanel_mcp.safety.redaction import redactor
from mixpanel_mcp.sanitize import quoted
from mixpanel_mcp.settings import Connection


class Library:
    """What can be browsed, of all connections; the first one is meant where none is named."""

    def __init__(
        self,
        *,
        connections: Sequence[Connection],
        offered: frozenset[str],
        read: Read,
        notices: Mapping[str, Notices] | None = None,
    ) -> None:
        """Nothing is read before somebody lists, completes or reads.

        Args:
            connections: their names stand in URIs where there are several.
            offered: names of the operations that the policy leaves.
            read: runs one of the reading operations.
            notices: by connection, what tells the same caller's other servers of changes.
        """
        self._notices = {name: (each, _Ear(self, name)) for name, each in (notices or {}).items()}
        for told, ear in self._notices.values():
            told.listen(ear)
        self.background = Background()
        self.announcements = Announcements(self.background, lambda uri: self.find(uri)[0].uri)
        self.kinds = [kind for kind in KINDS if kind.is_offered(offered)]
        redact = redactor(connections)
        self.places = {
            connection.name: Place(
                connection,
                is_default=connection is connections[0],
                signs=Signs(connection.name if len(connections) > 1 else None, redact),
                offered=offered,
                read=read,
                changed=self._listing_changed,
                background=self.background,
            )
            for connection in connections
        }

    async def close(self) -> None:
        for told, ear in self._notices.values():
            told.leave(ear)
        await self.background.close()

    async def resources(self) -> list[t.Resource]:
        """All there is, known pipelines and funnels one by one; waits a moment the first time."""
        shelves = self._shelves()
        await asyncio.gather(*(shelf.first() for _, _, shelf in shelves))
        listed = [
            resource
            for kind in self.kinds
            if kind.variable is None
            for resource in self._resources(kind)
        ]
        for place, each, shelf in shelves:
            listed += place.signs.listed(each, shelf.hand_out())
        return listed

    @property
    def is_complete(self) -> bool:
        """Whether all listings are known, so that a list may be kept for a while."""
        return all(shelf.is_known for _, _, shelf in self._shelves())

    def templates(self) -> list[t.ResourceTemplate]:
        variables = "{?format}" if len(self.places) == 1 else "{?format,connection}"
        return [
            t.ResourceTemplate(
                uri_template=kind.uri + variables,
                name=kind.name,
                title=kind.title,
                description=f"{kind.description} format: markdown (the default) or json.",
            )
            for kind in self.kinds
            if kind.variable
        ]

    def find(self, uri: str) -> tuple[Address, Kind, str, Place]:
        """What a URI names: the kind, the variable's value, and the connection.

        Raises:
            AddressError: nothing that is offered here.
        """
        address = parse_address(uri)
        found = kind_of(address.path)
        if found is None or found[0] not in self.kinds:
            shown = quoted("/".join(address.path))
            there = ", ".join(kind.uri for kind in self.kinds)
            why = "not offered here" if found else "none of this server's resources"
            hint = " (a / in a name is written %2F)" if len(address.path) > 2 else ""
            raise AddressError(f"{shown} is {why}{hint}; there are: {there}.")
        return address, *found, self.place(address.connection)

    def place(self, connection: str | None) -> Place:
        """The place of a connection, or of the first one.

        Raises:
            AddressError: there is no such connection.
        """
        if connection is None:
            return next(iter(self.places.values()))
        if connection not in self.places:
            known = ", ".join(self.places)
            raise AddressError(f"There is no connection {quoted(connection)}; there are: {known}.")
        return self.places[connection]

    async def announce(
        self,
        place: Place,
        collection: Collection,
        keys: Sequence[str] = (),
        *,
        list_changed: bool = True,
    ) -> None:
        """Tell clients what changed: a collection, what stands under these keys, and the list.

        The same caller's other servers are told, and tell their clients.
        """
        notice = Notice(collection.folder, tuple(keys), list_changed=list_changed)
        await self._announce_here(place, collection, notice)
        if place.connection.name in self._notices:
            told, ear = self._notices[place.connection.name]
            await told.tell(notice, ear)

    async def hear(self, connection: str, notice: Notice) -> None:
        """Follow a change that another server of this caller made."""
        place = self.place(connection)
        for collection in COLLECTIONS:
            if collection.folder == notice.folder:
                if shelf := place.shelf(collection):
                    shelf.expire()
                if collection.whole in self.kinds:
                    await self._announce_here(place, collection, notice)

    def missed(self, connection: str) -> None:
        """Look again for what may have changed without a notice."""
        for collection in (PIPELINE_COLLECTION, EXPORT_COLLECTION):
            if shelf := self.place(connection).shelf(collection):
                shelf.expire()

    async def _announce_here(self, place: Place, collection: Collection, notice: Notice) -> None:
        if notice.list_changed:
            await self.announcements.publish(ResourcesListChanged())
        paths = [(collection.folder,), *((collection.folder, key) for key in notice.keys)]
        for path in paths:
            address = Address(path, connection=place.name_in_uris)
            for uri in address.spellings(default_connection=place.is_default):
                await self.announcements.publish(ResourceUpdated(uri=uri))

    def _listing_changed(self, place: Place, collection: Collection) -> None:
        # Only here: other servers look for themselves, and would tell each other for ever.
        self.background.start(self._announce_here(place, collection, Notice(collection.folder)))

    def _shelves(self) -> list[tuple[Place, Collection, Shelf]]:
        """What is listed one by one: where it can be listed, and each can be read."""
        return [
            (place, each, shelf)
            for place in self.places.values()
            for each in COLLECTIONS
            if each.each in self.kinds and (shelf := place.shelf(each))
        ]

    def _resources(self, kind: Kind) -> list[t.Resource]:
        """A resource without a variable; once for each connection, unless all share it."""
        places = [self.place(None)] if kind.shared else self.places.values()
        return [self._resource(kind, place) for place in places]

    def _resource(self, kind: Kind, place: Place) -> t.Resource:
        name = None if kind.shared else place.name_in_uris
        return t.Resource(
            uri=Address(tuple(kind.path.split("/")), connection=name).uri,
            name=kind.name,
            title=f"{kind.title} ({name})" if name else kind.title,
            description=kind.description + self._left_out(kind, place),
            mime_type=Format.MARKDOWN.mime_type,
        )

    def _left_out(self, kind: Kind, place: Place) -> str:
        """What to know of a collection of which the list has not all."""
        shelves = [
            shelf for at, each, shelf in self._shelves() if at is place and each.whole is kind
        ]
        if all(len(shelf.entries) <= MOST_LISTED for shelf in shelves):
            return ""
        return (
            f" The list has the first {MOST_LISTED} of them as entries of their own: completion "
            "and ?format=json know more."
        )


class _Ear:
    """What a library hears of one connection."""

    def __init__(self, library: Library, connection: str) -> None:
        self._library = library
        self._connection = connection

    async def heard(self, notice: Notice) -> None:
        await self._library.hear(self._connection, notice)

    def missed(self) -> None:
        self._library.missed(self._connection)
