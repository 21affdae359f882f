"""Pipelines of any type through the generic tools: the same form, the same gate."""

import json
from typing import Any
from urllib.parse import unquote_plus, urlencode

import pytest
from harness import Connect, Era, Person
from upstream import Drop, Reply, Upstream

ROOM = "/api/2.0/nessie/pipeline"
CREATE, EDIT = f"{ROOM}/create", f"{ROOM}/edit"
S3: dict[str, Any] = {
    "type": "s3-raw",
    "s3_bucket": "lake",
    "s3_prefix": "mixpanel/raw",
    "s3_region": "eu-west-1",
    "s3_role": "arn:aws:iam::1:role/mixpanel",
    "from_date": "2026-01-01",
    "events": ["Signed up", "A, B"],
    "trial": False,
}


async def test_form_data_goes_out_urlencoded_to_the_data_host(
    connect: Connect, upstream: Upstream, era: Era
) -> None:
    """The connector document sends multipart, which no endpoint of Mixpanel's takes."""
    upstream.default = Reply(json={"pipeline_names": ["p"]})

    async with connect(era=era) as tools:
        answer = await tools.call("create_generic_pipeline", form_data=S3, confirm=True)

    (request,) = upstream.requests
    assert (request.method, request.target) == ("POST", f"{CREATE}?project_id=4242")
    assert request.headers["content-type"] == "application/x-www-form-urlencoded"
    assert request.headers["authorization"].startswith("Basic ")
    assert request.form == [
        ("type", "s3-raw"),
        ("s3_bucket", "lake"),
        ("s3_prefix", "mixpanel/raw"),
        ("s3_region", "eu-west-1"),
        ("s3_role", "arn:aws:iam::1:role/mixpanel"),
        ("from_date", "2026-01-01"),
        ("events", "Signed up"),
        ("events", "A, B"),
        ("trial", "false"),
    ]
    assert answer.status == "ok"
    assert answer.data["http_status"] == 200
    assert answer.data["body"] == {"pipeline_names": ["p"]}


@pytest.mark.parametrize(
    ("form", "address"),
    [
        (S3, "s3://lake/mixpanel/raw"),
        ({"type": "aws", "s3_bucket": "lake"}, "s3://lake"),
        ({"type": "gcs-schema", "gcs_bucket": "b", "gcs_prefix": "p"}, "gs://b/p"),
        (
            {"type": "azure-blob", "storage_account": "a", "container_name": "c", "prefix": "p"},
            "azure://a/c/p",
        ),
        (
            {"type": "bigquery", "gcp_project": "g", "bq_dataset_name": "d"},
            "bigquery://g/d",
        ),
        (
            {
                "type": "snowflake",
                "snowflake_account_name": "a",
                "snowflake_database": "d",
                "snowflake_schema": "s",
            },
            "snowflake://a/d/s",
        ),
    ],
)
async def test_every_kind_of_destination_is_shown_before_it_is_confirmed(
    connect: Connect, upstream: Upstream, form: dict[str, Any], address: str
) -> None:
    async with connect() as tools:
        answer = await tools.call("create_generic_pipeline", form_data=form)

    assert (answer.status, answer.is_error) == ("confirmation_required", False)
    assert f'"{address}"' in answer.text
    assert upstream.requests == []


async def test_a_destination_that_cannot_be_told_is_said_to_be_so(
    connect: Connect, upstream: Upstream
) -> None:
    async with connect() as tools:
        twice = await tools.call(
            "create_generic_pipeline", form_data=S3 | {"s3_bucket": ["lake", "evil"]}
        )
        unknown = await tools.call(
            "create_generic_pipeline", form_data={"type": "redshift", "bucket": "evil"}
        )

    assert (twice.status, unknown.status) == ("confirmation_required",) * 2
    for answer in (twice, unknown):
        assert "cannot tell" in answer.text
        assert "evil" in answer.text
    assert upstream.requests == []


@pytest.mark.parametrize("holder", ["form", "form as text", "data", "data as text", "urlencoded"])
async def test_secrets_of_the_destination_are_sent_and_never_shown(
    connect: Connect, upstream: Upstream, holder: str
) -> None:
    secret = "S3cr3t/destination=value"
    form = {"type": "azure-raw", "storage_account": "a", "client_secret": secret}
    carried: dict[str, dict[str, Any]] = {
        "form": {"form_data": form},
        "form as text": {"form_data": json.dumps(form)},
        "data": {"data": form},
        "data as text": {"data": json.dumps(form)},
        "urlencoded": {"data": urlencode(form)},
    }
    upstream.default = Reply(400, json={"error": f"client_secret {secret} is wrong"})

    async with connect() as tools:
        asked = await tools.call("create_generic_pipeline", **carried[holder])
        failed = await tools.call("create_generic_pipeline", **carried[holder], confirm=True)

    assert secret in unquote_plus(upstream.last.body.decode())
    assert (asked.status, failed.status) == ("confirmation_required", "failed")
    for answer in (asked, failed):
        assert secret not in unquote_plus(answer.text + str(answer.structured))


