"""The classifier: what a request would do, judged on what would be sent.

It allows what it knows. Everything else counts as irreversible, except a GET that carries no
data. It is the same for every tool, so that no door leads around another.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import unquote

from mixpanel_mcp.api.regions import Family
from mixpanel_mcp.api.request import Repeat, Request
from mixpanel_mcp.json_values import is_list, is_object, objects_in
from mixpanel_mcp.operation import Effect
from mixpanel_mcp.safety.payloads import Payload, read_payload
from mixpanel_mcp.safety.pipelines import describe_cancel, describe_create, describe_edit
from mixpanel_mcp.sanitize import clean, counted, cut, listed, quoted

_IDENTITY_EVENTS = {"$identify", "$create_alias", "$merge"}

_REPEATABLE_VERBS = {"$set", "$set_once", "$union", "$unset", "$remove", "$delete"}
_COUNTING_VERBS = {"$add", "$append"}
_CONTROLS = {
    "$token",
    "$distinct_id",
    "$group_key",
    "$group_id",
    "$ip",
    "$time",
    "$ignore_time",
    "$ignore_alias",
}

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

_TOKEN_NAMES = {"token", "$token", "api_key", "project_token"}


@dataclass(frozen=True)
class Judgement:
    """What a request would do.

    `summary` completes "This would ..." and is fit to be shown; `count` is the number of records
    it touches. `tokens` and `projects` are those it names. `destinations` has the address to which
    a new pipeline would send data, and `untold` why that address cannot be told. `secrets` are
    credentials for a destination.
    """

    effect: Effect
    repeat: Repeat
    summary: str
    count: int = 1
    tokens: frozenset[str] = frozenset()
    projects: frozenset[str] = frozenset()
    destinations: tuple[str, ...] = ()
    untold: str | None = None
    secrets: frozenset[str] = frozenset()


def judge(request: Request) -> Judgement:
    """Classify a request by method, path and what it carries."""
    payload = read_payload(request)
    path = plain_path(request.path)
    judgement = (
        _known_write(path, request, payload)
        or _known_read(path, request, payload)
        or _unknown(request, payload)
    )
    return replace(
        judgement,
        tokens=_tokens(payload),
        projects=_projects(path, payload),
        secrets=_secrets(payload),
    )


def plain_path(path: str) -> str:
    """The path a lenient server could see: decoded to the end, lower case, no doubled slashes."""
    for _ in range(4):
        path = unquote(path)
    path = re.split(r"[;?#]", path)[0].replace("\\", "/").lower()
    return "/" + "/".join(part for part in path.split("/") if part not in {"", "."})


def _known_write(path: str, request: Request, payload: Payload) -> Judgement | None:
    """Judge the endpoints that write, whatever the method: a GET on them writes too."""
    if any(name == "_method" for name, _ in payload.fields):
        return None
    for pattern, judge_write in _WRITES:
        if pattern.fullmatch(path):
            return judge_write(request, payload)
    return None


def _known_read(path: str, request: Request, payload: Payload) -> Judgement | None:
    if any(name == "_method" for name, _ in payload.fields):
        return None
    if _writes_profiles(payload):
        return None
    gets, posts = _reads_of(request.family)
    inner = re.sub(r"^/api/(query|2\.0)/", "", path)
    known = inner != path and (
        (request.method in {"GET", "HEAD"} and inner in gets)
        or (request.method == "POST" and inner in posts)
    )
    if known or (request.method == "GET" and not request.body and not payload.all("data")):
        return Judgement(Effect.READS, Repeat.READ, f"read {quoted(request.path)}")
    return None


def _reads_of(family: Family) -> tuple[set[str], set[str]]:
    match family:
        case Family.QUERY:
            return _QUERY_READS, _QUERY_POSTS
        case Family.DATA:
            return _DATA_READS, _DATA_POSTS
        case _:
            return set(), set()


def _writes_profiles(payload: Payload) -> bool:
    return bool(payload.all("data")) or any(
        any(key.startswith("$") for key in record) for record in objects_in(payload.records)
    )


def _events(request: Request, payload: Payload) -> Judgement:
    records = payload.records
    if not payload.understood or not records or not all(map(_is_event, records)):
        return _unknown(request, payload)
    names = [str(record["event"]) for record in records]
    identities = [record for record in records if _plain(record["event"]) in _IDENTITY_EVENTS]
    if identities:
        about = "; ".join(map(_identity, identities[:5]))
        more = f"; and {len(identities) - 5} more" if len(identities) > 5 else ""
        return Judgement(
            Effect.IRREVERSIBLE,
            Repeat.UNSAFE,
            f"{about}{more}. Identities cannot be taken apart again",
            len(records),
        )
    fixed = all(
        record["properties"].get("$insert_id") and record["properties"].get("time")
        for record in records
    )
    return Judgement(
        Effect.ADDS,
        Repeat.SAFE if fixed else Repeat.UNSAFE,
        f"add {counted(len(records), 'event')} ({listed(list(dict.fromkeys(names)))})",
        len(records),
    )


def _is_event(record: object) -> bool:
    return (
        is_object(record)
        and isinstance(record.get("event"), str)
        and is_object(record.get("properties"))
    )


def _plain(name: str) -> str:
    return clean(name).strip().lower()


def _identity(record: Mapping[str, Any]) -> str:
    properties: dict[str, Any] = record["properties"]
    match _plain(record["event"]):
        case "$identify":
            ids: list[Any] = [properties.get("$anon_id"), properties.get("$identified_id")]
        case "$create_alias":
            ids = [properties.get("alias"), properties.get("distinct_id")]
        case _:
            given = properties.get("$distinct_ids")
            ids = given if is_list(given) else [given]
    return f"merge the ids {' and '.join(quoted(one, 200) for one in ids)} for good"


def _profiles(request: Request, payload: Payload) -> Judgement:
    records = payload.records
    verbs = {verb for record in records for verb in _verbs(record)}
    known = _REPEATABLE_VERBS | _COUNTING_VERBS
    if not payload.understood or not records or not verbs <= known or not all(map(_verbs, records)):
        return _unknown(request, payload)
    repeat = Repeat.UNSAFE if verbs & _COUNTING_VERBS else Repeat.SAFE
    deleted = [_profile_id(record) for record in records if "$delete" in record]
    if deleted:
        others = len(records) - len(deleted)
        rest = f" and change {others} more" if others else ""
        return Judgement(
            Effect.IRREVERSIBLE,
            repeat,
            f"permanently delete {counted(len(deleted), 'profile')} "
            f"({listed(deleted)}){rest}. Deleted profiles cannot be restored",
            len(records),
        )
    ids = [_profile_id(record) for record in records]
    return Judgement(
        Effect.OVERWRITES,
        repeat,
        f"change {counted(len(records), 'profile')} ({listed(ids)})",
        len(records),
    )


def _verbs(record: object) -> set[str]:
    """The verbs of a profile update; what is no verb and no control counts as an unknown one."""
    if not is_object(record):
        return {"?"}
    return {str(key) for key in record} - _CONTROLS


def _profile_id(record: Mapping[str, Any]) -> str:
    if "$group_id" in record:
        return f"{record.get('$group_key')}={record['$group_id']}"
    return str(record.get("$distinct_id", ""))


def _pipeline_create(request: Request, payload: Payload) -> Judgement:
    del request
    summary, destination, untold = describe_create(_pipeline_fields(payload))
    return Judgement(
        Effect.IRREVERSIBLE,
        Repeat.UNSAFE,
        summary,
        destinations=(destination,) if destination else (),
        untold=untold,
    )


def _pipeline_edit(request: Request, payload: Payload) -> Judgement:
    del request
    return Judgement(Effect.IRREVERSIBLE, Repeat.SAFE, describe_edit(_pipeline_fields(payload)))


def _pipeline_cancel(request: Request, payload: Payload) -> Judgement:
    del request
    return Judgement(Effect.IRREVERSIBLE, Repeat.SAFE, describe_cancel(_pipeline_fields(payload)))


def _pipeline_fields(payload: Payload) -> dict[str, list[str]]:
    """All values of each field, from the form, the query, or a JSON object in their place."""
    fields: dict[str, list[str]] = {}
    in_json = [item for document in objects_in(payload.records) for item in document.items()]
    for name, value in (*payload.fields, *in_json):
        fields.setdefault(name, []).append(str(value))
    return fields


def _unknown(request: Request, payload: Payload) -> Judgement:
    carried = cut(clean(request.body[:2000].decode(errors="replace")), 300)
    said = f" Its body: {quoted(carried, 400)}" if carried else ""
    return Judgement(
        Effect.IRREVERSIBLE,
        Repeat.UNSAFE,
        f"send {request.method} {quoted(request.path, 200)}, an effect this server cannot tell and "
        f"so treats as irreversible.{said}",
        max(1, len(payload.records)),
    )


def _tokens(payload: Payload) -> frozenset[str]:
    """Every project token the request names, where Mixpanel would look for one."""
    found = [value for name, value in payload.fields if name.lower() in _TOKEN_NAMES]
    for record in objects_in(payload.records):
        properties = record.get("properties")
        for holder in (record, properties if is_object(properties) else {}):
            found += [
                str(value)
                for name, value in holder.items()
                if name.lower() in _TOKEN_NAMES and value is not None
            ]
    return frozenset(found)


def _secrets(payload: Payload) -> frozenset[str]:
    """Credentials of a destination: they travel in a pipeline's form and must not come back."""
    in_json = [item for record in objects_in(payload.records) for item in record.items()]
    return frozenset(
        value
        for name, value in (*payload.fields, *in_json)
        if isinstance(value, str)
        and any(part in name.lower() for part in ("secret", "password", "credential"))
    )


def _projects(path: str, payload: Payload) -> frozenset[str]:
    found = {value for name, value in payload.fields if name == "project_id" and value}
    found |= set(re.findall(r"/projects/([^/]+)", path))
    for record in objects_in(payload.records):
        if "project_id" in record and "event" not in record:
            found.add(str(record["project_id"]))
    return frozenset(found)


_WRITES: list[tuple[re.Pattern[str], Callable[[Request, Payload], Judgement]]] = [
    (re.compile(r"/(track|import)"), _events),
    (re.compile(r"/(engage|groups)"), _profiles),
    (re.compile(r"(/api/2\.0)?/nessie/pipeline/create"), _pipeline_create),
    (re.compile(r"(/api/2\.0)?/nessie/pipeline/edit"), _pipeline_edit),
    (re.compile(r"(/api/2\.0)?/nessie/pipeline/cancel"), _pipeline_cancel),
    # The neighbourhood of an endpoint that writes is not the place for guesses.
    (re.compile(r"/(track|import|engage|groups)/.*"), _unknown),
    (re.compile(r"(/api/2\.0)?/nessie/(?!pipeline/(jobs|status|timeline)$).*"), _unknown),
]
