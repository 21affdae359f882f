"""Any request to Mixpanel: the place, the caller and the gate are still this server's to decide."""

import base64
import json
from typing import Any

import pytest
from harness import CANARY_PASSWORD, Connect, Era, Person
from upstream import Reply, Upstream

COHORTS = "/api/query/cohorts/list"
ANNOTATIONS = "/api/app/projects/4242/annotations"
READ: dict[str, Any] = {"url": COHORTS, "method": "GET"}
ACCOUNT = "Basic " + base64.b64encode(f"robot:{CANARY_PASSWORD}".encode()).decode()


async def test_a_read_goes_out_with_the_connections_account_and_project(
    connect: Connect, upstream: Upstream, era: Era
) -> None:
    upstream.default = Reply(json=[{"id": 1}])

    async with connect(era=era) as tools:
        answer = await tools.call("raw_request", **READ)

    (request,) = upstream.requests
    assert (request.method, request.target) == ("GET", f"{COHORTS}?project_id=4242")
    assert request.headers["authorization"] == ACCOUNT
    assert request.body == b""
    assert answer.status == "ok"
    assert (answer.data["http_status"], answer.data["body"]) == (200, [{"id": 1}])
    assert f"GET {COHORTS} was answered with HTTP 200" in answer.text


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD"])
async def test_every_method_is_sent_in_capitals(
    connect: Connect, upstream: Upstream, method: str
) -> None:
    async with connect() as tools:
        for spelled in (method, method.lower(), method.title()):
            answer = await tools.call("raw_request", url=ANNOTATIONS, method=spelled, confirm=True)
            assert answer.status == "ok", spelled

    assert [request.method for request in upstream.requests] == [method] * 3


@pytest.mark.parametrize(
    "given",
    [
        {"method": "TRACE"},
        {"method": "CONNECT"},
        {"method": "OPTIONS"},
        {"method": "GET\r\nX: y"},
        {"method": ""},
        {"method": None},
        {"method": 1},
        {"url": None},
        {"url": ["/import"]},
        {"base_url": 5},
        {"confirm": "perhaps"},
        {"region": "mars"},
        {"project_id": 0},
        {"query": {"a": 1}},
    ],
)
async def test_what_is_no_request_is_refused(
    connect: Connect, upstream: Upstream, given: dict[str, Any]
) -> None:
    async with connect() as tools:
        answer = await tools.call("raw_request", **(READ | given))

    assert (answer.status, answer.is_error) == ("refused", True)
    assert next(iter(given)) in answer.text
    assert upstream.requests == []


async def test_query_parameters_join_those_of_the_url_and_keep_repeats(
    connect: Connect, upstream: Upstream
) -> None:
    async with connect() as tools:
        await tools.call(
            "raw_request",
            url=f"{COHORTS}?a=1#fragment",
            method="GET",
            query_parameters={"b": ["x & y", "z"], "c": True, "d": {"k": 1}, "e": None, "f": 1.5},
        )

    assert upstream.last.query == [
        ("a", "1"),
        ("b", "x & y"),
        ("b", "z"),
        ("c", "true"),
        ("d", '{"k":1}'),
        ("f", "1.5"),
        ("project_id", "4242"),
    ]


async def test_a_smuggled_parameter_stays_a_value(connect: Connect, upstream: Upstream) -> None:
    smuggled = "a&project_id=999#x\r\nHost: evil"

    async with connect() as tools:
        await tools.call("raw_request", **READ, query_parameters={"id": smuggled})

    assert upstream.last.query == [("id", smuggled), ("project_id", "4242")]


@pytest.mark.parametrize(
    ("url", "base_url", "authorization"),
    [
        ("/import", None, ACCOUNT),
        ("/track", None, None),
        ("/engage#profile-set", None, None),
        ("/groups/", None, None),
        ("/track", "https://api-eu.mixpanel.com", None),
        ("/lookup-tables", None, ACCOUNT),
        ("/export", "https://data.mixpanel.com/", ACCOUNT),
        ("/api/query/jql", "https://IN.mixpanel.com", ACCOUNT),
    ],
)
async def test_the_account_goes_where_it_is_known(
    connect: Connect,
    upstream: Upstream,
    url: str,
    base_url: str | None,
    authorization: str | None,
) -> None:
    """`/track`, `/engage` and `/groups` know the project by its token; an account is idle there.

    A base URL names family and region alone: the configured one is where the request goes.
    """
    upstream.default = Reply(body="1")

    async with connect() as tools:
        answer = await tools.call(
            "raw_request", url=url, method="POST", base_url=base_url, confirm=True
        )

    assert answer.status == "ok", answer.text
    assert upstream.last.headers.get("authorization") == authorization
    assert ("project_id" in dict(upstream.last.query)) == (authorization is not None)


