"""What each type of pipeline asks for. Source: `data-pipelines.openapi.yaml`."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from datetime import date

    from mixpanel_mcp.sandbox.parameters import Parameters

# fmt: off
GCS_REGIONS = (
    "northamerica-northeast1", "us-central1", "us-east1", "us-east4", "us-west1", "us-west2",
    "southamerica-east1", "europe-north1", "europe-west1", "europe-west2", "europe-west3",
    "europe-west4", "europe-west6", "asia-east1", "asia-east2", "asia-northeast1",
    "asia-northeast2", "asia-northeast3", "asia-south1", "asia-southeast1",
    "australia-southeast1"
)
S3_REGIONS = (
    "us-east-1", "us-east-2", "us-west-1", "us-west-2", "ap-northeast-1", "ap-northeast-2",
    "ap-northeast-3", "ap-southeast-1", "ap-southeast-2", "ap-south-1", "ca-central-1",
    "cn-north-1", "cn-northwest-1", "eu-central-1", "eu-north-1", "eu-west-1", "eu-west-2",
    "eu-west-3", "sa-east-1"
)
BIGQUERY_REGIONS = (
    "US", "US_CENTRAL_1", "US_EAST_1", "US_WEST_1", "US_WEST_2", "US_EAST_4",
    "NORTH_AMERICA_NORTHEAST_1", "SOUTH_AMERICA_EAST_1", "EU", "EUROPE_NORTH_1",
    "EUROPE_WEST_2", "EUROPE_WEST_3", "EUROPE_WEST_4", "EUROPE_WEST_6", "ASIA_SOUTH_1",
    "ASIA_EAST_1", "ASIA_EAST_2", "ASIA_NORTHEAST_1", "ASIA_NORTHEAST_2", "ASIA_NORTHEAST_3",
    "ASIA_SOUTHEAST_1", "ASIA_SOUTHEAST_2", "AUSTRALIA_SOUTHEAST_1"
)
# fmt: on

# 'cannot be more than six months in the past'
_FURTHEST_BACK = timedelta(days=184)
_AZURE = ("storage_account", "container_name", "client_id", "client_secret", "tenant_id")
_S3_OPTIONS = ("s3_prefix", "s3_encryption", "s3_kms_key_id")
_CHOICES: dict[str, tuple[str, ...]] = {
    "gcs_region": GCS_REGIONS,
    "bq_region": BIGQUERY_REGIONS,
    "s3_encryption": ("none", "aes", "kms"),
    "use_glue": ("true", "false"),
}
# They travel in the body of a create; nothing shows them again, so nothing keeps them.
_SECRETS = frozenset(("client_secret", "snowflake_password"))


@dataclass(frozen=True)
class PipelineType:
    required: tuple[str, ...]
    optional: tuple[str, ...] = ()
    formats: tuple[str, ...] = ()
    schematized: bool = False
    editable: tuple[str, ...] = ()
    """Beside `events` and `where`."""


PIPELINE_TYPES: dict[str, PipelineType] = {
    "gcs-raw": PipelineType(("gcs_bucket", "gcs_region"), ("gcs_prefix",), ("json",)),
    "s3-raw": PipelineType(("s3_bucket", "s3_region", "s3_role"), _S3_OPTIONS, ("json",)),
    "azure-raw": PipelineType(
        _AZURE,
        ("prefix",),
        ("json",),
        editable=("azure_client_id", "azure_client_secret", "azure_tenant_id"),
    ),
    "bigquery": PipelineType(
        ("bq_region", "gcp_project", "bq_dataset_name"),
        ("bq_prefix",),
        schematized=True,
        editable=("bq_share_with_group",),
    ),
    "snowflake": PipelineType(
        (
            "snowflake_account_name",
            "snowflake_warehouse",
            "snowflake_storage_integration",
            "snowflake_user",
            "snowflake_password",
            "snowflake_role",
            "snowflake_database",
            "snowflake_schema",
        ),
        ("snowflake_prefix",),
        schematized=True,
    ),
    "aws": PipelineType(
        ("s3_bucket", "s3_region", "s3_role"),
        (*_S3_OPTIONS, "use_glue", "glue_database", "glue_role", "glue_table_prefix"),
        ("json", "parquet"),
        schematized=True,
        editable=("glue_database", "glue_role", "glue_table_prefix"),
    ),
    "azure-blob": PipelineType(
        _AZURE,
        ("prefix",),
        ("json", "parquet"),
        schematized=True,
        editable=("azure_client_id", "azure_client_secret", "azure_tenant_id"),
    ),
    "gcs-schema": PipelineType(
        ("gcs_bucket", "gcs_region"), ("gcs_prefix",), ("json", "parquet"), schematized=True
    ),
}


def checked_pipeline(form: Parameters, events: list[str], today: date) -> dict[str, Any]:
    """Check a create and return the pipeline as it is kept.

    Raises:
        RefusedError: something is missing, unknown or contradictory.
    """
    form.required("type")
    type_name = form.choice("type", tuple(PIPELINE_TYPES)) or ""
    trial = form.choice("trial", ("true", "false")) == "true"
    kind = PIPELINE_TYPES[type_name]
    destination = _destination(form, type_name, kind)
    source = form.choice("data_source", _sources(kind)) or "events"
    where = form.condition("where")
    if where and source == "people":
        raise form.refuse("where is only valid when data_source is events")
    pipeline: dict[str, Any] = {
        "type": type_name,
        "trial": trial,
        "data_source": source,
        "data_format": form.choice("data_format", kind.formats or ("json",)) or "json",
        "events": events,
        "where": where,
        "sync": False,
        **_window(form, today, trial=trial),
        "destination": destination,
    }
    if kind.schematized:
        pipeline |= _schema(form, source, trial=trial)
    if trial and events:
        raise form.refuse("a trial pipeline exports all events: events cannot be set")
    return pipeline


def _sources(kind: PipelineType) -> tuple[str, ...]:
    return ("events", "people") if kind.schematized else ("events",)


def _destination(form: Parameters, type_name: str, kind: PipelineType) -> dict[str, str]:
    values = {name: form.required(name) for name in kind.required}
    values |= {name: value for name in kind.optional if (value := form.text(name))}
    for name in values.keys() & _CHOICES.keys():
        form.choice(name, _CHOICES[name])
    if "s3_region" in values:
        only_raw = ("me-south-1",) if type_name == "s3-raw" else ()
        form.choice("s3_region", (*S3_REGIONS, *only_raw))
    if values.get("use_glue") == "true":
        form.required("glue_database")
        form.required("glue_role")
    if not re.fullmatch(r"\w*", values.get("bq_prefix", ""), re.ASCII):
        raise form.refuse("bq_prefix may hold only alphanumeric characters and underscores")
    return {name: value for name, value in values.items() if name not in _SECRETS}


def _window(form: Parameters, today: date, *, trial: bool) -> dict[str, Any]:
    """Check the dates. A trial starts a day back, whatever is asked for, and is daily."""
    if trial:
        if form.text("to_date") is not None or form.text("frequency") not in (None, "daily"):
            raise form.refuse("a trial pipeline is daily and has no to_date")
        form.date("from_date")
        yesterday = today - timedelta(days=1)
        return {"from_date": yesterday.isoformat(), "to_date": None, "frequency": "daily"}
    form.required("from_date")
    from_date, to_date = form.date("from_date") or today, form.date("to_date")
    if from_date < today - _FURTHEST_BACK:
        raise form.refuse("from_date cannot be more than six months in the past")
    frequency = form.choice("frequency", ("daily", "hourly"))
    if to_date is None:
        return {
            "from_date": from_date.isoformat(),
            "to_date": None,
            "frequency": frequency or "daily",
        }
    if frequency is not None:
        raise form.refuse("frequency should only be passed if the export window is indefinite")
    if to_date < from_date:
        raise form.refuse("from_date cannot be later than to_date")
    return {
        "from_date": from_date.isoformat(),
        "to_date": to_date.isoformat(),
        "frequency": "daily",
    }


def _schema(form: Parameters, source: str, *, trial: bool) -> dict[str, Any]:
    """Check `sync` and `schema_type`; a trial has neither of its own choosing."""
    if not trial:
        form.required("sync")
        form.required("schema_type")
        form.choice("sync", ("true",))
    schema_type = form.choice("schema_type", ("monoschema", "multischema")) or "monoschema"
    if schema_type == "multischema" and (trial or source == "people"):
        raise form.refuse("multischema is not available for trials or for people")
    return {"sync": not trial, "schema_type": schema_type}
