"""Creating a Cloud Storage pipeline: dates, trial, frequency, and a destination shown first."""

from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from harness import Connect, Era, Person
from upstream import Drop, Hang, Reply, Upstream

from mixpanel_mcp.operations.pipeline_creation import months_before
from mixpanel_mcp.sandbox import running_sandbox

CREATE = "/api/2.0/nessie/pipeline/create"
CREATED = Reply(json={"pipeline_names": ["events-daily-gcs-raw"]})

# data-pipelines.openapi.yaml, gcs_region.
REGIONS = {
    *("northamerica-northeast1", "us-central1", "us-east1", "us-east4", "us-west1", "us-west2"),
    *("southamerica-east1", "europe-north1", "europe-west1", "europe-west2", "europe-west3"),
    *("europe-west4", "europe-west6", "asia-east1", "asia-east2", "asia-northeast1"),
    *("asia-northeast2", "asia-northeast3", "asia-south1", "asia-southeast1"),
    "australia-southeast1",
}


def ago(days: int) -> str:
    return str(datetime.now(UTC).date() - timedelta(days=days))


BUCKET: dict[str, Any] = {"gcs_bucket": "our-data", "gcs_region": "us-east4"}
OPEN: dict[str, Any] = {**BUCKET, "from_date": ago(30)}
FIXED = [("type", "gcs-raw"), ("data_source", "events"), ("data_format", "json")]


async def test_a_pipeline_is_created_by_a_form(
    connect: Connect, upstream: Upstream, era: Era
) -> None:
    upstream.default = CREATED

    async with connect(era=era) as tools:
        answer = await tools.call("create_gcs_pipeline", **OPEN, confirm=True)

    (request,) = upstream.requests
    assert (request.method, request.target) == ("POST", CREATE)
    assert request.headers["content-type"] == "application/x-www-form-urlencoded"
    assert request.headers["authorization"].startswith("Basic ")
    assert sorted(request.form) == sorted(
        [
            ("project_id", "4242"),
            *FIXED,
            ("gcs_bucket", "our-data"),
            ("gcs_region", "us-east4"),
            ("from_date", ago(30)),
            ("frequency", "daily"),
        ]
    )
    assert (answer.status, answer.data) == ("ok", {"pipeline_names": ["events-daily-gcs-raw"]})
    assert answer.text.startswith('Created a pipeline that sends to "gs://our-data".')
    assert "export-upload@mixpanel-prod-1.iam.gserviceaccount.com" in answer.notes


