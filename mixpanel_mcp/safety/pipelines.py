"""What creating, editing or deleting a pipeline means, in words a person can agree to."""

from collections.abc import Mapping, Sequence

from mixpanel_mcp.destinations import destination_of
from mixpanel_mcp.sanitize import listed, quoted

# An object's name may have 1,024 bytes, and the end of it could be where the data goes.
_LONGEST_ADDRESS = 1_200

_Fields = Mapping[str, Sequence[str]]

# Whatever else decides where data goes and who can read it there.
_ALSO_SHOWN = (
    "gcs_region",
    "s3_region",
    "s3_role",
    "tenant_id",
    "bq_region",
    "bq_share_with_group",
    "snowflake_warehouse",
    "snowflake_role",
    "glue_database",
    "glue_role",
)


def describe_create(fields: _Fields) -> tuple[str, str | None, str | None]:
    """What would be created: a sentence, the address, and why the address cannot be told."""
    destination, untold = _destination(fields)
    if destination:
        target = quoted(destination, _LONGEST_ADDRESS)
    else:
        named = [f"{name}={quoted(value, 200)}" for name, value in _address_fields(fields)]
        target = f"a destination this server cannot tell ({', '.join(named) or 'none is named'})"
    kind = quoted(_first(fields, "type") or "?")
    first, last = _first(fields, "from_date"), _first(fields, "to_date")
    window = f"from {quoted(first, 20) if first else 'yesterday'}"
    window += f" to {quoted(last, 20)}" if last else " without end"
    trial = ""
    if _first(fields, "trial").lower() in {"true", "1"}:
        trial = ", as the project's only trial, which cannot be deleted"
    return (
        f"create a {kind} pipeline that sends {_selection(fields)} out of Mixpanel to {target}"
        f"{_details(fields)}, {window}{trial}",
        destination,
        untold,
    )


def describe_edit(fields: _Fields) -> tuple[str, str | None]:
    """What would change: a sentence, and why its destination cannot be told if it names one."""
    events = fields.get("events", [])
    named = [name for name, _ in _address_fields(fields)]
    named += [name for name in fields if name == "bq_share_with_group"]
    untold = f"an edit that names {named[0]} may send data elsewhere" if named else None
    unsaid = "" if events else ". The list of events is not sent; whether the old one stays is open"
    return (
        f"change the pipeline {quoted(_first(fields, 'name'), 200)} so that it sends "
        f"{_selection(fields)}{_details(fields)}{_named(fields)}; what it synchronized before is "
        f"replaced by that selection{unsaid}",
        untold,
    )


def _named(fields: _Fields) -> str:
    """Parts of an address, where they have no business."""
    named = [f"{name} {quoted(value, 200)}" for name, value in _address_fields(fields)]
    return f", with {', '.join(named)}" if named else ""


def describe_cancel(fields: _Fields) -> str:
    return (
        f"delete the pipeline {quoted(_first(fields, 'name'), 200)} and its history; it cannot be "
        "restored"
    )


def _destination(fields: _Fields) -> tuple[str | None, str | None]:
    repeated = sorted(name for name, values in fields.items() if len(set(values)) > 1)
    ambiguous = [name for name in repeated if name not in {"events", "bq_share_with_group"}]
    if ambiguous:
        return None, f"{ambiguous[0]} is given twice with different values"
    try:
        address = destination_of({name: values[0] for name, values in fields.items()})
    except ValueError as error:
        return None, str(error)
    return address, None if address else "its type is not one this server knows"


def _address_fields(fields: _Fields) -> list[tuple[str, str]]:
    secret = ("secret", "password")
    return [
        (name, value)
        for name, values in fields.items()
        if any(part in name for part in ("bucket", "prefix", "account", "container", "dataset"))
        and not any(part in name for part in secret)
        for value in values
    ][:8]


def _selection(fields: _Fields) -> str:
    events = [event for event in fields.get("events", []) if event]
    where = _first(fields, "where")
    what = "profiles" if _first(fields, "data_source") == "people" else "all events"
    selected = f"the events {listed(list(events), most=20, limit=120)}" if events else what
    return f"{selected} where {quoted(where, 500)}" if where else selected


def _details(fields: _Fields) -> str:
    shown = [
        f"{name} {quoted(', '.join(fields[name]), 200)}" for name in _ALSO_SHOWN if name in fields
    ]
    return f" ({'; '.join(shown)})" if shown else ""


def _first(fields: _Fields, name: str) -> str:
    return next(iter(fields.get(name, ())), "")
