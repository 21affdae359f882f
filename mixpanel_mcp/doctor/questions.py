"""What is asked of each kind of host: cheap, and nothing that could change the project."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from mixpanel_mcp.api.errors import UnreadableReplyError
from mixpanel_mcp.api.regions import Family, endpoint
from mixpanel_mcp.api.replies import Reply
from mixpanel_mcp.api.request import JSON, Credential, Request, pairs
from mixpanel_mcp.json_values import is_list, is_object
from mixpanel_mcp.settings import Connection, Region

# An export of one day that finds nothing: nobody sends an event of this name.
_NO_EVENT = '["$mixpanel_mcp_doctor"]'


@dataclass(frozen=True)
class Question:
    """A request, whose credential it tries, and what a reply of Mixpanel's own looks like."""

    name: str
    request: Request
    looks_right: Callable[[Reply], bool]


def questions(connection: Connection, now: float) -> list[Question]:
    """Everything that the configured credentials allow to ask in the configured region."""
    asked: list[Question] = []
    if connection.username and connection.password:
        asked.append(who_am_i(connection.region))
        if connection.project_id:
            asked += _of_project(connection, connection.project_id, now)
    if connection.project_token:
        asked.append(_no_events(connection.region))
    return asked


def who_am_i(region: Region) -> Question:
    """The documented check of a service account's credentials; it lists its projects."""
    return Question("service account", _get(Family.APP, region, "/me"), _is_app_answer)


def _of_project(connection: Connection, project_id: int, now: float) -> list[Question]:
    project = {"project_id": project_id}
    view = {**project, "workspace_id": connection.workspace_id}
    # Yesterday in UTC lies in no time zone's future, where an export would be refused.
    day = (datetime.fromtimestamp(now, UTC) - timedelta(days=1)).strftime("%Y-%m-%d")
    nothing = {"from_date": day, "to_date": day, "limit": 1, "event": _NO_EVENT}
    region, name = connection.region, "service account"
    return [
        Question(name, _get(Family.QUERY, region, "/funnels/list", view), _is_list),
        Question(name, _get(Family.DATA, region, "/export", project | nothing), _is_no_page),
        Question(name, _get(Family.INGESTION, region, "/lookup-tables", project), _is_object),
    ]


def _no_events(region: Region) -> Question:
    """An import of no events: there is nothing to write, and only a known token may ask.

    `/track` takes any token, so it is of no use here.
    """
    request = Request(
        family=Family.INGESTION,
        region=region,
        method="POST",
        path=endpoint(Family.INGESTION, "/import"),
        query=(("strict", "1"),),
        body=b"[]",
        content_type=JSON,
        credential=Credential.PROJECT_TOKEN,
    )
    return Question("project token", request, _is_no_page)


def _get(
    family: Family, region: Region, path: str, query: Mapping[str, object] | None = None
) -> Request:
    return Request(
        family=family,
        region=region,
        method="GET",
        path=endpoint(family, path),
        query=pairs(query or {}),
    )


def document_of(reply: Reply) -> object:
    """The reply as JSON; None if it is none."""
    try:
        return reply.json()
    except UnreadableReplyError:
        return None


def _is_list(reply: Reply) -> bool:
    return is_list(document_of(reply))


def _is_object(reply: Reply) -> bool:
    return is_object(document_of(reply))


def _is_app_answer(reply: Reply) -> bool:
    document = document_of(reply)
    return is_object(document) and is_object(document.get("results"))


def _is_no_page(reply: Reply) -> bool:
    """Exports and acknowledgements are lines of text; a captive portal's page is not."""
    return not reply.text.lstrip().startswith("<")
