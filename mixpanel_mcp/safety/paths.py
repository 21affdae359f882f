"""Which paths read and which write, and what servers make of a path that is spelled oddly.

The reads are those of query.openapi.yaml, export.openapi.yaml and data-pipelines.openapi.yaml.
"""

import re
from urllib.parse import unquote

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


def plain_path(path: str) -> str:
    """The path a lenient server could see: decoded to the end, lower case, no doubled slashes."""
    for _ in range(4):
        path = unquote(path)
    path = path.replace("\\", "/").lower()
    return "/" + "/".join(part for part in path.split("/") if part not in {"", "."})


def readings(path: str) -> list[str]:
    """What servers make of a path: as it is, without parameters, or cut at what ends it."""
    plain = plain_path(path)
    without_parameters = plain_path("/".join(part.split(";")[0] for part in plain.split("/")))
    ended = [plain_path(re.split(r"[?#]", each)[0]) for each in (plain, without_parameters)]
    return list(dict.fromkeys([plain, without_parameters, *ended]))
