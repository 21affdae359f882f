"""Data goes into the connection's project alone, whatever token a call names."""

import json
from typing import Any

import pytest
from doors import ANONYMOUS, LAST_WINTER, SUCCESS, base64_of
from harness import CANARY_TOKEN, Connect, Era
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr
from test_judgement import judged
from upstream import Upstream

from mixpanel_mcp.api.request import FORM, JSON, form_body, json_body

FOREIGN = "feedfacefeedfacefeedfacefeedface"
EVENT: dict[str, Any] = {"event": "A", "properties": {"distinct_id": "ada", "time": LAST_WINTER}}
PROFILE: dict[str, Any] = {"$distinct_id": "ada", "$set": {"plan": "pro"}}


def foreign_event(name: str = "token") -> dict[str, Any]:
    return {**EVENT, "properties": {**EVENT["properties"], name: FOREIGN}}


TYPED: list[tuple[str, dict[str, Any]]] = [
    ("track_events", {"events": [{"event": "A", "properties": {"token": FOREIGN}}]}),
    ("import_events", {"events": [foreign_event()]}),
    ("import_events", {"events": [EVENT] * 2_100 + [foreign_event()]}),
    ("create_profile", {"properties": [{**PROFILE, "$token": FOREIGN}]}),
    (
        "update_multiple_profiles",
        {"properties_to_update": [PROFILE, {**PROFILE, "$token": FOREIGN}]},
    ),
    ("delete_profile", {"delete_profiles": [{"$distinct_id": "ada", "$token": FOREIGN}]}),
    ("create_identity", {"identified_id": "a", "anon_id": ANONYMOUS, "project_token": FOREIGN}),
    ("create_alias", {"distinct_id": "a", "alias": "b", "project_token": FOREIGN}),
]

RAW: list[tuple[str, dict[str, Any]]] = [
    ("/track", {"data": [foreign_event()]}),
    ("/track", {"data": foreign_event("Token")}),
    ("/track", {"data": {**EVENT, "token": FOREIGN}}),
    ("/track", {"form_data": {"data": base64_of(foreign_event())}}),
    ("/track", {"query_parameters": {"data": base64_of(foreign_event())}}),
    ("/track?token=" + FOREIGN, {"data": [EVENT]}),
    ("/track", {"form_data": {"data": json.dumps(EVENT), "api_key": FOREIGN}}),
    ("/import", {"data": "\n".join(json.dumps(e) for e in (EVENT, foreign_event()))}),
    ("/engage", {"data": [{**PROFILE, "$token": FOREIGN}]}),
    ("/engage", {"form_data": {"data": json.dumps({**PROFILE, "$token": FOREIGN})}}),
    ("/groups", {"data": [{"$group_key": "c", "$group_id": "a", "$set": {}, "$token": FOREIGN}]}),
    ("/unknown", {"data": {"token": FOREIGN}}),
    ("/api/app/data-deletions/v3.0", {"query_parameters": {"token": FOREIGN}}),
]

# What the classifier cannot read it must not let through to an endpoint that obeys a token.
UNREADABLE: list[tuple[str, dict[str, Any]]] = [
    ("/track", {"data": [[foreign_event()]]}),
    ("/track", {"data": {"event": "A", "properties": json.dumps({"token": FOREIGN})}}),
    ("/track", {"data": {"event": "A", "properties": {}, "Properties": {"token": FOREIGN}}}),
    ("/track", {"data": {"event": "A", "properties": {"a": {}, "token": {"a": FOREIGN}}}}),
    (
        "/track",
        {"data": f'{{"event": "A", "event": "A", "properties": {{"token": "{FOREIGN}"}}}}\n{{}}'},
    ),
    ("/track", {"form_data": {"data": base64_of(base64_of(foreign_event()))}}),
    (
        "/track",
        {"form_data": {"d": "1"}, "file_data": {"data": "data:," + json.dumps(foreign_event())}},
    ),
    ("/engage", {"data": [[{**PROFILE, "$token": FOREIGN}]]}),
    ("/engage", {"data": f'{{"$token": "{FOREIGN}", "$token": "{FOREIGN}", "$set": {{}}}}\n{{}}'}),
    ("/engage", {"file_data": {"data": "data:," + json.dumps({**PROFILE, "$token": FOREIGN})}}),
]


