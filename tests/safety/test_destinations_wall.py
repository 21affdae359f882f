"""A pipeline sends data only to where the operator allows, and says where before it is made."""

from typing import Any

import pytest
from doors import S3_PIPELINE, SUCCESS, YESTERDAY
from harness import Connect, Era, Person
from upstream import Upstream

ALLOWED = ("s3://lake/raw", "gs://lake/raw")
GCS: dict[str, Any] = {"gcs_region": "europe-west4", "from_date": YESTERDAY}


def s3(**fields: Any) -> dict[str, Any]:
    return {**S3_PIPELINE, **fields}


ELSEWHERE: list[dict[str, Any]] = [
    s3(s3_bucket="evil"),
    s3(s3_bucket="lake.evil.example"),
    s3(s3_bucket="l\u0430ke"),
    s3(s3_bucket="lake\u200b"),
    s3(s3_bucket="LAKE"),
    s3(s3_bucket="lake%2Fraw"),
    s3(s3_bucket="lake/raw/../../evil"),
    s3(s3_bucket=["lake", "evil"]),
    s3(s3_prefix="/raw"),
    s3(s3_prefix="//raw"),
    s3(s3_bucket=""),
    s3(s3_prefix=""),
    s3(s3_prefix="raw-not"),
    s3(s3_prefix="raw/../other"),
    s3(s3_prefix="./raw"),
    s3(s3_prefix="/../raw"),
    s3(s3_prefix="raw//../x"),
    s3(s3_prefix="raw%2f..%2fx"),
    s3(s3_prefix="raw\\..\\x"),
    s3(s3_prefix="other/raw"),
    s3(type="S3-RAW"),
    s3(type="unknown"),
    s3(type=["s3-raw", "gcs-raw"]),
    s3(type=""),
    {name: value for name, value in S3_PIPELINE.items() if name != "type"},
    s3(type="gcs-raw", gcs_bucket="evil"),
    s3(type="azure-blob", storage_account="lake", container_name="raw"),
    s3(type="bigquery", gcp_project="lake", bq_dataset_name="raw"),
    s3(type="bigquery", bq_share_with_group="evil@example.com"),
]


@pytest.mark.parametrize("form", ELSEWHERE, ids=lambda form: ascii(dict(list(form.items())[:3])))
async def test_a_place_that_is_not_listed_gets_nothing(
    connect: Connect, upstream: Upstream, form: dict[str, Any]
) -> None:
    """Not even with a person's yes: the list is the operator's."""
    person = Person()
    raw: dict[str, Any] = {"url": "/nessie/pipeline/create", "method": "POST", "form_data": form}

    async with connect(allowed_destinations=ALLOWED, person=person) as tools:
        create = "create_generic_pipeline"
        answers = [
            await tools.call(create, form_data=form, confirm=True),
            await tools.call(create, data=form, confirm=True),
            await tools.call(create, query_parameters=form, confirm=True),
            await tools.call("raw_request", **raw, confirm=True),
        ]

    assert [(answer.status, answer.is_error) for answer in answers] == [("refused", True)] * 4
    assert person.questions == []
    assert upstream.requests == []


@pytest.mark.parametrize(
    "arguments",
    [
        {"form_data": s3(), "query_parameters": {"s3_bucket": "evil"}},
        {"form_data": s3(), "url": "/nessie/pipeline/create?s3_bucket=evil"},
        {"form_data": s3(), "url": "/nessie/pipeline/create?type=gcs-raw&gcs_bucket=evil"},
        {"form_data": {**S3_PIPELINE, "S3_bucket": "evil"}},
        {"form_data": {**S3_PIPELINE, "s3_bucket[]": "evil"}},
        {"data": {**S3_PIPELINE, "S3_Bucket": "evil"}},
    ],
)
async def test_a_second_place_cannot_hide_behind_a_listed_one(
    connect: Connect, upstream: Upstream, arguments: dict[str, Any]
) -> None:
    """Which of two spellings of a field counts is the server's secret; so neither does."""
    async with connect(allowed_destinations=ALLOWED) as tools:
        answer = await tools.call("create_generic_pipeline", **arguments, confirm=True)

    assert answer.status == "refused"
    assert upstream.requests == []


@pytest.mark.parametrize("bucket", ["evil", "l\u0430ke", "lake/raw", "lake\n", "lake?", ".."])
async def test_the_typed_tool_knows_the_list_too(
    connect: Connect, upstream: Upstream, bucket: str
) -> None:
    async with connect(allowed_destinations=ALLOWED) as tools:
        answer = await tools.call("create_gcs_pipeline", gcs_bucket=bucket, **GCS, confirm=True)

    assert (answer.status, answer.is_error) == ("refused", True)
    assert upstream.requests == []


@pytest.mark.parametrize("prefix", ["raw", "raw/web", "raw/", "raw/2026/web"])
async def test_a_listed_place_and_what_lies_below_it_are_open(
    connect: Connect, upstream: Upstream, era: Era, prefix: str
) -> None:
    upstream.default = SUCCESS

    async with connect(era=era, allowed_destinations=ALLOWED) as tools:
        typed = await tools.call(
            "create_gcs_pipeline", gcs_bucket="lake", gcs_prefix=prefix, **GCS, confirm=True
        )
        generic = await tools.call(
            "create_generic_pipeline", form_data=s3(s3_prefix=prefix), confirm=True
        )

    assert (typed.status, generic.status) == ("ok", "ok")
    assert len(upstream.requests) == 2


async def test_without_a_list_a_misleading_place_is_still_told_as_it_is(
    connect: Connect, upstream: Upstream
) -> None:
    async with connect() as tools:
        answer = await tools.call(
            "create_generic_pipeline", form_data=s3(s3_bucket="l\u0430ke", s3_prefix="a/../b")
        )

    assert answer.status == "confirmation_required"
    assert "cannot tell" in answer.text
    assert "a/../b" in answer.text
    assert upstream.requests == []


@pytest.mark.parametrize(
    "fields", [{"gcs_bucket": "evil"}, {"bq_share_with_group": ["eve@example.com"]}]
)
async def test_an_edit_cannot_name_another_place(
    connect: Connect, upstream: Upstream, fields: dict[str, Any]
) -> None:
    """An edit has no destination of its own, so one that names one is not what it seems."""
    edit = {"name": "p", "form_data": fields, "confirm": True}

    async with connect(allowed_destinations=("s3://lake/raw",)) as tools:
        answer = await tools.call("edit_generic_pipeline", **edit)
    async with connect() as tools:
        shown = await tools.call("edit_generic_pipeline", **(edit | {"confirm": False}))

    assert answer.status == "refused"
    assert "evil" in shown.text or "eve@example.com" in shown.text
    assert upstream.requests == []
