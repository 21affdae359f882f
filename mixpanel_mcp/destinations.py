"""Where a pipeline sends a project's data, as one comparable address.

An address is `gs://bucket/prefix`, `s3://bucket/prefix`, `azure://account/container/prefix`,
`bigquery://project/dataset` or `snowflake://account/database/schema`.
"""

import re
from collections.abc import Mapping

_SCHEMES = ("gs", "s3", "azure", "bigquery", "snowflake")

# The form fields of a pipeline's creation (data-pipelines.openapi.yaml), in the address's order.
_FIELDS: Mapping[str, tuple[str, tuple[str, ...], str | None]] = {
    "gcs-raw": ("gs", ("gcs_bucket",), "gcs_prefix"),
    "gcs-schema": ("gs", ("gcs_bucket",), "gcs_prefix"),
    "s3-raw": ("s3", ("s3_bucket",), "s3_prefix"),
    "aws": ("s3", ("s3_bucket",), "s3_prefix"),
    "azure-raw": ("azure", ("storage_account", "container_name"), "prefix"),
    "azure-blob": ("azure", ("storage_account", "container_name"), "prefix"),
    "bigquery": ("bigquery", ("gcp_project", "bq_dataset_name"), None),
    "snowflake": (
        "snowflake",
        ("snowflake_account_name", "snowflake_database", "snowflake_schema"),
        None,
    ),
}

# What a cloud's own rules leave to a name and its folders. Nothing here can look like something
# else: no control characters, no look-alike letters, no percent signs, no steps upwards.
_PART = re.compile(r"[A-Za-z0-9._=+@:-]+")


def parse_destination(address: str) -> tuple[str, ...]:
    """Split an address into scheme and parts.

    Raises:
        ValueError: it is not one of the five kinds, or has a part that could mislead.
    """
    scheme, separator, rest = address.partition("://")
    parts = tuple(rest.removesuffix("/").split("/"))
    if not separator or scheme not in _SCHEMES:
        raise ValueError(
            f"{address!r:.80} is not a destination; write gs://bucket/prefix, s3://bucket/prefix, "
            "azure://account/container/prefix, bigquery://project/dataset or "
            "snowflake://account/database/schema"
        )
    for part in parts:
        if not _PART.fullmatch(part) or set(part) == {"."}:
            raise ValueError(f"{address!r:.80} has a part that is not a plain name: {part!r:.40}")
    return (scheme, *parts)


def destination_of(form: Mapping[str, str]) -> str | None:
    """The address that a pipeline's creation form names, or None where its type is not known.

    Raises:
        ValueError: a field of the address is missing, or could mislead.
    """
    known = _FIELDS.get(form.get("type", ""))
    if known is None:
        return None
    scheme, required, optional = known
    parts: list[str] = []
    for field in required:
        if not form.get(field):
            raise ValueError(f"{field} is missing")
        if "/" in form[field]:
            raise ValueError(f"{field} must not contain a slash")
        parts.append(form[field])
    if optional and (prefix := form.get(optional, "").removesuffix("/")):
        parts.append(prefix)
    address = f"{scheme}://{'/'.join(parts)}"
    parse_destination(address)
    return address


def is_below(address: str, allowed: str) -> bool:
    """Whether an address is an allowed one or lies below it at a `/`."""
    inner, outer = parse_destination(address), parse_destination(allowed)
    return inner[: len(outer)] == outer
