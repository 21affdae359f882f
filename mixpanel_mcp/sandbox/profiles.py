"""`/engage` and `/groups`: profiles in.

Sources: `ingestion.openapi.yaml`, reference pages `profile-set`, `user-profile-limits`. A record
without a valid token is ignored and counts as received; under `strict=1` a missing one is reported.
`$last_seen` follows each update of a user profile unless it says `$ignore_time`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from anyio import to_thread

from mixpanel_mcp.analytics.profiles import (
    GroupId,
    Properties,
    read_groups,
    read_profiles,
    write_groups,
    write_profiles,
)
from mixpanel_mcp.sandbox.acknowledgement import Receipt, acknowledge
from mixpanel_mcp.sandbox.authentication import is_our_token
from mixpanel_mcp.sandbox.bodies import MissingDataError, Submission, read_submission
from mixpanel_mcp.sandbox.canonical_ids import canonical_ids
from mixpanel_mcp.sandbox.clock import moment
from mixpanel_mcp.sandbox.data_groups import declare
from mixpanel_mcp.sandbox.ingestion import admit
from mixpanel_mcp.sandbox.json_values import JsonObject, is_number, is_object
from mixpanel_mcp.sandbox.profile_updates import (
    GROUP_VERBS,
    PROFILE_VERBS,
    Update,
    checked_update,
    updated,
)
from mixpanel_mcp.sandbox.replies import refused_ingestion
from mixpanel_mcp.sandbox.state import Project, project_of
from mixpanel_mcp.sandbox.validation import InvalidRecordError, checked_text, invalid

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.requests import Request
    from starlette.responses import Response

Checked = TypeVar("Checked")

_TIME_FORMAT = "%Y-%m-%dT%H:%M:%S"


class ProfileUpdate(NamedTuple):
    distinct_id: str
    update: Update
    ignore_alias: bool
    ignore_time: bool


class GroupUpdate(NamedTuple):
    group: GroupId
    update: Update


async def engage(request: Request) -> Response:
    return await _receive(request, _update_profiles)


async def groups(request: Request) -> Response:
    return await _receive(request, _update_groups)


async def _receive(request: Request, work: Callable[[Project, Submission], Receipt]) -> Response:
    if request.headers.get("content-encoding", "identity").lower() != "identity":
        raise refused_ingestion(400, f"{request.url.path} does not accept compressed bodies")
    try:
        submission = await read_submission(request)
    except MissingDataError as error:
        nothing = Submission([], dict(request.query_params))
        return acknowledge(nothing, Receipt(error=str(error)))
    admit(request, submission)
    return acknowledge(submission, await to_thread.run_sync(work, project_of(request), submission))


def _update_profiles(project: Project, submission: Submission) -> Receipt:
    updates, receipt = _checked(submission, "$distinct_id", _profile_update)
    with project.store.transaction():
        canonical = canonical_ids(
            project.store, [each.distinct_id for each in updates if not each.ignore_alias]
        )
        owners = [_owner(canonical, each) for each in updates]
        profiles: dict[str, Properties | None] = {**read_profiles(project.store, owners)}
        seen = moment(project.clock.now()).strftime(_TIME_FORMAT)
        touched: dict[str, Properties | None] = {}
        for owner, change in zip(owners, updates, strict=True):
            after = updated(change.update, profiles.get(owner))
            if after is not None and not change.ignore_time:
                after["$last_seen"] = seen
            profiles[owner] = touched[owner] = after
        write_profiles(project.store, touched)
    return receipt


def _update_groups(project: Project, submission: Submission) -> Receipt:
    updates, receipt = _checked(submission, "$group_id", _group_update)
    with project.store.transaction():
        found: dict[GroupId, Properties | None] = {
            **read_groups(project.store, [change.group for change in updates])
        }
        touched: dict[GroupId, Properties | None] = {}
        for change in updates:
            after = updated(change.update, found.get(change.group))
            found[change.group] = touched[change.group] = after
        write_groups(project.store, touched)
        declare(project, (key for key, _ in touched))
    return receipt


def _owner(canonical: dict[str, str], change: ProfileUpdate) -> str:
    if change.ignore_alias:
        return change.distinct_id
    return canonical.get(change.distinct_id, change.distinct_id)


def _checked(
    submission: Submission, id_field: str, check: Callable[[JsonObject], Checked]
) -> tuple[list[Checked], Receipt]:
    """Keep the good records of our project, and say of each bad one what is wrong with it."""
    receipt = Receipt()
    changes: list[Checked] = []
    for index, record in enumerate(submission.records):
        try:
            if not is_object(record):
                raise InvalidRecordError("", "the record is invalid: must be a JSON object")  # noqa: TRY301
            change = check(record)
            if submission.on("strict") and not isinstance(record.get("$token"), str):
                raise invalid("$token", "is required")
        except InvalidRecordError as error:
            receipt.failures.append(_failure(index, record, id_field, error))
            continue
        receipt.accepted += 1
        if is_our_token(record.get("$token")):
            changes.append(change)
    return changes, receipt


def _profile_update(record: JsonObject) -> ProfileUpdate:
    return ProfileUpdate(
        distinct_id=_id(record, "$distinct_id"),
        update=checked_update(record, PROFILE_VERBS),
        ignore_alias=record.get("$ignore_alias") is True,
        ignore_time=record.get("$ignore_time") is True,
    )


def _group_update(record: JsonObject) -> GroupUpdate:
    group = _id(record, "$group_key"), _id(record, "$group_id")
    return GroupUpdate(group, checked_update(record, GROUP_VERBS))


def _id(record: JsonObject, name: str) -> str:
    value = record.get(name)
    if is_number(value):
        return str(value)
    if not isinstance(value, str) or not value:
        raise invalid(name, "must be a non-empty string")
    return checked_text(name, value)


def _failure(
    index: int, record: object, id_field: str, error: InvalidRecordError
) -> dict[str, Any]:
    identifier = record.get(id_field) if is_object(record) else None
    return {
        "index": index,
        id_field: identifier if isinstance(identifier, str) and identifier.isprintable() else "",
        "field": error.field.encode(errors="replace").decode(),
        "message": error.message.encode(errors="replace").decode(),
    }