@pytest.mark.parametrize(
    ("given", "sent"),
    [
        ({"gcs_bucket": "other.bucket"}, {"gcs_bucket": ["other.bucket"]}),
        ({"gcs_prefix": "a/b"}, {"gcs_prefix": ["a/b"]}),
        ({"gcs_region": "europe-west6"}, {"gcs_region": ["europe-west6"]}),
        ({"frequency": "hourly"}, {"frequency": ["hourly"]}),
        ({"from_date": ago(180)}, {"from_date": [ago(180)]}),
        ({"to_date": ago(1)}, {"to_date": [ago(1)], "frequency": []}),
        ({"to_date": ago(30)}, {"to_date": [ago(30)], "frequency": []}),
        ({"events": ["A", "B, C"]}, {"events": ["A", "B, C"]}),
        ({"events": "Page View"}, {"events": ["Page View"]}),
        ({"where": 'properties["a"] == "x+y"'}, {"where": ['properties["a"] == "x+y"']}),
        ({"project_id": 7}, {"project_id": ["7"]}),
        ({"trial": True, "from_date": None}, {"trial": ["true"], "from_date": []}),
        ({"trial": True, "from_date": ago(0)}, {"trial": ["true"], "from_date": [ago(0)]}),
        ({"trial": False}, {"trial": [], "events": [], "where": [], "to_date": []}),
    ],
)
async def test_each_argument_changes_the_form(
    connect: Connect, upstream: Upstream, given: dict[str, Any], sent: dict[str, list[str]]
) -> None:
    upstream.default = CREATED

    async with connect() as tools:
        answer = await tools.call("create_gcs_pipeline", **(OPEN | given), confirm=True)

    assert answer.status == "ok", answer.text
    form = upstream.last.form
    assert {key: [value for name, value in form if name == key] for key in sent} == sent


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"gcs_region": "us-east-2"}, "gcs_region"),
        ({"gcs_region": "US-EAST4"}, "gcs_region"),
        ({"gcs_region": None}, "gcs_region"),
        ({"gcs_bucket": None}, "gcs_bucket"),
        ({"gcs_bucket": ""}, "gcs_bucket"),
        ({"gcs_bucket": "our-data/elsewhere"}, "gcs_bucket"),
        ({"gcs_bucket": "our-d\u0430ta"}, "gcs_bucket"),
        ({"gcs_bucket": "our-data\u200b"}, "gcs_bucket"),
        ({"gcs_bucket": "our-data "}, "gcs_bucket"),
        ({"gcs_bucket": ".."}, "gcs_bucket"),
        ({"gcs_prefix": "a/../../b"}, "gcs_prefix"),
        ({"gcs_prefix": "a//b"}, "gcs_prefix"),
        ({"gcs_prefix": "%2e%2e/b"}, "gcs_prefix"),
        ({"gcs_prefix": "a\nb"}, "gcs_prefix"),
        ({"from_date": None}, "required unless trial"),
        ({"from_date": ago(185)}, "six months"),
        ({"from_date": "2026-13-01"}, "from_date"),
        ({"from_date": "01/02/2026"}, "from_date"),
        ({"to_date": ago(31)}, "to_date"),
        ({"to_date": "tomorrow"}, "to_date"),
        ({"frequency": "weekly"}, "frequency"),
        ({"frequency": "daily", "to_date": ago(1)}, "frequency"),
        ({"frequency": "hourly", "to_date": ago(1)}, "frequency"),
        ({"trial": True, "frequency": "hourly", "from_date": None}, "frequency"),
        ({"trial": True, "events": ["A"], "from_date": None}, "all events"),
        ({"trial": True, "where": 'properties["a"]', "from_date": None}, "all events"),
        ({"trial": True, "from_date": ago(3)}, "from_date"),
        ({"trial": "maybe"}, "trial"),
        ({"events": ["A", ""]}, "events"),
        ({"where": 5}, "where"),
        ({"project_id": "mine"}, "project_id"),
        ({"region": "us-east4"}, "region"),
        ({"type": "s3-raw"}, "type"),
    ],
)
async def test_what_mixpanel_would_refuse_or_misread_is_refused_here(
    connect: Connect, upstream: Upstream, given: dict[str, Any], words: str
) -> None:
    """A creation cannot be taken back, and a date range may be asked for once a day."""
    async with connect() as tools:
        answer = await tools.call("create_gcs_pipeline", **(OPEN | given), confirm=True)

    assert (answer.status, answer.is_error) == ("refused", True)
    assert words in answer.text
    assert upstream.requests == []


async def test_the_regions_are_those_of_the_specification(connect: Connect) -> None:
    async with connect() as tools:
        (tool,) = [
            tool
            for tool in (await tools.client.list_tools()).tools
            if tool.name == "create_gcs_pipeline"
        ]

    schema = tool.input_schema
    region = schema["properties"]["gcs_region"]
    named = region.get("$ref", "").rsplit("/", 1)[-1]
    assert set((schema["$defs"][named] if named else region)["enum"]) == REGIONS
    assert set(schema["required"]) == {"gcs_bucket", "gcs_region"}


@pytest.mark.parametrize(
    ("day", "expected"),
    [
        ("2026-03-15", "2025-09-15"),
        ("2026-08-31", "2026-02-28"),
        ("2024-08-31", "2024-02-29"),
        ("2026-12-31", "2026-06-30"),
        ("2026-01-31", "2025-07-31"),
        ("2026-06-01", "2025-12-01"),
    ],
)
def test_six_months_back_is_a_day_that_exists(day: str, expected: str) -> None:
    assert months_before(date.fromisoformat(day), 6) == date.fromisoformat(expected)


async def test_the_destination_is_shown_in_full_before_anything_is_sent(
    connect: Connect, upstream: Upstream, era: Era
) -> None:
    async with connect(era=era) as tools:
        answer = await tools.call(
            "create_gcs_pipeline",
            **OPEN,
            gcs_prefix="exports/mixpanel",
            events=["Signed up", "Bought"],
            where='properties["plan"] == "pro"',
        )

    assert (answer.status, answer.is_error) == ("confirmation_required", False)
    assert '"gs://our-data/exports/mixpanel"' in answer.text
    shown = ("us-east4", '"Signed up", "Bought"', "properties['plan'] == 'pro'", ago(30))
    assert all(word in answer.text for word in shown)
    assert "without end" in answer.text
    assert "confirm=true" in answer.text
    assert upstream.requests == []


