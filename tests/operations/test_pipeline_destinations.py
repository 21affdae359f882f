"""Where pipelines may send data, when the operator says where."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from harness import Connect, Era, Person
from upstream import Reply, Upstream

from mixpanel_mcp.settings import Policy

CREATE = "/api/2.0/nessie/pipeline/create"
ALLOWED = ("gs://our-data/exports", "s3://our-lake", "bigquery://our-project/mixpanel")
MONTH_AGO = str(datetime.now(UTC).date() - timedelta(days=30))


def gcs(bucket: str, prefix: str | None = None) -> dict[str, Any]:
    return {
        "gcs_bucket": bucket,
        "gcs_prefix": prefix,
        "gcs_region": "us-east4",
        "from_date": MONTH_AGO,
        "confirm": True,
    }


@pytest.mark.parametrize(
    "prefix", ["exports", "exports/", "/exports", "exports/2026", "exports/a/b-c_d=e"]
)
async def test_the_listed_destination_and_what_lies_below_are_open(
    connect: Connect, upstream: Upstream, era: Era, prefix: str
) -> None:
    upstream.default = Reply(json={"pipeline_names": ["p"]})

    async with connect(era=era, allowed_destinations=ALLOWED) as tools:
        answer = await tools.call("create_gcs_pipeline", **gcs("our-data", prefix))

    assert answer.status == "ok", answer.text
    assert len(upstream.requests) == 1


@pytest.mark.parametrize(
    ("bucket", "prefix"),
    [
        ("our-data", None),
        ("our-data", "exports2"),
        ("our-data", "exports-evil/x"),
        ("our-data", "export"),
        ("our-data", "Exports"),
        ("our-data", "other/exports"),
        ("our-data", "exports/../secret"),
        ("our-data", "../exports"),
        ("our-data", "exports/./x"),
        ("our-data", "exports//x"),
        ("our-data", "exports%2f..%2fx"),
        ("our-data", "exports\\..\\x"),
        ("our-data", "exports?x"),
        ("our-data", "exports\u200b"),
        ("our-data", "exports\n"),
        ("our-data", "e\u0445ports"),  # a Cyrillic letter
        ("our-data", "\uff0e\uff0e/exports"),  # wide dots
        ("our-data2", "exports"),
        ("our-dat", "a/exports"),
        ("OUR-DATA", "exports"),
        ("our-d\u0430ta", "exports"),  # a Cyrillic letter
        ("our\u2010data", "exports"),  # a hyphen that is none
        ("our-data\u200b", "exports"),
        ("our-data/exports", None),
        ("gs://our-data", "exports"),
        ("our-data#", "exports"),
        ("our-lake", "exports"),  # allowed, but in another cloud
        ("..", "our-data/exports"),
        (" our-data", "exports"),
    ],
)
async def test_what_only_looks_like_the_listed_destination_is_refused(
    connect: Connect, upstream: Upstream, bucket: str, prefix: str | None
) -> None:
    person = Person()

    async with connect(allowed_destinations=ALLOWED, person=person) as tools:
        typed = await tools.call("create_gcs_pipeline", **gcs(bucket, prefix))
        form = {"type": "gcs-raw"} | gcs(bucket, prefix)
        del form["confirm"]
        generic = await tools.call("create_generic_pipeline", form_data=form, confirm=True)

    assert (typed.status, typed.is_error) == ("refused", True)
    assert (generic.status, generic.is_error) == ("refused", True)
    assert person.questions == []
    assert upstream.requests == []


FORM: dict[str, Any] = {
    "type": "gcs-raw",
    "gcs_bucket": "our-data",
    "gcs_prefix": "exports",
    "gcs_region": "us-east4",
    "from_date": MONTH_AGO,
}


@pytest.mark.parametrize(
    "trick",
    [
        {"form_data": FORM | {"type": ["gcs-raw", "s3-raw"], "s3_bucket": "evil"}},
        {"form_data": FORM | {"gcs_bucket": ["our-data", "evil"]}},
        {"form_data": FORM | {"gcs_bucket": ["evil", "our-data"]}},
        {"form_data": FORM | {"gcs_prefix": ["exports", "evil"]}},
        {"form_data": FORM, "query_parameters": {"gcs_bucket": "evil"}},
        {"form_data": FORM, "query_parameters": {"type": "s3-raw", "s3_bucket": "evil"}},
        {"form_data": FORM, "url": "/nessie/pipeline/create?gcs_bucket=evil"},
        {"form_data": FORM | {"type": "s3-raw", "s3_bucket": "evil"}},
        {"form_data": FORM | {"type": "aws", "s3_bucket": "our-lake-2"}},
        {"form_data": FORM | {"type": "azure-raw", "storage_account": "a", "container_name": "b"}},
        {"form_data": {"type": "bigquery", "gcp_project": "our-project", "bq_dataset_name": "x"}},
        {"form_data": FORM | {"type": "gcs-new"}},
        {"form_data": FORM | {"type": "GCS-RAW"}},
        {"form_data": FORM | {"type": ""}},
        {"form_data": {"gcs_bucket": "evil"}},
        {"data": {**FORM, "gcs_bucket": "evil"}},
        {"data": [FORM, {**FORM, "gcs_bucket": "evil"}]},
        {"data": "type=gcs-raw&gcs_bucket=our-data&gcs_bucket=evil&gcs_prefix=exports"},
        {"data": "type=gcs-raw&gcs_bucket=evil"},
        {"data": "type=gcs-raw&gcs_bucket=evil", "headers": {"Content-Type": "text/plain"}},
        {"data": "\ufefftype=gcs-raw&gcs_bucket=evil"},
        {"data": "no form at all"},
        {"form_data": FORM, "headers": {"Content-Type": "application/json"}, "method": "PUT"}
        | {"query_parameters": {"gcs_bucket": "evil"}},
        {"form_data": FORM, "file_data": {"gcs_bucket": "data:,evil"}},
        {},
    ],
)
async def test_a_generic_payload_cannot_say_one_thing_and_mean_another(
    connect: Connect, upstream: Upstream, trick: dict[str, Any]
) -> None:
    """Which of two values Mixpanel takes is its own affair: both count, and the worse decides."""
    person = Person()

    async with connect(allowed_destinations=ALLOWED, person=person) as tools:
        generic = await tools.call("create_generic_pipeline", **trick, confirm=True)
        given = {"url": CREATE, "method": "POST"} | trick
        raw = await tools.call("raw_request", **given, confirm=True)

    assert (generic.status, raw.status) == ("refused", "refused")
    assert person.questions == []
    assert upstream.requests == []


@pytest.mark.parametrize(
    "url",
    [
        "/nessie/pipeline/create",
        "/nessie/pipeline/create/",
        "/NESSIE/Pipeline/Create",
        "/nessie/pipeline/%63reate",
        "/nessie/pipeline/%2563reate",
        "/nessie/pipeline/create;v=1",
        "/nessie/pipeline/create#edit",
        "/api/2.0/nessie/pipeline/create",
        "/api/2.0/nessie%2fpipeline/create",
        "nessie/pipeline/create",
    ],
)
async def test_no_spelling_of_the_path_opens_another_destination(
    connect: Connect, upstream: Upstream, url: str
) -> None:
    form = FORM | {"gcs_bucket": "evil"}

    async with connect(allowed_destinations=ALLOWED) as tools:
        for tool in ("create_generic_pipeline", "edit_generic_pipeline", "raw_request"):
            given = {"url": url, "method": "POST", "form_data": form | {"name": "p"}}
            answer = await tools.call(tool, **given, confirm=True)
            assert answer.status == "refused", tool

    assert upstream.requests == []


@pytest.mark.parametrize(
    "form",
    [
        FORM,
        FORM | {"gcs_prefix": "exports/below", "events": ["A", "B"]},
        FORM | {"type": "gcs-schema"},
        {"type": "s3-raw", "s3_bucket": "our-lake", "s3_prefix": "any/where"},
        {"type": "bigquery", "gcp_project": "our-project", "bq_dataset_name": "mixpanel"},
    ],
)
async def test_a_generic_pipeline_to_a_listed_destination_is_created(
    connect: Connect, upstream: Upstream, form: dict[str, Any]
) -> None:
    async with connect(allowed_destinations=ALLOWED) as tools:
        unasked = await tools.call("create_generic_pipeline", form_data=form)
        answer = await tools.call("create_generic_pipeline", form_data=form, confirm=True)

    assert (unasked.status, answer.status) == ("confirmation_required", "ok")
    assert len(upstream.requests) == 1


async def test_the_refusal_names_what_the_operator_listed(connect: Connect) -> None:
    async with connect(allowed_destinations=ALLOWED) as tools:
        answer = await tools.call("create_gcs_pipeline", **gcs("elsewhere", "x"))

    assert '"gs://elsewhere/x"' in answer.text
    assert all(entry in answer.text for entry in ALLOWED)


@pytest.mark.parametrize(
    "entry",
    ["our-data", "gs:/our-data", "ftp://x", "gs://", "gs://our-data/../x", "gs://our-d\u0430ta"],
)
def test_an_entry_that_could_mislead_stops_the_start(entry: str) -> None:
    with pytest.raises(ValueError, match="allowed_destinations"):
        Policy(allowed_destinations=(entry,))
