"""What is read under a URI: guides and the project from here, the rest through the operations."""

import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

from mcp.server.mcpserver.exceptions import ResourceError, ResourceNotFoundError

from mixpanel_mcp.api.errors import InvalidArgumentsError, MixpanelError, NotFoundError
from mixpanel_mcp.operation import Answer
from mixpanel_mcp.operations.pipelines import found_no_pipeline
from mixpanel_mcp.resources import kinds
from mixpanel_mcp.resources.addresses import Address, AddressError, Format
from mixpanel_mcp.resources.entries import COLLECTIONS, FUNNEL_COLLECTION, Collection, entry
from mixpanel_mcp.resources.guides import guide
from mixpanel_mcp.resources.kinds import Kind
from mixpanel_mcp.resources.library import Library
from mixpanel_mcp.resources.pages import Page, Subject, failure, page
from mixpanel_mcp.resources.place import Place
from mixpanel_mcp.resources.project import project_facts, project_text
from mixpanel_mcp.sanitize import quoted
from mixpanel_mcp.settings import Policy

# Used and left of a connection's limits, by the connection's name.
Budget = Callable[[str], Awaitable[Mapping[str, Any]]]
Today = Callable[[], date]

_REPORT_DAYS = 30


def utc_today() -> date:
    return datetime.now(UTC).date()


class Reader:
    """Reads the resources of a library."""

    def __init__(
        self,
        library: Library,
        policy: Policy,
        tools: Sequence[str],
        *,
        budget: Budget | None = None,
        today: Today = utc_today,
    ) -> None:
        """`mixpanel://project` shows `policy` and `tools`, and `budget` if there is one."""
        self._library = library
        self._policy = policy
        self._tools = tools
        self._budget = budget
        self._today = today

    async def read(self, uri: str) -> Page:
        """The page under a URI.

        Raises:
            ResourceNotFoundError: there is nothing under it.
            ResourceError: Mixpanel, or a rule of ours, did not give it.
        """
        try:
            address, kind, value, place = self._library.find(uri)
        except AddressError as error:
            raise ResourceNotFoundError(str(error)) from error
        if kind in kinds.GUIDES:
            return _own(address, guide(kind, self._policy.tool_prefix))
        if kind is kinds.PROJECT:
            return _own(address, await self._project(address, place))
        try:
            return page(address, await self._subject(kind, value, place), place.redact)
        except (NotFoundError, InvalidArgumentsError) as error:
            raise ResourceNotFoundError(failure(error, place.redact)) from error
        except MixpanelError as error:
            raise ResourceError(failure(error, place.redact)) from error

    def fresh_seconds(self, uri: str) -> tuple[int, bool]:
        """How long a page may be kept, and whether it is the same for everybody."""
        try:
            _, kind, _, _ = self._library.find(uri)
        except AddressError:
            return 0, False
        return kind.fresh_seconds, kind.shared

    async def _subject(self, kind: Kind, value: str, place: Place) -> Subject:
        if kind is kinds.PIPELINE:
            return await _pipeline(value, place)
        if kind is kinds.EXPORT:
            answer = await place.answer("get_export", id=value)
            return Subject(title="Export", name=value, answer=answer, scope=place.scope())
        if kind is kinds.FUNNEL:
            return await self._funnel(value, place)
        collection = next(each for each in COLLECTIONS if each.whole is kind)
        answer = await place.answer(collection.operation)
        place.learn(collection, collection.entries(answer))
        uris = _uris(collection, answer, place) if collection.each in self._library.kinds else ()
        return Subject(title=kind.title, answer=answer, scope=place.scope(), uris=uris)

    async def _funnel(self, funnel_id: str, place: Place) -> Subject:
        if not (funnel_id.isascii() and funnel_id.isdigit()):
            raise ResourceNotFoundError(
                f"{quoted(funnel_id)} is no funnel_id: a number, as {kinds.FUNNELS.uri} lists them."
            )
        last = self._today()
        answer = await place.answer(
            "query_funnel_saved_reports",
            funnel_id=funnel_id,
            from_date=(last - timedelta(days=_REPORT_DAYS - 1)).isoformat(),
            to_date=last.isoformat(),
            interval=_REPORT_DAYS,
        )
        zone = (
            f"these {_REPORT_DAYS} days end today in UTC; in the project's time zone it may be "
            "another day"
        )
        answer = replace(answer, notes=[zone, *answer.notes])
        return Subject(
            title=f"Funnel {funnel_id}",
            name=place.name_of(FUNNEL_COLLECTION, funnel_id) or "",
            answer=answer,
            scope=place.scope(),
        )

    async def _project(self, address: Address, place: Place) -> str | Mapping[str, Any]:
        tools = [self._policy.tool_prefix + name for name in self._tools]
        facts: dict[str, Any] = project_facts(place.connection, self._policy, tools)
        if self._budget is not None:
            facts["budget"] = await self._budget(place.connection.name)
        facts = {name: place.redact.data(part) for name, part in facts.items()}
        return facts if address.format is Format.JSON else project_text(facts)


async def _pipeline(name: str, place: Place) -> Subject:
    answer = await place.answer("get_pipeline", name=name)
    if found_no_pipeline(answer):
        shown = quoted(place.redact.text(name), 200)
        raise ResourceNotFoundError(
            f"There is no pipeline {shown}; {kinds.PIPELINES.uri} lists those there are."
        )
    return Subject(title="Pipeline", name=name, answer=answer, scope=place.scope())


def _uris(collection: Collection, answer: Answer, place: Place) -> Sequence[str | None]:
    """A URI beside each row of a listing; a row's key stands in the column of its name."""
    if answer.table is None:
        return ()
    column = list(answer.table.columns).index(collection.key_field)
    keys = [row[column] for row in answer.table.rows]
    found = [entry(str(key), "") if type(key) is collection.key_type else None for key in keys]
    return [place.signs.uri(collection, each.key) if each else None for each in found]


def _own(address: Address, content: str | Mapping[str, Any]) -> Page:
    """A page of our own words; in JSON, a text stands in an object."""
    if address.format is Format.MARKDOWN and isinstance(content, str):
        return Page(content, address.format.mime_type)
    document = {"text": content} if isinstance(content, str) else content
    text = json.dumps({"uri": address.uri, **document}, ensure_ascii=False, indent=1)
    return Page(text, address.format.mime_type)
