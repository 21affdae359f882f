"""Creating a pipeline to Google Cloud Storage: typed, and checked before anything is sent."""

from calendar import monthrange
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from enum import StrEnum
from typing import Literal

from pydantic import Field

from mixpanel_mcp.api.errors import InvalidArgumentsError
from mixpanel_mcp.api.request import pairs
from mixpanel_mcp.destinations import destination_of
from mixpanel_mcp.json_values import is_list
from mixpanel_mcp.operation import Answer, Call, Effect, InProject, Table, Write, operation
from mixpanel_mcp.operations.arguments import Day, Names
from mixpanel_mcp.operations.pipelines import pipeline_write
from mixpanel_mcp.operations.replies import written_object
from mixpanel_mcp.sanitize import quoted

_MONTHS_BACK = 6


class GcsRegion(StrEnum):
    """Where a bucket can be (data-pipelines.openapi.yaml, gcs_region)."""

    NORTHAMERICA_NORTHEAST1 = "northamerica-northeast1"
    US_CENTRAL1 = "us-central1"
    US_EAST1 = "us-east1"
    US_EAST4 = "us-east4"
    US_WEST1 = "us-west1"
    US_WEST2 = "us-west2"
    SOUTHAMERICA_EAST1 = "southamerica-east1"
    EUROPE_NORTH1 = "europe-north1"
    EUROPE_WEST1 = "europe-west1"
    EUROPE_WEST2 = "europe-west2"
    EUROPE_WEST3 = "europe-west3"
    EUROPE_WEST4 = "europe-west4"
    EUROPE_WEST6 = "europe-west6"
    ASIA_EAST1 = "asia-east1"
    ASIA_EAST2 = "asia-east2"
    ASIA_NORTHEAST1 = "asia-northeast1"
    ASIA_NORTHEAST2 = "asia-northeast2"
    ASIA_NORTHEAST3 = "asia-northeast3"
    ASIA_SOUTH1 = "asia-south1"
    ASIA_SOUTHEAST1 = "asia-southeast1"
    AUSTRALIA_SOUTHEAST1 = "australia-southeast1"


class CreateGcsPipeline(Write, InProject):
    """Arguments of create_gcs_pipeline."""

    gcs_bucket: str = Field(min_length=1, description="Bucket that receives the data.")
    gcs_region: GcsRegion = Field(description="Where the bucket is.")
    gcs_prefix: str | None = Field(default=None, description="Folder in the bucket.")
    from_date: Day | None = Field(
        default=None, description="First day, at most six months back. Required unless trial."
    )
    to_date: Day | None = Field(
        default=None, description="Last day; without it the export goes on."
    )
    frequency: Literal["daily", "hourly"] | None = Field(
        default=None, description="Only without to_date; daily if unset."
    )
    trial: bool = Field(
        default=False,
        description="The project's one trial: 30 days, daily, all events, undeletable.",
    )
    events: Names | None = Field(default=None, description="Only these events; all without it.")
    where: str | None = Field(default=None, description='Filter: properties["plan"] == "pro".')


@operation(
    title="Create a Cloud Storage pipeline",
    toolset="pipelines",
    effect=Effect.IRREVERSIBLE,
    docs="data-pipelines.openapi.yaml /nessie/pipeline/create (RawGCSPipeline)",
)
async def create_gcs_pipeline(call: Call, args: CreateGcsPipeline) -> Answer:
    """Create a pipeline that sends raw events, as JSON, to a Google Cloud Storage bucket."""
    _check_create(args, datetime.now(UTC).date())
    frequency = args.frequency or (None if args.to_date else "daily")
    form = pairs(
        {
            "project_id": call.project(),
            "type": "gcs-raw",
            "data_source": "events",
            "data_format": "json",
            "gcs_bucket": args.gcs_bucket,
            # What was checked and is shown: a slash in front would name another folder.
            "gcs_prefix": (args.gcs_prefix or "").strip("/") or None,
            "gcs_region": args.gcs_region.value,
            "from_date": args.from_date,
            "to_date": args.to_date,
            "trial": args.trial or None,
            "frequency": frequency,
            "events": args.events,
            "where": args.where,
        }
    )
    request = pipeline_write(call, "/create", form)
    document = await written_object(call, request)
    given = document.get("pipeline_names")
    names = [str(name) for name in given] if is_list(given) else []
    target = destination_of(dict(form))
    return Answer(
        headline=f"Created a pipeline that sends to {quoted(target, 1_200)}.",
        data=document,
        table=Table(columns=["name"], rows=[[name] for name in names]),
        complete=bool(names),
        notes=[
            *([] if names else ["Mixpanel named no pipeline: look at list_pipelines"]),
            "the bucket must let export-upload@mixpanel-prod-1.iam.gserviceaccount.com write "
            "(Storage Object Admin)",
        ],
    )


def _check_create(args: CreateGcsPipeline, today: date) -> None:
    faults = [*_destination_faults(args), *_date_faults(args, today)]
    if args.trial:
        faults += _trial_faults(args, today)
    elif args.from_date is None:
        faults.append("from_date: is required unless trial is true")
    if args.to_date is not None and args.frequency is not None:
        faults.append("frequency: applies only to exports without to_date; leave it out")
    if faults:
        raise InvalidArgumentsError(faults)


def _destination_faults(args: CreateGcsPipeline) -> Iterator[str]:
    try:
        destination_of({"type": "gcs-raw", "gcs_bucket": args.gcs_bucket})
    except ValueError as error:
        yield f"gcs_bucket: {error}"
        return
    try:
        fields = {"gcs_bucket": args.gcs_bucket, "gcs_prefix": (args.gcs_prefix or "").strip("/")}
        destination_of({"type": "gcs-raw", **fields})
    except ValueError as error:
        yield f"gcs_prefix: {error}"


def _date_faults(args: CreateGcsPipeline, today: date) -> Iterator[str]:
    if args.from_date is not None:
        earliest = months_before(today, _MONTHS_BACK)
        if date.fromisoformat(args.from_date) < earliest:
            yield f"from_date: lies more than six months back (not before {earliest})"
    if args.to_date is not None and args.from_date is not None and args.to_date < args.from_date:
        yield "to_date: lies before from_date"


def _trial_faults(args: CreateGcsPipeline, today: date) -> Iterator[str]:
    if args.events or args.where:
        yield "events and where: a trial exports all events"
    if args.frequency == "hourly":
        yield "frequency: a trial is daily"
    if args.from_date and date.fromisoformat(args.from_date) < today - timedelta(days=1):
        yield "from_date: a trial reaches back one day; leave it out"


def months_before(day: date, months: int) -> date:
    """The same day some months earlier, or the last one that month has."""
    year, month = divmod(day.year * 12 + day.month - 1 - months, 12)
    return date(year, month + 1, min(day.day, monthrange(year, month + 1)[1]))