async def test_a_long_destination_is_not_cut_where_a_person_must_judge_it(
    connect: Connect, upstream: Upstream
) -> None:
    """Object names may have 1,024 bytes; the end of one could be where the data goes."""
    prefix = "/".join(["folder"] * 100) + "/the-end"

    async with connect() as tools:
        answer = await tools.call("create_gcs_pipeline", **OPEN, gcs_prefix=prefix)

    if answer.status == "confirmation_required":
        assert f"gs://our-data/{prefix}" in answer.text
    else:
        assert answer.status == "refused"
    assert upstream.requests == []


async def test_a_trial_is_shown_as_the_one_that_stays(connect: Connect) -> None:
    async with connect() as tools:
        answer = await tools.call("create_gcs_pipeline", **BUCKET, trial=True)

    assert "only trial" in answer.text
    assert "cannot be deleted" in answer.text
    assert "all events" in answer.text


@pytest.mark.parametrize("action", ["accept", "decline", "cancel"])
async def test_a_person_sees_bucket_and_prefix_and_decides(
    connect: Connect, upstream: Upstream, era: Era, action: Any
) -> None:
    upstream.default = CREATED
    person = Person(action)

    async with connect(era=era, person=person) as tools:
        answer = await tools.call("create_gcs_pipeline", **OPEN, gcs_prefix="exports", confirm=True)

    assert len(person.questions) == 1
    assert "gs://our-data/exports" in person.questions[0]
    assert answer.status == ("ok" if action == "accept" else "refused")
    assert len(upstream.requests) == (1 if action == "accept" else 0)


@pytest.mark.parametrize("fault", [Reply(500), Reply(503, body="<html>"), Drop(), Hang()])
async def test_a_creation_that_may_have_happened_is_not_sent_again(
    connect: Connect, upstream: Upstream, fault: Reply | Drop | Hang
) -> None:
    """A second pipeline, or the project's only trial: a repetition costs too much."""
    upstream.default = fault

    async with connect(write_seconds=0.3) as tools:
        answer = await tools.call("create_gcs_pipeline", **OPEN, confirm=True)

    assert (answer.status, answer.is_error) == ("failed", True)
    assert "may have happened" in answer.text
    assert len(upstream.requests) == 1


async def test_a_creation_that_was_put_off_is_sent_again(
    connect: Connect, upstream: Upstream
) -> None:
    """A 429 was refused: nothing happened."""
    upstream.on(CREATE, Reply(429, json={"error": "slow down"}), CREATED)

    async with connect() as tools:
        answer = await tools.call("create_gcs_pipeline", **OPEN, confirm=True)

    assert answer.status == "ok"
    assert len(upstream.to(CREATE)) == 2


@pytest.mark.parametrize(
    "reply",
    [
        Reply(400, json={"error": "this project has had its trial pipeline", "status": "error"}),
        Reply(403, json={"error": "not on your plan", "status": "error"}),
        Reply(200, json={"error": "bucket not writable", "status": "error"}),
        Reply(200, body="<html>maintenance</html>"),
        Reply(200, json=[1]),
        Reply(307, headers={"location": CREATE}),
    ],
    ids=["400", "403", "error-in-200", "html", "list", "redirect"],
)
async def test_a_creation_that_did_not_succeed_is_no_success(
    connect: Connect, upstream: Upstream, reply: Reply
) -> None:
    upstream.default = reply

    async with connect() as tools:
        answer = await tools.call("create_gcs_pipeline", **OPEN, confirm=True)

    assert (answer.status, answer.is_error) == ("failed", True)
    assert len(upstream.requests) == 1


async def test_a_pipeline_lives_in_the_sandbox_from_creation_to_deletion(
    connect_sandbox: Connect,
) -> None:
    with running_sandbox(demo=False) as empty:
        async with connect_sandbox(connection={"base_url": empty.base_url}) as tools:
            created = await tools.call(
                "create_gcs_pipeline", **OPEN, events=["A", "B"], confirm=True
            )
            (name,) = created.data["pipeline_names"]
            listed = await tools.call("list_pipelines")
            status = await tools.call("get_pipeline", name=name, summary=True)
            edited = await tools.call("edit_gcs_pipeline", name=name, events="A", confirm=True)
            deleted = await tools.call("delete_pipeline", name=name, confirm=True)
            gone = await tools.call("list_pipelines")

    assert [pipeline["name"] for pipeline in listed.data] == [name]
    assert sum(status.data.values()) in {31, 32}  # a day more where midnight passes
    assert (edited.status, deleted.status, gone.data) == ("ok", "ok", [])