@pytest.mark.parametrize(
    ("given", "region"),
    [
        ({}, "us"),
        ({"region": "api-in"}, "in"),
        ({"base_url": "https://eu.mixpanel.com"}, "eu"),
        ({"base_url": "https://in.mixpanel.com/", "region": "in"}, "in"),
    ],
)
async def test_the_scope_names_the_region_that_was_asked(
    connect: Connect, given: dict[str, Any], region: str
) -> None:
    async with connect() as tools:
        answer = await tools.call("raw_request", **READ, **given)

    assert answer.structured["scope"]["region"] == region


@pytest.mark.parametrize("own", ["{0}", "{0}/", "{1}"])
async def test_the_configured_origin_may_be_named(
    connect: Connect, upstream: Upstream, own: str
) -> None:
    base_url = own.format(upstream.url, upstream.url.upper())

    async with connect() as tools:
        answer = await tools.call("raw_request", **READ, base_url=base_url)

    assert answer.status == "ok"
    assert upstream.last.path == COHORTS


EVENT = {"event": "Bought", "properties": {"distinct_id": "ada"}}
IDENTIFY = {
    "event": "$identify",
    "properties": {"$identified_id": "ada", "$anon_id": "0b2f1c0e-7d5a-4c3e-9a51-6f1de2b9c7aa"},
}


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"url": "/engage", "data": [{"$distinct_id": "ada", "$delete": ""}]}, '"ada"'),
        ({"url": "/track", "data": [EVENT, IDENTIFY]}, "erge the ids"),
        (
            {
                "url": "/track",
                "method": "GET",
                "query_parameters": {
                    "data": base64.b64encode(json.dumps(IDENTIFY).encode()).decode()
                },
            },
            "erge the ids",
        ),
        ({"url": "/nessie/pipeline/cancel", "form_data": {"name": "p-7"}}, '"p-7"'),
        ({"url": ANNOTATIONS, "data": {"description": "x"}}, "cannot tell"),
        ({"url": f"{ANNOTATIONS}/1", "method": "DELETE"}, "DELETE"),
        ({"url": "/import", "data": "no json"}, "no json"),
    ],
)
async def test_what_cannot_be_undone_asks_first_and_is_sent_once(
    connect: Connect, upstream: Upstream, era: Era, given: dict[str, Any], words: str
) -> None:
    upstream.default = Reply(body="1")
    request: dict[str, Any] = {"method": "POST"} | given
    person = Person()

    async with connect(era=era, person=person) as tools:
        asked = await tools.call("raw_request", **request)
        assert upstream.requests == []
        done = await tools.call("raw_request", **request, confirm=True)

    assert (asked.status, asked.is_error) == ("confirmation_required", False)
    assert words in asked.text
    assert words in person.questions[0]
    assert done.status == "ok", done.text
    assert len(upstream.requests) == 1


@pytest.mark.parametrize("missing", ["username", "password"])
async def test_without_an_account_nothing_is_sent(
    connect: Connect, upstream: Upstream, missing: str
) -> None:
    async with connect(connection={missing: None}) as tools:
        answer = await tools.call("raw_request", **READ)

    assert answer.status == "refused"
    assert f"MIXPANEL_{missing.upper()}" in answer.text
    assert upstream.requests == []


async def test_read_only_lets_reads_through_even_those_that_post(
    connect: Connect, upstream: Upstream
) -> None:
    async with connect(read_only=True) as tools:
        read = await tools.call("raw_request", **READ)
        jql = await tools.call(
            "raw_request", url="/api/query/jql", method="POST", form_data={"script": "1"}
        )
        write = await tools.call(
            "raw_request", url="/import", method="POST", data=[EVENT], confirm=True
        )

    assert (read.status, jql.status, write.status) == ("ok", "ok", "refused")
    assert [request.path for request in upstream.requests] == [COHORTS, "/api/query/jql"]


async def test_the_sandbox_answers_raw_requests_but_not_for_its_controls(
    connect_sandbox: Connect,
) -> None:
    async with connect_sandbox() as tools:
        answer = await tools.call("raw_request", url=COHORTS, method="POST")
        controls = await tools.call("raw_request", url="/sandbox/requests", method="GET")

    assert len(answer.data["body"]) == 2
    assert controls.status == "refused"
