"""The verbs that change profiles, as pure functions.

Sources: `ingestion.openapi.yaml` (`/engage#...`, `/groups#...`), reference page `profile-set` and
its siblings. A verb that does not fit the value it meets (`$add` to a text, `$append` to a number)
leaves it as it is; the pages do not say what happens.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from mixpanel_mcp.sandbox.json_values import (
    JsonObject,
    is_list,
    is_list_of_text,
    is_number,
    is_object,
    write_json,
)
from mixpanel_mcp.sandbox.validation import (
    InvalidRecordError,
    checked_text,
    finite,
    invalid,
    nested_value,
)

if TYPE_CHECKING:
    from collections.abc import Callable

GROUP_VERBS = frozenset(("$set", "$set_once", "$union", "$unset", "$remove", "$delete"))
PROFILE_VERBS = GROUP_VERBS | {"$add", "$append"}

_LARGEST_UPDATE = 1024 * 1024
_LARGEST_VALUE = 256 * 1024
# They never create a profile: there would be nothing in it.
_NEEDS_PROFILE = frozenset(("$unset", "$remove"))


class Update(NamedTuple):
    verb: str
    value: Any


def checked_update(record: object, verbs: frozenset[str]) -> Update:
    """Find the one verb of a record and check its value.

    Raises:
        InvalidRecordError: there is none, more than one, or the value does not fit it.
    """
    if not is_object(record):
        raise InvalidRecordError("", "the record is invalid: must be a JSON object")
    _check_size(record)
    found = [name for name in record if name in PROFILE_VERBS]
    if not found:
        raise InvalidRecordError("", f"the record has no operation: use one of {_names(verbs)}")
    if len(found) > 1:
        raise InvalidRecordError(
            found[1], f"the record has more than one operation: {', '.join(sorted(found))}"
        )
    verb = found[0]
    if verb not in verbs:
        raise invalid(verb, f"is not supported here: use one of {_names(verbs)}")
    return Update(verb, _checked_value(verb, record[verb]))


def updated(update: Update, profile: JsonObject | None) -> JsonObject | None:
    """Return the profile as it is afterwards; None where there is none."""
    if update.verb == "$delete" or (profile is None and update.verb in _NEEDS_PROFILE):
        return None
    after = dict(profile or {})
    _APPLY[update.verb](after, update.value)
    return after


def _checked_value(verb: str, value: Any) -> Any:
    if verb == "$delete":
        return None
    if verb == "$unset":
        if not is_list_of_text(value):
            raise invalid(verb, "must be an array of property names")
        return value
    if not is_object(value):
        raise invalid(verb, "must be a JSON object")
    return {
        checked_text(f"{verb}.{name}", name): _checked_item(verb, name, item)
        for name, item in value.items()
    }


def _checked_item(verb: str, name: str, item: Any) -> Any:
    field = f"{verb}.{name}"
    if verb == "$add" and not is_number(item):
        raise invalid(field, "must be a number")
    if verb == "$union" and not (is_list(item) and item and all(map(_is_scalar, item))):
        raise invalid(field, "must be an array of at least one text or number")
    if verb in ("$append", "$remove") and is_list(item):
        raise invalid(field, "must be a single value")
    if not isinstance(item, list | dict):
        return checked_text(field, item) if isinstance(item, str) else finite(field, item)
    value: Any = nested_value(field, item, depth=1)  # pyright: ignore[reportUnknownArgumentType]
    if len(write_json(value).encode()) > _LARGEST_VALUE:
        raise invalid(field, "list or object must be at most 256 KB")
    return value


def _check_size(record: JsonObject) -> None:
    try:
        size = len(write_json(record).encode())
    except UnicodeEncodeError:
        raise InvalidRecordError("", "string should be valid utf8") from None
    except ValueError:
        raise InvalidRecordError("", "the record holds a number that is out of range") from None
    if size > _LARGEST_UPDATE:
        raise InvalidRecordError("", "the record is invalid: must be at most 1MB")


def _is_scalar(value: Any) -> bool:
    return isinstance(value, str) or is_number(value)


def _names(verbs: frozenset[str]) -> str:
    return ", ".join(sorted(verbs))


def _set(profile: JsonObject, values: JsonObject) -> None:
    profile.update(values)


def _set_once(profile: JsonObject, values: JsonObject) -> None:
    for name, value in values.items():
        profile.setdefault(name, value)


def _add(profile: JsonObject, values: JsonObject) -> None:
    for name, amount in values.items():
        before = profile.get(name, 0)
        if is_number(before):
            profile[name] = before + amount


def _append(profile: JsonObject, values: JsonObject) -> None:
    for name, item in values.items():
        before = profile.get(name, [])
        if is_list(before):
            profile[name] = [*before, item]


def _union(profile: JsonObject, values: JsonObject) -> None:
    for name, items in values.items():
        before = profile.get(name, [])
        if is_list(before):
            # Not a set: items keep their order, and 1 is not true.
            merged = list(before)
            for item in items:
                if not _holds(merged, item):
                    merged.append(item)
            profile[name] = merged


def _remove(profile: JsonObject, values: JsonObject) -> None:
    for name, unwanted in values.items():
        before = profile.get(name)
        if is_list(before):
            profile[name] = [item for item in before if not _equal(item, unwanted)]


def _unset(profile: JsonObject, names: list[str]) -> None:
    for name in names:
        profile.pop(name, None)


def _holds(items: list[Any], wanted: Any) -> bool:
    return any(_equal(item, wanted) for item in items)


def _equal(one: Any, other: Any) -> bool:
    return one == other and isinstance(one, bool) == isinstance(other, bool)


_APPLY: dict[str, Callable[[JsonObject, Any], None]] = {
    "$set": _set,
    "$set_once": _set_once,
    "$add": _add,
    "$append": _append,
    "$union": _union,
    "$remove": _remove,
    "$unset": _unset,
}
