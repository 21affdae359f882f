"""What Mixpanel counts, and how much of it it allows a project.

Source: the pages `rate-limits`, `query-jql`, `replace-lookup-table` and `gdpr-api`.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache

from mixpanel_mcp.api.paths import readings
from mixpanel_mcp.api.regions import Family
from mixpanel_mcp.api.request import Request

SECOND, MINUTE, HOUR, DAY = 1, 60, 3600, 86_400


class Allowance(StrEnum):
    """What Mixpanel counts apart; a JQL query counts as a query as well."""

    QUERIES = "queries"
    JQL = "jql"
    EXPORTS = "exports"
    SCHEMAS = "schemas"
    LOOKUP_TABLES = "lookup tables"
    PERSONAL_DATA = "personal data"


@dataclass(frozen=True, kw_only=True)
class Rule:
    """Calls per window of so many seconds, the longest first, and how many may run at once."""

    windows: Sequence[tuple[int, int]]
    calls: str
    """What is counted, in words."""
    at_once: int | None = None


RULES: Mapping[Allowance, Rule] = {
    Allowance.QUERIES: Rule(windows=[(60, HOUR)], calls="queries", at_once=5),
    Allowance.JQL: Rule(windows=[(60, HOUR)], calls="JQL queries", at_once=5),
    # That 100 may run at once cannot bind before 60 an hour does.
    Allowance.EXPORTS: Rule(windows=[(60, HOUR), (3, SECOND)], calls="exports"),
    Allowance.SCHEMAS: Rule(windows=[(5, MINUTE)], calls="calls of the schemas API"),
    Allowance.LOOKUP_TABLES: Rule(windows=[(100, DAY)], calls="replacements of lookup tables"),
    Allowance.PERSONAL_DATA: Rule(windows=[(1, SECOND)], calls="calls of the GDPR API"),
}

# Those of a day are few; what a passthrough call may send is without end.
_PATHS = 256
_QUERY_PATH = re.compile(r"/api/(query|2\.0)(/|$)")
_EXPORT_PATH = re.compile(r"(/api/2\.0)?/export(/|$)")
_PIPELINE_PATH = re.compile(r"(/api/2\.0)?/nessie(/|$)")
_LOOKUP_PATH = re.compile(r"/lookup-tables/.")
_BY_PATH = {
    Allowance.JQL: re.compile(r"/api/(query|2\.0)/jql(/|$)"),
    Allowance.EXPORTS: _EXPORT_PATH,
    Allowance.SCHEMAS: re.compile(r"/api/app/.*/schemas(/|$)"),
    Allowance.PERSONAL_DATA: re.compile(r"/api/app/data-(retrievals|deletions)(/|$)"),
}


def allowances_of(request: Request) -> tuple[Allowance, ...]:
    """What a request is counted under, in whichever way its path may be read.

    A passthrough call can send any path to any host, so the host alone says too little.
    """
    return _allowances(request.method, request.family, request.path)


@lru_cache(_PATHS)
def _allowances(method: str, family: Family, path: str) -> tuple[Allowance, ...]:
    paths = readings(path)

    def reads_as(pattern: re.Pattern[str]) -> bool:
        return any(pattern.match(each) for each in paths)

    elsewhere = reads_as(_EXPORT_PATH) or reads_as(_PIPELINE_PATH)
    is_query = (family is Family.QUERY or reads_as(_QUERY_PATH)) and not elsewhere
    found = [Allowance.QUERIES] if is_query else []
    found += [allowance for allowance, pattern in _BY_PATH.items() if reads_as(pattern)]
    if method == "PUT" and reads_as(_LOOKUP_PATH):
        found.append(Allowance.LOOKUP_TABLES)
    return tuple(found)
