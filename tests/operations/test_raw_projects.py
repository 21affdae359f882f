"""A passthrough request stays in its project, whoever names another one, and wherever."""

import json
from typing import Any

import pytest
from harness import CANARY_TOKEN, Connect
from upstream import Reply, Upstream

COHORTS = "/api/query/cohorts/list"
ANNOTATIONS = "/api/app/projects/4242/annotations"
READ: dict[str, Any] = {"url": COHORTS, "method": "GET"}


@pytest.mark.parametrize(
    ("given", "target"),
    [
        ({"project_id": 7}, f"{COHORTS}?project_id=7"),
        ({"query_parameters": {"project_id": 4242}}, f"{COHORTS}?project_id=4242"),
        ({"query_parameters": {"project_id": "7"}, "project_id": 7}, f"{COHORTS}?project_id=7"),
        ({"url": f"{COHORTS}?project_id=4242"}, f"{COHORTS}?project_id=4242"),
        ({"url": ANNOTATIONS}, ANNOTATIONS),
    ],
)
async def test_a_project_that_is_named_is_not_named_again(
    connect: Connect, upstream: Upstream, given: dict[str, Any], target: str
) -> None:
    async with connect() as tools:
        answer = await tools.call("raw_request", **(READ | given))

    assert answer.status == "ok"
    assert upstream.last.target == target


@pytest.mark.parametrize(
    "given",
    [
        {"query_parameters": {"project_id": 999}},
        {"query_parameters": {"project_id": [4242, 999]}},
        {"url": f"{COHORTS}?project_id=999"},
        {"url": f"{COHORTS}?project_id=4242", "query_parameters": {"project_id": 999}},
        {"url": "/api/app/projects/999/annotations"},
        {"url": "/api/app/%70rojects/999/annotations"},
        {"url": "/api/app/projects/4242/x/projects/999"},
        {"method": "POST", "form_data": {"project_id": 999}},
        {"method": "POST", "form_data": {"project_id": [4242, 999]}},
        {"method": "POST", "data": {"project_id": 999}},
        {"method": "POST", "data": [{"project_id": 999}]},
        {"method": "POST", "data": '{"project_id": "999"}'},
        {"method": "POST", "data": "script=x&project_id=999"},
        {
            "method": "POST",
            "form_data": {"project_id": 999},
            "file_data": {"file": "data:,a"},
        },
        {"method": "POST", "file_data": {"project_id": "data:,999"}},
        {**READ, "query_parameters": {"project_id": 4242}, "project_id": 7},
    ],
)
async def test_another_project_is_refused_wherever_it_is_named(
    connect: Connect, upstream: Upstream, given: dict[str, Any]
) -> None:
    async with connect() as tools:
        answer = await tools.call("raw_request", **(READ | given), confirm=True)

    assert (answer.status, answer.is_error) == ("refused", True)
    assert "project" in answer.text
    assert upstream.requests == []


@pytest.mark.parametrize("holder", ["data", "form_data", "query_parameters", "multipart"])
async def test_a_foreign_token_is_refused_in_every_holder(
    connect: Connect, upstream: Upstream, holder: str
) -> None:
    stranger = {"event": "E", "properties": {"token": "somebody-elses", "distinct_id": "a"}}
    packed = {"data": json.dumps(stranger)}
    carried: dict[str, Any] = {holder: stranger if holder == "data" else packed}
    if holder == "multipart":
        carried = {"form_data": packed, "file_data": {"f": "data:,x"}}

    async with connect() as tools:
        answer = await tools.call(
            "raw_request", url="/track", method="POST", **carried, confirm=True
        )

    assert answer.status == "refused"
    assert "token" in answer.text
    assert upstream.requests == []


@pytest.mark.parametrize(
    ("kind", "extra"),
    [
        ("multipart/form-data; boundary=b", ""),
        ("Multipart/Form-Data; boundary=b", ""),
        (" multipart/form-data;BOUNDARY=b", ""),
        ("multipart/mixed; boundary=b", ""),
        # Readers of e-mail decode this, readers of forms mostly do not.
        ("multipart/form-data; boundary=b", "Content-Transfer-Encoding: base64\r\n"),
    ],
)
async def test_a_multipart_body_by_hand_hides_no_token_and_no_project(
    connect: Connect, upstream: Upstream, kind: str, extra: str
) -> None:
    head = '--b\r\nContent-Disposition: form-data; name="{}"\r\n'
    part = head + extra + "\r\n{}\r\n--b--\r\n"
    stranger = {"event": "E", "properties": {"token": "somebody-elses", "distinct_id": "a"}}
    given: dict[str, Any] = {"method": "POST", "headers": {"Content-Type": kind}, "confirm": True}

    async with connect() as tools:
        token = await tools.call(
            "raw_request", url="/track", data=part.format("data", json.dumps(stranger)), **given
        )
        project = await tools.call(
            "raw_request", url=COHORTS, data=part.format("project_id", 999), **given
        )

    assert (token.status, project.status) == ("refused", "refused")
    assert upstream.requests == []


async def test_the_own_token_is_no_stranger(connect: Connect, upstream: Upstream) -> None:
    upstream.default = Reply(json={"status": 1, "error": None})
    event = {"event": "E", "properties": {"token": CANARY_TOKEN, "distinct_id": "a"}}

    async with connect() as tools:
        answer = await tools.call(
            "raw_request", url="/track?verbose=1", method="POST", data=[event]
        )

    assert answer.status == "ok"
    assert upstream.last.json() == [event]
