"""`/import`: partial success, every rule of validation, sizes and credentials."""

from __future__ import annotations

import base64
import gzip
import json
from typing import TYPE_CHECKING, Any

import pytest
from sandbox_client import NOON, PASSWORD, PROJECT_ID, TOKEN, USERNAME, event

from mixpanel_mcp.analytics.events import count_events

if TYPE_CHECKING:
    import httpx
    from sandbox_client import SandboxClient

DAY = 86_400
PROJECT = {"strict": "1", "project_id": str(PROJECT_ID)}


async def test_good_rows_are_stored_and_bad_ones_reported(empty: SandboxClient) -> None:
    answer = await empty.import_events(
        event(), event(time="2026-03-09", **{"$insert_id": "bad-1"}), event("Song paused")
    )

    assert answer.status_code == 400
    assert answer.json() == {
        "code": 400,
        "error": "some data points in the request failed validation",
        "status": "Bad Request",
        "num_records_imported": 2,
        "failed_records": [
            {
                "index": 1,
                "insert_id": "bad-1",
                "field": "properties.time",
                "message": "'properties.time' is invalid: must be specified as seconds since epoch",
            }
        ],
    }
    assert [each["event"] for each in await empty.exported()] == ["Song played", "Song paused"]


async def test_all_good_says_how_many(empty: SandboxClient) -> None:
    answer = await empty.import_events(event(), event("Song paused"))

    assert answer.status_code == 200
    assert answer.json() == {"code": 200, "num_records_imported": 2, "status": "OK"}


FAULTS: list[tuple[dict[str, Any], str]] = [
    ({"time": None}, "properties.time"),
    ({"time": True}, "properties.time"),
    ({"time": 1.5}, "properties.time"),
    ({"time": -1}, "properties.time"),
    ({"time": 10**15}, "properties.time"),
    ({"time": 365 * DAY - 1}, "properties.time"),
    ({"time": NOON + 3 * DAY}, "properties.time"),
    ({"distinct_id": None}, "properties.distinct_id"),
    ({"distinct_id": 7}, "properties.distinct_id"),
    ({"distinct_id": "anonymous"}, "properties.distinct_id"),
    ({"$insert_id": None}, "properties.$insert_id"),
    ({"$insert_id": "with_underscore"}, "properties.$insert_id"),
    ({"$insert_id": "x" * 37}, "properties.$insert_id"),
    ({"$insert_id": "null"}, "properties.$insert_id"),
    ({f"p{n}": n for n in range(251)}, "properties"),
    ({"list": list(range(255))}, "properties.list"),
    ({"object": {str(n): n for n in range(255)}}, "properties.object"),
    ({"deep": {"a": {"b": {"c": {}}}}}, "properties.deep"),
    ({"large": ["x" * 200] * 50}, "properties.large"),
    ({"half": "\ud800"}, "properties.half"),
]


@pytest.mark.parametrize(("properties", "field"), FAULTS)
async def test_each_rule_names_its_field(
    empty: SandboxClient, properties: dict[str, Any], field: str
) -> None:
    content = json.dumps([event(**properties)])
    answer = await empty.post("/import", params=PROJECT, content=content)

    assert answer.status_code == 400
    (failure,) = answer.json()["failed_records"]
    assert failure["field"] == field
    assert await empty.exported() == []


@pytest.mark.parametrize("record", ["text", 5, None, {"event": ""}, {"event": "A"}])
async def test_a_record_that_is_no_event_is_reported(empty: SandboxClient, record: object) -> None:
    answer = await empty.import_events(record)

    assert answer.status_code == 400
    assert answer.json()["failed_records"][0]["index"] == 0


async def test_a_number_out_of_range_is_reported(empty: SandboxClient) -> None:
    content = json.dumps([event(n=1)]).replace('"n": 1', '"n": 1e400')
    answer = await empty.post("/import", params=PROJECT, content=content)

    assert answer.json()["failed_records"][0]["field"] == "properties.n"


async def test_what_the_limits_still_allow_is_stored(empty: SandboxClient) -> None:
    allowed = event(
        time=NOON * 1000 + 123,
        distinct_id="",
        deep={"a": {"b": {"c": 1}}},
        list=list(range(254)),
        long="ä" * 300,
        **{"$insert_id": "A" * 36},
    )

    assert (await empty.import_events(allowed)).status_code == 200
    (exported,) = await empty.exported(time_in_ms="true")
    properties = exported["properties"]
    assert properties["time"] == NOON * 1000 + 123
    assert properties["long"] == "ä" * 255
    assert properties["deep"] == {"a": {"b": {"c": 1}}}


async def test_a_time_within_the_hour_ahead_becomes_now(empty: SandboxClient) -> None:
    await empty.import_events(event())
    (first,) = await empty.exported(time_in_ms="1")
    soon = first["properties"]["mp_processing_time_ms"] + 30 * 60_000

    assert (await empty.import_events(event("Ahead", time=soon))).status_code == 200
    properties = (await empty.exported(time_in_ms="1", event='["Ahead"]'))[0]["properties"]
    assert properties["time"] == properties["mp_processing_time_ms"] < soon


