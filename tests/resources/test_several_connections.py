"""Several connections in one library: each has its URIs, and nothing of one shows in another."""

import asyncio
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from datetime import date
from typing import Any

import mcp.types as t
import pytest
from browsing import CANCEL, FUNNELS, JOBS, STATUS
from harness import Era
from mcp.server.mcpserver.exceptions import ResourceNotFoundError
from mcp.server.subscriptions import ServerEvent
from pydantic import SecretStr
from two_projects import Pair
from upstream import Reply

from mixpanel_mcp.api.regions import Family
from mixpanel_mcp.api.request import FORM, Request
from mixpanel_mcp.operation import Answer, Table
from mixpanel_mcp.operations import OPERATIONS
from mixpanel_mcp.operations.pipelines import DeletePipeline
from mixpanel_mcp.resources import Follower, Library, Reader, TemplateCompletions, listing_sources
from mixpanel_mcp.settings import Connection, Policy, Region

HOME = Connection(name="home", project_id=1, project_token=SecretStr("home-token-12345"))
ABROAD = Connection(name="ab/road", project_id=2, region=Region.EU)


class Company:
    """A library over two connections, and what it asked of which."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str]] = []
        self.pipelines = {name: [f"of {name}"] for name in ("home", "ab/road")}
        self.library = Library(
            connections=[HOME, ABROAD], offered=frozenset(OPERATIONS), read=self._read
        )
        self.reader = Reader(
            self.library,
            Policy(),
            ["list_pipelines"],
            budget=self._budget,
            today=lambda: date(2026, 3, 1),
        )
        self.given: Mapping[str, Any] = {}
        self.follower = Follower(self.library)
        self.told: list[ServerEvent] = []
        self.library.announcements.subscribe(self.told.append)

    async def _read(
        self,
        operation: str,
        arguments: Mapping[str, Any],
        connection: str,
        *,
        in_background: bool = False,
    ) -> Answer:
        del in_background
        self.given = arguments
        self.asked.append((operation, connection))
        if operation == "list_saved_funnels":
            return Answer(headline="None.", data=[])
        names = self.pipelines[connection]
        return Answer(
            headline="Some.",
            data=[{"name": name} for name in names],
            table=Table(columns=["name"], rows=[[name] for name in names]),
        )

    async def _budget(self, connection: str) -> Mapping[str, Any]:
        return {"query": {"used": 3, "left": 57}, "of": connection}


@asynccontextmanager
async def company() -> AsyncGenerator[Company]:
    made = Company()
    yield made
    await made.library.close()


async def test_each_connection_has_uris_of_its_own() -> None:
    async with company() as made:
        uris = [resource.uri for resource in await made.library.resources()]
        templates = [template.uri_template for template in made.library.templates()]
    assert "mixpanel://pipelines?connection=home" in uris
    assert "mixpanel://project?connection=ab%2Froad" in uris
    assert "mixpanel://guide/events" in uris
    assert uris[-2:] == [
        "mixpanel://pipelines/of%20home?connection=home",
        "mixpanel://pipelines/of%20ab%2Froad?connection=ab%2Froad",
    ]
    assert len(uris) == len(set(uris))
    assert templates[0] == "mixpanel://pipelines/{name}{?format,connection}"


async def test_a_page_is_read_on_the_connection_it_names() -> None:
    async with company() as made:
        abroad = await made.reader.read("mixpanel://pipelines?connection=ab%2Froad")
        first = await made.reader.read("mixpanel://pipelines")
        with pytest.raises(ResourceNotFoundError, match="there are: home, ab/road"):
            await made.reader.read("mixpanel://pipelines?connection=mars")
    assert "of ab/road" in abroad.text
    assert "project 2, region eu, connection ab/road" in abroad.text
    assert "of home" in first.text
    assert made.asked == [("list_pipelines", "ab/road"), ("list_pipelines", "home")]


async def test_a_project_shows_the_budget_of_its_connection() -> None:
    async with company() as made:
        page = await made.reader.read("mixpanel://project?connection=ab%2Froad")
    assert "## Budget\n\n- query:\n  - used: 3\n  - left: 57\n- of: `ab/road`" in page.text
    assert "- project id: 2" in page.text


async def test_a_funnel_is_read_up_to_today() -> None:
    async with company() as made:
        await made.reader.read("mixpanel://funnels/7?connection=home")
    assert made.asked == [("query_funnel_saved_reports", "home")]
    assert made.given == {
        "funnel_id": "7",
        "from_date": "2026-01-31",
        "to_date": "2026-03-01",
        "interval": 30,
    }


async def test_completions_belong_to_the_chosen_connection() -> None:
    async with company() as made:
        await made.library.resources()
        ref = t.ResourceTemplateReference(uri="mixpanel://pipelines/{name}{?format,connection}")
        complete = TemplateCompletions(made.library).complete
        name = t.CompletionArgument(name="name", value="")
        chosen = t.CompletionContext(arguments={"connection": "ab/road"})
        assert (await complete(ref, name, chosen)).values == ["of ab/road"]
        assert (await complete(ref, name)).values == ["of home"]
        connection = t.CompletionArgument(name="connection", value="h")
        assert (await complete(ref, connection)).values == ["home"]


async def test_a_prompt_is_offered_the_names_of_all_connections() -> None:
    async with company() as made:
        made.pipelines["home"].append("of both")
        made.pipelines["ab/road"].append("of both")
        offered = await listing_sources(made.library)["pipeline"]("")
    assert offered == ["of home", "of both", "of ab/road"]


async def test_a_change_is_told_of_its_connection_alone() -> None:
    async with company() as made:
        before = await made.library.resources()
        made.pipelines["home"] = []
        await made.follower.after(
            "delete_pipeline",
            DeletePipeline(name="of home"),
            Answer(headline=""),
            connection="home",
            permitted=[
                Request(
                    family=Family.DATA,
                    region=Region.US,
                    method="POST",
                    path=CANCEL,
                    body=b"name=of%20home",
                    content_type=FORM,
                )
            ],
        )
        after = await made.library.resources()
        await asyncio.sleep(0)
    gone = {resource.uri for resource in before} - {resource.uri for resource in after}
    assert gone == {"mixpanel://pipelines/of%20home?connection=home"}
    uris = [uri for event in made.told if (uri := getattr(event, "uri", None))]
    assert "mixpanel://pipelines/of%20home" in uris
    assert "mixpanel://pipelines/of%20home?connection=home" in uris
    assert not any("ab%2Froad" in uri for uri in uris)


async def test_a_server_of_two_projects_keeps_them_apart(pair: Pair, era: Era) -> None:
    """Each entry leads to its own Mixpanel, and no page of one holds anything of the other."""
    for project in (pair.shop, pair.blog):
        named = {"name": project.canary}
        project.upstream.always(JOBS, Reply(json={"1": [named, {"name": "same"}]}))
        project.upstream.always(FUNNELS, Reply(json=[{"funnel_id": 7, **named}]))
        project.upstream.always(STATUS, Reply(json={"pending": [{"run_at": project.canary}]}))
    async with pair.opened(era=era) as tools:
        listed = (await tools.client.list_resources()).resources
        linked = (await tools.call("list_pipelines", connection="blog")).raw.content[1:]
        pages: dict[str, str] = {}
        for resource in [*listed, *linked]:
            assert isinstance(resource, t.Resource)
            if "guide" not in resource.uri and "funnels/7" not in resource.uri:
                answer = await tools.client.read_resource(resource.uri)
                (content,) = answer.contents
                assert isinstance(content, t.TextResourceContents)
                pages[resource.uri] = content.text
    for project in (pair.shop, pair.blog):
        own = {uri: text for uri, text in pages.items() if uri.endswith(f"={project.name}")}
        assert len(own) == 5
        other = pair.other(project)
        assert not any(other.canary in text or other.canary in uri for uri, text in own.items())
        assert not any(secret in text for secret in project.secrets for text in pages.values())
        assert project.canary in own[f"mixpanel://pipelines/same?connection={project.name}"]
        assert (
            f"project id: {project.project_id}"
            in own[f"mixpanel://project?connection={project.name}"]
        )
        assert {request.headers["authorization"] for request in project.upstream.requests} == {
            project.authorizations[0]
        }
    assert len(pages) == 10


async def test_a_call_on_one_connection_leads_to_its_resources(pair: Pair) -> None:
    pair.blog.upstream.always(STATUS, Reply(json={"pending": [{"state": "pending"}]}))
    async with pair.opened() as tools:
        answer = await tools.call("get_pipeline", name="a/b", connection="blog")
    (link,) = answer.raw.content[1:]
    assert isinstance(link, t.ResourceLink)
    assert link.uri == "mixpanel://pipelines/a%2Fb?connection=blog"
    assert "in connection blog" in (link.description or "")
