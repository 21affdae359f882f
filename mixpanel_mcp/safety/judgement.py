"""The classifier: what a request would do, judged on what would be sent.

It allows what it knows. Everything else counts as irreversible, except a GET that carries no
data. It is the same for every tool, so that no door leads around another.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

from mixpanel_mcp.api.paths import readings
from mixpanel_mcp.api.request import Repeat, Request
from mixpanel_mcp.json_values import is_list, is_object, objects_in
from mixpanel_mcp.operation import TOKEN_NAMES, Effect
from mixpanel_mcp.safety.paths import INGESTION, PIPELINES, WRITING, is_known_read
from mixpanel_mcp.safety.payloads import Payload, read_payload
from mixpanel_mcp.safety.pipelines import describe_cancel, describe_create, describe_edit
from mixpanel_mcp.sanitize import clean, counted, listed, quoted

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

# Names by which some servers let a request say that it is of another method.
_METHOD_NAMES = {"_method", "_httpmethod", "x-http-method", "x-http-method-override"}
# A token's name, an escape in which one can hide, or something long enough to be encoded data.
_COULD_HIDE = re.compile(r"token|api_key|\\u|[A-Za-z0-9+/_=%-]{24,}", re.IGNORECASE)


@dataclass(frozen=True)
class Judgement:
    """What a request would do.

    `summary` completes "This would ..." and is fit to be shown; `count` is the number of records
    it touches. `tokens` and `projects` are those it names. `destination` is the address to which a
    new pipeline would send data, and `untold` why that address cannot be told. `secrets` are
    credentials for a destination. `unreadable` says that data for ingestion hides whose it is.
    """

    effect: Effect
    repeat: Repeat
    summary: str
    count: int = 1
    tokens: frozenset[str] = frozenset()
    projects: frozenset[str] = frozenset()
    destination: str | None = None
    untold: str | None = None
    secrets: frozenset[str] = frozenset()
    unreadable: bool = False


def judge(request: Request) -> Judgement:
    """Classify a request by method, path and what it carries; of several readings, the worst."""
    return _remembered(request) if _is_small(request) else _classify(request)


def _is_small(request: Request) -> bool:
    """Whether it is one of those that come again and again, as most reads are."""
    if request.body or request.headers or len(request.path) > _LONGEST_REMEMBERED:
        return False
    return sum(len(name) + len(value) for name, value in request.query) <= _LONGEST_REMEMBERED


def _classify(request: Request) -> Judgement:
    payload = read_payload(request)
    paths = readings(request.path)
    judged = [_judge(path, request, payload) for path in paths]
    worst = max(judged, key=lambda each: (each.effect, bool(each.destination or each.untold)))
    return replace(
        worst,
        tokens=_tokens(payload),
        projects=frozenset(found for path in paths for found in _projects(path, payload)),
        secrets=_secrets(payload),
        unreadable=any(_is_unreadable(path, request, payload) for path in paths),
    )


# A judgement depends on nothing but the request.
_LONGEST_REMEMBERED = 300
_remembered = lru_cache(maxsize=256)(_classify)


def _judge(path: str, request: Request, payload: Payload) -> Judgement:
    if _asks_for_another_method(payload):
        return _unknown(path, request, payload)
    return (
        _known_write(path, request, payload)
        or _known_read(path, request, payload)
        or _unknown(path, request, payload)
    )


def _asks_for_another_method(payload: Payload) -> bool:
    names = {name.lower() for name, _ in payload.fields}
    names |= {name.lower() for record in objects_in(payload.records) for name in record}
    return bool(names & _METHOD_NAMES)


def _is_unreadable(path: str, request: Request, payload: Payload) -> bool:
    """Whether data for ingestion could carry a token that nobody can see."""
    if not INGESTION.match(path) or (payload.understood and all(map(_is_plain, payload.records))):
        return False
    try:
        text = request.body.decode() + str(request.query)
    except UnicodeDecodeError:
        return True
    return bool(_COULD_HIDE.search(text))


def _is_plain(record: object) -> bool:
    return is_object(record) and is_object(record.get("properties", {}))


def _known_write(path: str, request: Request, payload: Payload) -> Judgement | None:
    """Judge the endpoints that write; a GET on them writes too."""
    if request.method not in {"GET", "HEAD", "POST"}:
        return _unknown(path, request, payload) if WRITING.match(path) else None
    for pattern, judge_write in _WRITES:
        if pattern.fullmatch(path):
            return judge_write(path, request, payload)
    return None


def _known_read(path: str, request: Request, payload: Payload) -> Judgement | None:
    if payload.all("data") or any(map(_has_verbs, payload.records)):
        return None
    known = is_known_read(request.family, request.method, path)
    if (known and payload.understood) or (request.method == "GET" and not request.body):
        return Judgement(Effect.READS, Repeat.READ, f"read {quoted(request.path)}")
    return None


def _has_verbs(value: object) -> bool:
    """Whether a profile update hides in what should be a question."""
    if is_list(value):
        return any(map(_has_verbs, value))
    return is_object(value) and any(name.startswith("$") for name in value)


def _events(path: str, request: Request, payload: Payload) -> Judgement:
    records = payload.records
    if not payload.understood or not records or not all(map(_is_event, records)):
        return _unknown(path, request, payload)
    names = [str(record["event"]) for record in records]
    identities = [record for record in records if _plain(record["event"]) in _IDENTITY_EVENTS]
    if identities:
        about = "; ".join(map(_identity, identities[:5]))
        more = f"; and {len(identities) - 5} more" if len(identities) > 5 else ""
        others = len(records) - len(identities)
        rest = f"; and add {counted(others, 'other event')}" if others else ""
        return Judgement(
            Effect.IRREVERSIBLE,
            Repeat.UNSAFE,
            f"{about}{more}{rest}. Identities cannot be taken apart again",
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
    # Other names beside the two could be read in their place by a parser that folds letters.
    return (
        is_object(record)
        and set(record) == {"event", "properties"}
        and isinstance(record["event"], str)
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
    shown = " and ".join(quoted(one, 200) for one in ids[:5])
    more = f" and {len(ids) - 5} more" if len(ids) > 5 else ""
    return f"merge the ids {shown}{more} for good"


def _profiles(path: str, request: Request, payload: Payload) -> Judgement:
    records = payload.records
    profile_id = _group_id if path == "/groups" else _distinct_id
    verbs = {verb for record in records for verb in _verbs(record)}
    known = _REPEATABLE_VERBS | _COUNTING_VERBS
    if not payload.understood or not records or not verbs <= known or not all(map(_verbs, records)):
        return _unknown(path, request, payload)
    repeat = Repeat.UNSAFE if verbs & _COUNTING_VERBS else Repeat.SAFE
    deleted = [profile_id(record) for record in records if "$delete" in record]
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
    ids = [profile_id(record) for record in records]
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


def _distinct_id(record: Mapping[str, Any]) -> str:
    return str(record.get("$distinct_id", ""))


def _group_id(record: Mapping[str, Any]) -> str:
    return f"{record.get('$group_key')}={record.get('$group_id')}"


def _pipeline_create(path: str, request: Request, payload: Payload) -> Judgement:
    del path, request
    summary, destination, untold = describe_create(pipeline_fields(payload))
    return Judgement(
        Effect.IRREVERSIBLE,
        Repeat.UNSAFE,
        summary,
        destination=destination,
        untold=untold,
    )


def _pipeline_edit(path: str, request: Request, payload: Payload) -> Judgement:
    del path, request
    summary, untold = describe_edit(pipeline_fields(payload))
    return Judgement(Effect.IRREVERSIBLE, Repeat.SAFE, summary, untold=untold)


def _pipeline_cancel(path: str, request: Request, payload: Payload) -> Judgement:
    del path, request
    return Judgement(Effect.IRREVERSIBLE, Repeat.SAFE, describe_cancel(pipeline_fields(payload)))


def pipeline_fields(payload: Payload) -> dict[str, list[str]]:
    """All values of each field, from the form, the query, or a JSON object in their place."""
    fields: dict[str, list[str]] = {}
    in_json = [item for document in objects_in(payload.records) for item in document.items()]
    for name, value in (*payload.fields, *in_json):
        # `S3_bucket` or `events[]` may be read as the field it looks like.
        fields.setdefault(name.lower().removesuffix("[]"), []).append(str(value))
    return fields


def _unknown(path: str, request: Request, payload: Payload) -> Judgement:
    said = ""
    if payload.files:
        said = f". Its files: {listed(list(payload.files))}"
    elif request.body:
        said = f". Its body: {quoted(request.body[:2000].decode(errors='replace'), 300)}"
    return Judgement(
        Effect.IRREVERSIBLE,
        Repeat.UNSAFE,
        f"send {request.method} {quoted(request.path, 200)}, an effect this server cannot tell and "
        f"so treats as irreversible{said}",
        max(1, len(payload.records)),
        untold="the request is none of those this server knows" if PIPELINES.match(path) else None,
    )


def _tokens(payload: Payload) -> frozenset[str]:
    """Every project token the request names, at any depth but inside an event's own values."""
    found = [value for name, value in payload.fields if name.lower() in TOKEN_NAMES]
    for record in objects_in(payload.records):
        properties = record.get("properties")
        plain = _is_event(record) or "$distinct_id" in record or "$group_id" in record
        holders = (record, properties if is_object(properties) else {}) if plain else _all(record)
        for holder in holders:
            found += [
                str(value)
                for name, value in holder.items()
                if name.lower() in TOKEN_NAMES and value is not None
            ]
    return frozenset(found)