async def test_a_batch_sent_twice_counts_once(empty: SandboxClient) -> None:
    """The export shows both, as Mixpanel's does."""
    await empty.import_events(event(), event("Song paused"))
    await empty.import_events(event(song="corrected"), event("Song paused"))

    assert len(await empty.exported()) == 4
    assert count_events(empty.project.store) == 2


async def test_lenient_import_answers_like_track(empty: SandboxClient) -> None:
    loose = {"event": "Loose", "properties": {"time": NOON, "distinct_id": 42}}

    assert (await empty.import_events(loose, {"event": "No time"}, strict="0")).text == "1"
    assert (await empty.import_events({"event": "No time"}, strict="0")).text == "0"
    form = {"data": json.dumps(loose), "verbose": "1"}
    answer = await empty.post("/import", params={"project_id": PROJECT["project_id"]}, data=form)

    assert answer.json() == {"error": None, "status": 1}
    assert [each["properties"]["distinct_id"] for each in await empty.exported()] == ["42", "42"]


async def test_json_lines_name_the_line_that_is_none(empty: SandboxClient) -> None:
    body = json.dumps(event()) + "\n\n{broken\n" + json.dumps(event("Song paused")) + "\n"
    headers = {"Content-Type": "application/x-ndjson"}
    answer = await empty.post("/import", params=PROJECT, content=body, headers=headers)

    assert answer.json()["num_records_imported"] == 2
    assert [failure["index"] for failure in answer.json()["failed_records"]] == [1]


async def test_gzip_is_unpacked_but_not_believed(empty: SandboxClient) -> None:
    headers = {"Content-Encoding": "gzip", "Content-Type": "application/json"}

    async def send(body: bytes) -> int:
        answer = await empty.post("/import", params=PROJECT, content=body, headers=headers)
        return answer.status_code

    assert await send(gzip.compress(json.dumps([event()]).encode())) == 200
    assert await send(b"no gzip at all") == 400
    assert await send(gzip.compress(json.dumps([event()]).encode())[:-12]) == 400
    assert await send(gzip.compress(b" " * 30_000_000)) == 413


async def test_too_much_is_refused_in_the_documented_shape(empty: SandboxClient) -> None:
    many = await empty.import_events(*[event()] * 2_001)
    large = await empty.import_events(event(text="x" * 10_500_000))

    assert many.status_code == 413
    assert large.json() == {
        "code": 413,
        "error": "request exceeds max limit of 10485760 bytes",
        "status": "Request Entity Too Large",
    }
    assert await empty.exported() == []


async def test_one_event_larger_than_a_megabyte_is_its_own_fault(empty: SandboxClient) -> None:
    wide = event(**{f"p{n}": [["y" * 250] * 30] for n in range(200)})
    answer = await empty.import_events(wide, event())

    assert answer.json()["num_records_imported"] == 1
    assert answer.json()["failed_records"][0]["index"] == 0


async def test_nothing_at_all_is_a_400(empty: SandboxClient) -> None:
    answer = await empty.post("/import", params=PROJECT, content=b"")

    assert answer.status_code == 400
    assert answer.json()["num_records_imported"] == 0


async def test_the_token_authenticates_without_a_project_id(empty: SandboxClient) -> None:
    with_token = await empty.post(
        "/import", params={"strict": "1"}, json=[event()], auth=(TOKEN, "")
    )
    with_both = await empty.post("/import", params=PROJECT, json=[event()], auth=(TOKEN, ""))

    assert with_token.status_code == 200
    assert with_both.status_code == 401


@pytest.mark.parametrize(
    ("authorization", "project_id", "status"),
    [
        (f"Basic {USERNAME}:{PASSWORD}", str(PROJECT_ID), 200),
        (f"basic {base64.b64encode(b'sandbox:sandbox-secret').decode()}", str(PROJECT_ID), 200),
        (f"Basic {USERNAME}:{PASSWORD}", "7", 401),
        (f"Basic {USERNAME}:{PASSWORD}", None, 400),
        (f"Basic {USERNAME}:wrong", str(PROJECT_ID), 401),
        (f"Bearer {USERNAME}:{PASSWORD}", str(PROJECT_ID), 401),
        ("Basic ???", str(PROJECT_ID), 401),
        ("", str(PROJECT_ID), 401),
    ],
)
async def test_credentials_are_checked(
    empty: SandboxClient, authorization: str, project_id: str | None, status: int
) -> None:
    request = empty.build_request(
        "POST",
        "/import",
        params={"strict": "1"} | ({"project_id": project_id} if project_id else {}),
        json=[event()],
        headers={"Authorization": authorization},
    )
    answer: httpx.Response = await empty.send(request, auth=None)

    assert answer.status_code == status
    assert len(await empty.exported()) == (1 if status == 200 else 0)


async def test_a_single_event_may_come_in_the_query(empty: SandboxClient) -> None:
    """So the official client for Node imports it: base64 in `data`, by GET."""
    data = base64.b64encode(json.dumps(event()).encode()).decode()
    params = {"project_id": str(PROJECT_ID), "verbose": "1", "data": data}

    answer = await empty.get("/import", params=params)
    nobody = await empty.get("/import", params=params, auth=("nobody", "nothing"))

    assert answer.json() == {"error": None, "status": 1}
    assert nobody.status_code == 401
    assert len(await empty.exported()) == 1
