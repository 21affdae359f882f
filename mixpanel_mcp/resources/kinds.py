"""The resources there are, as a table: the server's lists and the README derive from it."""

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from mixpanel_mcp.operations import OPERATIONS
from mixpanel_mcp.resources.addresses import SCHEME

_VARIABLE = re.compile(r"\{([a-z_]+)\}")


@dataclass(frozen=True, kw_only=True)
class Kind:
    """A resource, or with a variable in its path a template of many.

    `needs` are operations of which the policy has to leave one; without any it is always there.
    `fresh_seconds` is how long a client may keep what it read, `shared` whether all clients read
    the same.
    """

    path: str
    name: str
    title: str
    description: str
    needs: frozenset[str] = frozenset()
    fresh_seconds: int = 30
    shared: bool = False

    @property
    def variable(self) -> str | None:
        found = _VARIABLE.search(self.path)
        return found[1] if found else None

    @property
    def uri(self) -> str:
        return SCHEME + self.path

    def is_offered(self, operations: Collection[str]) -> bool:
        return not self.needs or not self.needs.isdisjoint(operations)

    def value_in(self, path: Sequence[str]) -> str | None:
        """What stands in a path where the variable is ("" for none); None if it does not fit."""
        parts = self.path.split("/")
        if len(parts) != len(path):
            return None
        value = ""
        for part, given in zip(parts, path, strict=True):
            if _VARIABLE.fullmatch(part):
                value = given
                if not value:
                    return None
            elif part != given:
                return None
        return value


PROJECT = Kind(
    path="project",
    name="project",
    title="Project and policy",
    description="The connection (without its secrets), where requests go, and what is allowed.",
    fresh_seconds=5,
)
PIPELINES = Kind(
    path="pipelines",
    name="pipelines",
    title="Data pipelines",
    description="All data pipelines with frequency and last dispatch.",
    needs=frozenset({"list_pipelines"}),
)
PIPELINE = Kind(
    path="pipelines/{name}",
    name="pipeline",
    title="A data pipeline",
    description="A pipeline's tasks by state: what ran, what waits, what failed.",
    needs=frozenset({"get_pipeline"}),
)
FUNNELS = Kind(
    path="funnels",
    name="funnels",
    title="Saved funnels",
    description="All saved funnels. Reading it is one of the project's 60 queries an hour.",
    needs=frozenset({"list_saved_funnels"}),
    fresh_seconds=300,
)
FUNNEL = Kind(
    path="funnels/{funnel_id}",
    name="funnel",
    title="A saved funnel, last 30 days",
    description="Steps and conversion of the last 30 days. Reading it is one of the project's 60 "
    "queries an hour.",
    needs=frozenset({"query_funnel_saved_reports"}),
    fresh_seconds=300,
)
EXPRESSIONS = Kind(
    path="guide/expressions",
    name="guide-expressions",
    title="Guide: expressions",
    description="How to write where and on: grammar, types, and what silently matches nothing.",
    fresh_seconds=86_400,
    shared=True,
)
EVENTS = Kind(
    path="guide/events",
    name="guide-events",
    title="Guide: events",
    description="Reserved properties, time, $insert_id, limits and identities of events.",
    fresh_seconds=86_400,
    shared=True,
)
PIPELINE_GUIDE = Kind(
    path="guide/pipelines",
    name="guide-pipelines",
    title="Guide: pipelines",
    description="Kinds of data pipelines, their parameters, states and limits.",
    needs=frozenset(row.name for row in OPERATIONS.values() if row.toolset == "pipelines"),
    fresh_seconds=86_400,
    shared=True,
)

KINDS = (
    PROJECT,
    PIPELINES,
    PIPELINE,
    FUNNELS,
    FUNNEL,
    EXPRESSIONS,
    EVENTS,
    PIPELINE_GUIDE,
)
GUIDES = (EXPRESSIONS, EVENTS, PIPELINE_GUIDE)


def kind_of(path: Sequence[str]) -> tuple[Kind, str] | None:
    """The kind a path belongs to, and its variable's value."""
    for kind in KINDS:
        value = kind.value_in(path)
        if value is not None:
            return kind, value
    return None