@pytest.mark.parametrize(
    ("given", "form"),
    [
        ({"name": "p", "form_data": {"events": ["A", "B"]}}, [("events", "A"), ("events", "B")]),
        ({"name": "p"}, []),
        ({"form_data": {"name": "p", "where": "x"}}, [("where", "x")]),
        ({"name": "p", "form_data": {"name": "p"}}, []),
        ({"name": "p", "form_data": '{"where": "x"}'}, [("where", "x")]),
    ],
)
async def test_the_name_goes_into_the_form_of_an_edit(
    connect: Connect, upstream: Upstream, given: dict[str, Any], form: list[tuple[str, str]]
) -> None:
    """The connector document asks for the name, and then never sends it."""
    async with connect() as tools:
        answer = await tools.call("edit_generic_pipeline", **given, confirm=True)

    (request,) = upstream.requests
    assert (request.method, request.target) == ("POST", f"{EDIT}?project_id=4242")
    assert sorted(request.form) == sorted([("name", "p"), *form])
    assert answer.status == "ok"


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({}, "name"),
        ({"form_data": {"events": ["A"]}}, "name"),
        ({"name": "p", "form_data": {"name": "q"}}, "another pipeline"),
        ({"name": "p", "form_data": {"name": ["p", "q"]}}, "another pipeline"),
    ],
)
async def test_an_edit_says_which_pipeline_and_only_one(
    connect: Connect, upstream: Upstream, given: dict[str, Any], words: str
) -> None:
    async with connect() as tools:
        answer = await tools.call("edit_generic_pipeline", **given, confirm=True)

    assert (answer.status, answer.is_error) == ("refused", True)
    assert words in answer.text
    assert upstream.requests == []


DOORS: list[tuple[str, str, dict[str, Any], str]] = [
    ("create_generic_pipeline", CREATE, {"form_data": S3}, "s3://lake/mixpanel/raw"),
    ("edit_generic_pipeline", EDIT, {"name": "p-7", "form_data": {"where": "x"}}, "p-7"),
    (
        "create_generic_pipeline",
        f"{ROOM}/cancel",
        {"url": "/nessie/pipeline/cancel", "form_data": {"name": "p-7"}},
        "p-7",
    ),
    (
        "raw_request",
        CREATE,
        {"url": "/nessie/pipeline/create", "method": "POST", "form_data": S3},
        "s3://lake/mixpanel/raw",
    ),
    (
        "raw_request",
        f"{ROOM}/cancel",
        {"url": f"{ROOM}/cancel", "method": "GET", "query_parameters": {"name": "p-7"}},
        "p-7",
    ),
]
every_door = pytest.mark.parametrize(("tool", "path", "arguments", "words"), DOORS)


@every_door
async def test_each_door_asks_first_and_sends_one_request(
    connect: Connect,
    upstream: Upstream,
    era: Era,
    tool: str,
    path: str,
    arguments: dict[str, Any],
    words: str,
) -> None:
    person = Person()

    async with connect(era=era, person=person) as tools:
        asked = await tools.call(tool, **arguments)
        done = await tools.call(tool, **arguments, confirm=True)

    assert asked.status == "confirmation_required"
    assert words in asked.text
    assert words in person.questions[0]
    assert done.status == "ok"
    assert [request.path for request in upstream.requests] == [path]


@every_door
async def test_read_only_opens_none_of_the_doors(
    connect: Connect,
    upstream: Upstream,
    tool: str,
    path: str,
    arguments: dict[str, Any],
    words: str,
) -> None:
    del path, words
    async with connect(read_only=True) as tools:
        if tool == "raw_request":
            answer = await tools.call(tool, **arguments, confirm=True)
            assert answer.status == "refused"
            assert "read-only" in answer.text
        else:
            offered = [each.name for each in (await tools.client.list_tools()).tools]
            assert tool not in offered

    assert upstream.requests == []


@pytest.mark.parametrize(
    ("tool", "arguments", "sent"),
    [
        ("create_generic_pipeline", {"form_data": S3}, 1),
        ("edit_generic_pipeline", {"name": "p"}, 3),
        (
            "create_generic_pipeline",
            {"url": "/nessie/pipeline/cancel", "form_data": {"name": "p"}},
            3,
        ),
    ],
)
@pytest.mark.parametrize("fault", [Reply(500), Drop()], ids=["500", "drop"])
async def test_retries_are_asked_for_and_still_never_create_twice(
    connect: Connect,
    upstream: Upstream,
    tool: str,
    arguments: dict[str, Any],
    sent: int,
    fault: Reply | Drop,
) -> None:
    upstream.default = fault

    async with connect() as tools:
        answer = await tools.call(
            tool, **arguments, max_retry_count=2, retry_on_all_errors=True, confirm=True
        )

    assert (answer.status, answer.is_error) == ("failed", True)
    assert ("may have happened" in answer.text) == (sent == 1)
    assert len(upstream.requests) == sent


async def test_other_paths_of_the_data_host_are_reached_without_their_prefix(
    connect: Connect, upstream: Upstream
) -> None:
    async with connect() as tools:
        jobs = await tools.call("create_generic_pipeline", url="nessie/pipeline/jobs", method="get")
        edited = await tools.call(
            "edit_generic_pipeline",
            name="p",
            url="/api/2.0/nessie/pipeline/pause",
            method="PUT",
            region="in",
            project_id=7,
            confirm=True,
        )

    first, second = upstream.requests
    assert (first.method, first.target) == ("GET", f"{ROOM}/jobs?project_id=4242")
    assert (second.method, second.target) == ("PUT", f"{ROOM}/pause?project_id=7")
    assert (jobs.status, edited.status) == ("ok", "ok")
    assert edited.structured["scope"]["region"] == "in"
