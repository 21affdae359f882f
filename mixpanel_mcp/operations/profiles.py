"""User profiles: set, change in batches, delete."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Any

from pydantic import BeforeValidator, Field

from mixpanel_mcp.api.client import project_token
from mixpanel_mcp.api.errors import InvalidArgumentsError
from mixpanel_mcp.api.replies import Reply
from mixpanel_mcp.api.request import Request, is_number, json_body, pairs, switch
from mixpanel_mcp.json_values import is_list, is_object
from mixpanel_mcp.operation import Answer, Call, Effect, Write, operation
from mixpanel_mcp.operations.acknowledgement import require_known_outcome
from mixpanel_mcp.operations.arguments import Records, WebAddress, from_json, require_id
from mixpanel_mcp.operations.batches import (
    BatchResult,
    Tally,
    acknowledged_batch,
    answer_for,
    ingestion_post,
    send_in_batches,
)
from mixpanel_mcp.operations.event_records import value_faults
from mixpanel_mcp.sanitize import counted

_LARGEST_UPDATE = 1_000_000
_LARGEST_VALUE = 256 * 1024

VERBS = ("$set", "$set_once", "$add", "$append", "$union", "$remove", "$unset", "$delete")
_CONTROLS = ("$token", "$distinct_id", "$ip", "$time", "$ignore_time", "$ignore_alias")


class _ProfileWrite(Write):
    """Arguments of all that writes profiles."""

    verbose: bool = Field(default=True, description="Ask for the reason of a failure.")
    redirect: WebAddress | None = Field(
        default=None, description="Legacy; never followed, and hides the outcome."
    )


class CreateProfile(_ProfileWrite):
    """Arguments of create_profile."""

    properties: Records = Field(
        description="Profiles: {$distinct_id, $set: {name: value}}, or flat {$distinct_id, name: "
        "value}. Mixpanel's own names: $name, $email, $phone, $avatar, $created."
    )


class UpdateMultipleProfiles(_ProfileWrite):
    """Arguments of update_multiple_profiles."""

    properties_to_update: Records | None = Field(
        default=None,
        description="Updates: {$distinct_id, VERB: value}, one verb each: $set, $set_once, $add, "
        "$append, $union, $remove (objects), $unset (list of names), $delete.",
    )
    file: str | None = Field(
        default=None, description="Or a file of such updates (flat rows: $set), as import_events."
    )
    dry_run: bool = Field(default=False, description="Check the file, send nothing.")


def _deletions(value: object) -> object:
    parsed = from_json(value)
    items: list[object] = parsed if is_list(parsed) else [parsed]  # pyright: ignore[reportUnknownVariableType]
    return [{"$distinct_id": item} if isinstance(item, (str, int)) else item for item in items]


class DeleteProfile(_ProfileWrite):
    """Arguments of delete_profile."""

    delete_profiles: Annotated[
        list[dict[str, Any]], BeforeValidator(_deletions), Field(min_length=1)
    ] = Field(
        description="Ids, or {$distinct_id, $ignore_alias?}. $ignore_alias: true deletes a "
        "duplicate by its alias and keeps the original.",
        json_schema_extra={"items": {"anyOf": [{"type": "string"}, {"type": "object"}]}},
    )


@operation(
    title="Create or set profiles",
    toolset="profiles",
    effect=Effect.OVERWRITES,
    idempotent=True,
    docs="ingestion.openapi.yaml /engage#profile-set",
)
async def create_profile(call: Call, args: CreateProfile) -> Answer:
    """Set properties of user profiles; overwrites values and creates profiles that are missing."""
    updates = [_as_set(index, record) for index, record in enumerate(args.properties)]
    return await _write(call, args, "properties", updates)


@operation(
    title="Update profiles",
    toolset="profiles",
    effect=Effect.OVERWRITES,
    docs="ingestion.openapi.yaml /engage#profile-batch-update",
)
async def update_multiple_profiles(call: Call, args: UpdateMultipleProfiles) -> Answer:
    """Change many user profiles in one call; each update has its own verb.

    $add and $append count every time they arrive, so after an unclear outcome read the profile
    before you repeat them. A batch with $delete needs a confirmation.
    """
    if (args.properties_to_update is None) == (args.file is None):
        raise InvalidArgumentsError(["properties_to_update, file: pass one of the two"])
    if args.file is not None:
        return await _update_from_file(call, args, args.file)
    if args.properties_to_update is None or args.dry_run:
        raise InvalidArgumentsError(["dry_run: is for file"])
    return await _write(call, args, "properties_to_update", args.properties_to_update)


@operation(
    title="Delete profiles",
    toolset="profiles",
    effect=Effect.IRREVERSIBLE,
    idempotent=True,
    docs="ingestion.openapi.yaml /engage#profile-delete",
)
async def delete_profile(call: Call, args: DeleteProfile) -> Answer:
    """Delete user profiles with all their properties, for good. Their events stay."""
    updates = [{"$delete": "", **record} for record in args.delete_profiles]
    foreign = [
        f"delete_profiles[{index}].{name[:60]}: only $distinct_id and $ignore_alias belong here"
        for index, record in enumerate(args.delete_profiles)
        for name in record
        if name not in {"$distinct_id", "$ignore_alias", "$delete", "$token"}
    ]
    if foreign:
        raise InvalidArgumentsError(foreign)
    return await _write(call, args, "delete_profiles", updates, "deletion")


async def _update_from_file(call: Call, args: UpdateMultipleProfiles, file: str) -> Answer:
    if args.redirect is not None:
        raise InvalidArgumentsError(["redirect: hides the outcome, which a file's rows need"])
    # What reads files is of no use to a server that never does.
    from mixpanel_mcp.operations.file_import import files_below_root, import_files  # noqa: PLC0415
    from mixpanel_mcp.operations.profile_freight import PROFILE_COLUMNS, ProfileFreight  # noqa: PLC0415

    freight = ProfileFreight(call, project_token(call.connection))
    with files_below_root(call, file) as files:
        return await import_files(call, files, freight, PROFILE_COLUMNS, dry_run=args.dry_run)


def _as_set(index: int, record: Mapping[str, Any]) -> dict[str, Any]:
    """Read both shapes of a profile: with `$set`, or flat with the rest to be set."""
    if other := sorted(set(record) & (set(VERBS) - {"$set"})):
        raise InvalidArgumentsError(
            [
                f"properties[{index}].{other[0]}: create_profile only sets; use "
                "update_multiple_profiles for other verbs"
            ]
        )
    controls = {name: value for name, value in record.items() if name in _CONTROLS}
    rest = {name: value for name, value in record.items() if name not in controls}
    if "$set" not in rest:
        return {**controls, "$set": rest}
    if len(rest) > 1:
        stray = min(set(rest) - {"$set"})
        raise InvalidArgumentsError(
            [f"properties[{index}].{stray[:60]}: stands beside $set; put it into $set"]
        )
    return dict(record)


async def _write(
    call: Call,
    args: _ProfileWrite,
    argument: str,
    updates: Sequence[Mapping[str, Any]],
    what: str = "profile update",
) -> Answer:
    faults = [
        f"{argument}[{index}]{fault}"
        for index, update in enumerate(updates)
        for fault in update_faults(update)
    ]
    if faults:
        raise InvalidArgumentsError(faults)
    token = project_token(call.connection)
    records = [{**update, "$token": update.get("$token") or token} for update in updates]
    query = pairs(
        {
            # Without ip=0 each profile would be placed where this server stands.
            "ip": "0",
            "strict": "1",
            "verbose": switch(args.verbose),
            "redirect": args.redirect,
        }
    )

    def build(part: Sequence[Any]) -> Request:
        return ingestion_post(call, "/engage", query, part)

    def read(request: Request, reply: Reply, count: int) -> BatchResult:
        result = acknowledged_batch(request, reply, count)
        if result.accepted:
            require_known_outcome(request, redirect=args.redirect)
        return result

    # One batch at a time: two updates of one profile must arrive in the caller's order.
    tally = await send_in_batches(call, records, build=build, read=read, in_flight=1)
    headline = f"Mixpanel took {tally.accepted} of {counted(tally.total, what)}."
    return answer_for(tally, headline, [], records=_report(updates, tally))


def _report(updates: Sequence[Mapping[str, Any]], tally: Tally) -> list[dict[str, Any]]:
    """What became of each record."""
    refused = {row["index"]: row for row in tally.rejected}
    unclear, untaken = set(tally.unknown), set(tally.not_taken)
    return [
        {
            "index": index,
            "distinct_id": update["$distinct_id"],
            "verb": _verb(update),
            "status": _status(index, refused, unclear, untaken),
            **({"reason": refused[index]["reason"]} if index in refused else {}),
        }
        for index, update in enumerate(updates)
    ]


def _status(index: int, refused: Mapping[int, Any], unclear: set[int], unsent: set[int]) -> str:
    if index in refused:
        return "rejected"
    if index in unclear:
        return "unknown"
    return "not taken" if index in unsent else "accepted"


def _verb(update: Mapping[str, Any]) -> str:
    return next(verb for verb in VERBS if verb in update)


def update_faults(update: Mapping[str, Any]) -> Iterator[str]:
    """Say what is wrong with one update, each beginning with the place inside it."""
    if fault := require_id(update.get("$distinct_id"), "$distinct_id"):
        yield f".$distinct_id: {fault}"
    verbs = [verb for verb in VERBS if verb in update]
    if len(verbs) != 1:
        found = " and ".join(verbs) or "none"
        yield f": needs exactly one verb of {', '.join(VERBS)}; it has {found}"
    if not isinstance(update.get("$ignore_alias", False), bool):
        yield ".$ignore_alias: must be true or false"
    for name in sorted(set(update) - set(VERBS) - set(_CONTROLS)):
        yield f".{name[:60]}: is no verb; put properties into $set"
    for verb in verbs:
        yield from (f".{verb}{fault}" for fault in _value_faults(verb, update[verb]))
    if not any(isinstance(value, float) and not is_number(value) for value in update.values()):
        yield from _size_faults(update)


def _size_faults(update: Mapping[str, Any]) -> Iterator[str]:
    try:
        size = len(json_body(update))
    except ValueError:
        return  # NaN and infinities were named above
    if size > _LARGEST_UPDATE:
        yield f": has {size} bytes, and an update may have 1 MB"


def _value_faults(verb: str, value: Any) -> Iterator[str]:
    """Check the value's type: ingestion.openapi.yaml, the verbs of /engage."""
    if verb == "$delete":
        return
    if verb == "$unset":
        if not is_list(value) or not value or not all(isinstance(name, str) for name in value):
            yield ": must be a list of property names"
        return
    if not is_object(value) or not value:
        yield ": must be an object with at least one property"
        return
    for name, item in value.items():
        place = f".{name[:60]}"
        if verb == "$add" and not is_number(item):
            yield f"{place}: must be a number to add"
        elif verb == "$union" and not _is_union_list(item):
            yield f"{place}: must be a list of texts or numbers with at least one item"
        elif verb in {"$append", "$remove"} and (is_list(item) or is_object(item)):
            yield f"{place}: must be a single value"
        yield from (f"{place}: {fault}" for fault in value_faults(item, largest=_LARGEST_VALUE))


def _is_union_list(value: Any) -> bool:
    return (
        is_list(value)
        and bool(value)  # pyright: ignore[reportUnknownArgumentType]
        and all(isinstance(item, str) or is_number(item) for item in value)  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType]
    )