@pytest.mark.parametrize(("tool", "arguments"), TYPED)
async def test_a_foreign_token_in_a_tools_arguments_sends_nothing(
    connect: Connect, upstream: Upstream, tool: str, arguments: dict[str, Any]
) -> None:
    async with connect() as tools:
        answer = await tools.call(tool, **arguments, confirm=True)

    assert (answer.status, answer.is_error) == ("refused", True)
    assert "token" in answer.text
    assert upstream.requests == []


@pytest.mark.parametrize(("url", "arguments"), RAW + UNREADABLE)
async def test_a_foreign_token_in_a_raw_request_sends_nothing(
    connect: Connect, upstream: Upstream, url: str, arguments: dict[str, Any]
) -> None:
    """Not even confirmed: a yes to a write is no yes to another project."""
    async with connect() as tools:
        answer = await tools.call("raw_request", url=url, method="POST", **arguments, confirm=True)

    assert (answer.status, answer.is_error) == ("refused", True)
    assert upstream.requests == []


@given(
    key=st.sampled_from(["token", "$token", "api_key", "project_token", "Token", "$TOKEN"]),
    inside=st.booleans(),
    before=st.integers(0, 3),
    value=st.just(FOREIGN) | st.integers() | st.lists(st.just(FOREIGN), min_size=1),
    wrapping=st.sampled_from(["JSON", "NDJSON", "form", "Base64", "query"]),
)
def test_wherever_mixpanel_looks_for_a_token_it_is_found(
    *, key: str, inside: bool, before: int, value: Any, wrapping: str
) -> None:
    bad = {**EVENT, key: value}
    if inside:
        bad = {**EVENT, "properties": {**EVENT["properties"], key: value}}
    records = [EVENT] * before + [bad]
    sent: dict[str, Any] = {
        "JSON": {"body": json_body(records), "content_type": JSON},
        "NDJSON": {"body": b"\n".join(map(json_body, records))},
        "form": {"body": form_body([("data", json.dumps(records))]), "content_type": FORM},
        "Base64": {"body": form_body([("data", base64_of(records))]), "content_type": FORM},
        "query": {"query": (("data", json.dumps(records)),)},
    }[wrapping]

    assert str(value) in judged("POST", "/track", **sent).tokens


async def test_the_connections_token_is_added_and_may_be_named(
    connect: Connect, upstream: Upstream, era: Era
) -> None:
    upstream.default = SUCCESS
    named = {"event": "A", "properties": {"distinct_id": "ada", "token": CANARY_TOKEN}}

    async with connect(era=era) as tools:
        assert (await tools.call("track_events", events=[named])).status == "ok"
        assert (await tools.call("create_profile", properties=[PROFILE])).status == "ok"

    tracked, set_ = upstream.requests
    assert tracked.json()[0]["properties"]["token"] == CANARY_TOKEN
    assert set_.json()[0]["$token"] == CANARY_TOKEN


async def test_an_operator_may_allow_one_more_token(connect: Connect, upstream: Upstream) -> None:
    upstream.default = SUCCESS
    other = {**PROFILE, "$token": "another-foreign-token"}

    async with connect(allowed_tokens=(SecretStr(FOREIGN),)) as tools:
        mine = await tools.call("create_profile", properties=[{**PROFILE, "$token": FOREIGN}])
        foreign = await tools.call("create_profile", properties=[other])

    assert (mine.status, foreign.status) == ("ok", "refused")
    assert [request.json()[0]["$token"] for request in upstream.requests] == [FOREIGN]


async def test_without_a_token_of_its_own_a_connection_passes_none(
    connect: Connect, upstream: Upstream
) -> None:
    async with connect(connection={"project_token": None}) as tools:
        answer = await tools.call(
            "raw_request", url="/engage", method="POST", data=[{**PROFILE, "$token": FOREIGN}]
        )

    assert answer.status == "refused"
    assert upstream.requests == []
