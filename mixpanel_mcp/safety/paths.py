"""Which paths read and which write.

The reads are those of query.openapi.yaml, export.openapi.yaml and data-pipelines.openapi.yaml.
"""

import re

from mixpanel_mcp.api.regions import Family

_QUERY_READS = {
    "cohorts/list",
    "engage",
    "engage/properties",
    "engage/stats",
    "events",
    "events/names",
    "events/properties",
    "events/properties/top",
    "events/properties/values",
    "events/top",
    "funnels",
    "funnels/list",
    "insights",
    "jql",
    "retention",
    "retention/addiction",
    "segmentation",
    "segmentation/average",
    "segmentation/numeric",
    "segmentation/sum",
    "stream/query",
}
_QUERY_POSTS = {"cohorts/list", "engage", "engage/stats", "jql"}
_DATA_READS = {
    "export",
    "nessie/pipeline/jobs",
    "nessie/pipeline/status",
    "nessie/pipeline/timeline",
}
# An earlier page documented it as a POST, and its sample still posts.
_DATA_POSTS = {"nessie/pipeline/status"}


INGESTION = re.compile(r"/(track|import|engage|groups)(/|$)")
PIPELINES = re.compile(r"(/api/2\.0)?/nessie(/|$)")
WRITING = re.compile(rf"/lookup-tables(/|$)|{INGESTION.pattern}|{PIPELINES.pattern}")


def is_known_read(family: Family, method: str, path: str) -> bool:
    gets, posts = _reads_of(family)
    inner = re.sub(r"^/api/(query|2\.0)/", "", path)
    return inner != path and (
        (method in {"GET", "HEAD"} and inner in gets) or (method == "POST" and inner in posts)
    )


def _reads_of(family: Family) -> tuple[set[str], set[str]]:
    match family:
        case Family.QUERY:
            return _QUERY_READS, _QUERY_POSTS
        case Family.DATA:
            return _DATA_READS, _DATA_POSTS
        case _:
            return set(), set()