def _all(value: object) -> Iterator[dict[str, Any]]:
    """Every object in a value, itself included."""
    if is_object(value):
        yield value
        for item in value.values():
            yield from _all(item)
    elif is_list(value):
        for item in value:
            yield from _all(item)


def _secrets(payload: Payload) -> frozenset[str]:
    """Credentials of a destination: they travel in a pipeline's form and must not come back."""
    nested = [item for record in payload.records for one in _all(record) for item in one.items()]
    return frozenset(
        value
        for name, value in (*payload.fields, *nested)
        if isinstance(value, str)
        and any(part in name.lower() for part in ("secret", "password", "credential"))
    )


def _projects(path: str, payload: Payload) -> frozenset[str]:
    found = {value for name, value in payload.fields if name == "project_id" and value}
    found |= set(re.findall(r"/projects/([^/;?#]+)", path))
    for record in objects_in(payload.records):
        if "project_id" in record and "event" not in record:
            found.add(str(record["project_id"]))
    return frozenset(found)


_WRITES: list[tuple[re.Pattern[str], Callable[[str, Request, Payload], Judgement]]] = [
    (re.compile(r"/(track|import)"), _events),
    (re.compile(r"/(engage|groups)"), _profiles),
    (re.compile(r"(/api/2\.0)?/nessie/pipeline/create"), _pipeline_create),
    (re.compile(r"(/api/2\.0)?/nessie/pipeline/edit"), _pipeline_edit),
    (re.compile(r"(/api/2\.0)?/nessie/pipeline/cancel"), _pipeline_cancel),
    # The neighbourhood of an endpoint that writes is not the place for guesses.
    (re.compile(r"/(track|import|engage|groups)/.*"), _unknown),
    (re.compile(r"(/api/2\.0)?/nessie/(?!pipeline/(jobs|status|timeline)$).*"), _unknown),
]
