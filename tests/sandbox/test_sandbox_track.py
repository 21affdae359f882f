"""`/track`: what is kept, what is lost silently, and how little the answer says about it."""

from __future__ import annotations

import base64
import gzip
import json
from typing import TYPE_CHECKING, Any

import pytest
from sandbox_client import NOON, TOKEN, event

if TYPE_CHECKING:
    from sandbox_client import SandboxClient

DAY = 86_400


async def test_a_tracked_event_is_in_the_export(empty: SandboxClient) -> None:
    answer = await empty.track(event(song="Ode", ip="1.2.3.4"))

    assert (answer.status_code, answer.text) == (200, "1")
    (exported,) = await empty.exported()
    properties = exported["properties"]
    assert exported["event"] == "Song played"
    assert properties.pop("mp_processing_time_ms") > 0
    assert properties == {
        "time": NOON,
        "distinct_id": "ada",
        "$insert_id": "song-1",
        "song": "Ode",
    }


@pytest.mark.parametrize("token", ["", "somebody-elses-token", 7, None])
async def test_an_event_without_our_token_is_ignored_with_a_cheerful_1(
    empty: SandboxClient, token: object
) -> None:
    answer = await empty.track(event(token=token))

    assert answer.text == "1"
    assert await empty.exported() == []


async def test_what_mixpanel_loses_silently_is_lost_silently(empty: SandboxClient) -> None:
    """Older than five days, a banned id, and `$ignore`."""
    now = NOON + DAY
    lost = [
        event(time=now - 7 * DAY),
        event(distinct_id="undefined"),
        event(**{"$ignore": "yes"}),
    ]

    assert (await empty.track(*lost)).text == "1"
    assert await empty.exported() == []


async def test_a_time_ahead_becomes_now_and_a_missing_one_too(empty: SandboxClient) -> None:
    await empty.track(event("Ahead", time=NOON + 90 * DAY), {**_without_time("Missing")})

    for exported in await empty.exported():
        properties = exported["properties"]
        assert properties["time"] == properties["mp_processing_time_ms"] // 1000


async def test_an_unfit_insert_id_is_replaced(empty: SandboxClient) -> None:
    await empty.track(event(**{"$insert_id": "not_allowed_here"}))

    (exported,) = await empty.exported()
    assert len(exported["properties"]["$insert_id"]) == 32


async def test_one_good_event_makes_a_1_and_none_a_0(empty: SandboxClient) -> None:
    assert (await empty.track(event(), {"event": 5})).text == "1"
    assert (await empty.track({"event": 5}, "text")).text == "0"
    assert (await empty.track(event(time="yesterday"))).text == "0"
    assert len(await empty.exported()) == 1


async def test_verbose_says_why(empty: SandboxClient) -> None:
    good = await empty.track(event(), verbose="1")
    bad = await empty.track({"event": 5}, verbose="1")
    nothing = await empty.post("/track?verbose=1")

    assert good.json() == {"error": None, "status": 1}
    assert bad.json()["status"] == 0
    assert "'event' is invalid" in bad.json()["error"]
    assert nothing.json() == {"error": "data, missing or empty", "status": 0}


async def test_strict_names_each_bad_record(empty: SandboxClient) -> None:
    answer = (await empty.track(event(), event(time="noon"), strict="1")).json()

    assert answer["status"] == 0
    assert answer["num_good_events"] == 1
    (failure,) = answer["failed_records"]
    assert (failure["index"], failure["field"]) == (1, "properties.time")


@pytest.mark.parametrize("encode", ["json", "base64", "list"])
async def test_data_arrives_as_a_form_or_in_the_query(empty: SandboxClient, encode: str) -> None:
    data = json.dumps([event(), event("Two")] if encode == "list" else event())
    if encode == "base64":
        data = base64.b64encode(data.encode()).decode()

    assert (await empty.post("/track", data={"data": data})).text == "1"
    assert (await empty.get("/track", params={"data": data})).text == "1"

    assert len(await empty.exported()) == (4 if encode == "list" else 2)


async def test_gzip_is_unpacked(empty: SandboxClient) -> None:
    body = gzip.compress(json.dumps([event()]).encode())
    headers = {"Content-Encoding": "gzip", "Content-Type": "application/json"}

    assert (await empty.post("/track", content=body, headers=headers)).text == "1"
    assert len(await empty.exported()) == 1


async def test_img_answers_with_a_pixel(empty: SandboxClient) -> None:
    answer = await empty.track(event(), img="1")

    assert answer.headers["content-type"] == "image/gif"
    assert answer.content.startswith(b"GIF89a")


async def test_redirect_sends_the_caller_away(empty: SandboxClient) -> None:
    answer = await empty.track(event(), redirect="https://example.com/?a=b")

    assert answer.status_code == 302
    assert answer.headers["location"] == "https://example.com/?a=b"


async def test_callback_is_only_ever_a_function_name(empty: SandboxClient) -> None:
    assert (await empty.track(event(), callback="app.done")).text == "app.done(1);"
    assert (await empty.track(event(), callback="alert(1)//")).text == "1"


async def test_ip_stands_in_for_a_missing_distinct_id(empty: SandboxClient) -> None:
    anonymous = event()
    del anonymous["properties"]["distinct_id"]

    await empty.track(anonymous)
    await empty.track(anonymous, ip="1")

    ids = [each["properties"]["distinct_id"] for each in await empty.exported()]
    assert ids[0] == ""
    assert len(ids[1]) == 32


@pytest.mark.parametrize(
    "body",
    [b"[", b"[NaN]", b"nonsense", b"data=%%%", b"[]", b"[" * 100_000, b'{"event":"\\ud800"}'],
)
async def test_what_cannot_be_read_is_a_0(empty: SandboxClient, body: bytes) -> None:
    answer = await empty.post("/track", content=body)

    assert (answer.status_code, answer.text) == (200, "0")


async def test_too_many_events_are_refused(empty: SandboxClient) -> None:
    answer = await empty.track(*[event()] * 2_001)

    assert answer.status_code == 413


async def test_a_trailing_slash_is_forgiven(empty: SandboxClient) -> None:
    assert (await empty.post("/track/", json=[event()])).text == "1"


def _without_time(name: str) -> dict[str, Any]:
    timeless = event(name)
    del timeless["properties"]["time"]
    assert timeless["properties"]["token"] == TOKEN
    return timeless


async def test_parts_of_a_second_are_kept(empty: SandboxClient) -> None:
    """The official client for Python sends the time of its clock as it is."""
    assert (await empty.track(event(time=NOON + 0.25))).text == "1"

    (exported,) = await empty.exported(time_in_ms="true")
    assert exported["properties"]["time"] == NOON * 1000 + 250
