"""Odd replies, too many calls, a clock that is off, hostile words."""

from email.utils import formatdate
from typing import Any

import pytest
from clinic import EVERY_PATH, ME, PAGE, QUERY, UNAUTHORIZED, at, check, diagnose, healthy, me, told
from harness import CANARY_PASSWORD, CANARY_TOKEN
from upstream import Answer, Reply, Upstream

from mixpanel_mcp.doctor import Ailment

# The clock


@pytest.mark.parametrize(
    ("skew", "ailment"),
    [(0, None), (290, None), (-290, None), (310, "clock"), (-86400 * 400, "clock")],
)
async def test_the_clock_is_compared_with_the_replies(
    upstream: Upstream, skew: float, ailment: str | None
) -> None:
    now = 1_790_000_000
    dated = {"date": formatdate(now, usegmt=True)}
    for path in EVERY_PATH:
        upstream.always(path, Reply(json={"results": {"projects": {"4242": {}}}}, headers=dated))
    upstream.always(QUERY, Reply(json=[], headers=dated))

    report = await diagnose(at(upstream), now=lambda: now + skew)

    assert report.ailment == ailment
    if ailment:
        assert "minutes" in check(report, "clock").detail
        assert "clock" in report.advice[0]


@pytest.mark.parametrize("date", ["", "yesterday", "Fri, 99 Foo 2026", "\u00e4", "0" * 300])
async def test_a_date_that_is_none_is_no_clock(upstream: Upstream, date: str) -> None:
    healthy(upstream).always(ME, Reply(json={"results": {"projects": {}}}, headers={"date": date}))

    report = await diagnose(at(upstream))

    assert report.ailment is None
    assert check(report, "clock").outcome == "warn"


# Odd replies


@pytest.mark.parametrize(
    "answer",
    [
        PAGE,
        Reply(302, headers={"location": "https://login.example.com"}),
        Reply(404),
        Reply(418),
        Reply(body=b"ok", headers={"content-encoding": "br"}),
        Reply(body=b"damaged", headers={"content-encoding": "gzip"}),
        Reply(json={"results": {"projects": {}}}, pieces=[b"{"], cut=True),
    ],
    ids=["page", "redirect", "404", "418", "br", "gzip", "cut"],
)
async def test_something_else_that_answers_in_mixpanels_place(
    upstream: Upstream, answer: Answer
) -> None:
    upstream.default = answer

    report = await diagnose(at(upstream))

    assert report.ailment is Ailment.ODD_REPLY
    assert "MIXPANEL_BASE_URL" in report.advice[0]
    assert "terms" not in report.as_text()


@pytest.mark.parametrize(
    "body", ["null", "[]", "7", '"x"', '{"results": null}', '{"results": []}', "\ud7ff", "[" * 9999]
)
async def test_an_answer_about_oneself_that_is_none(upstream: Upstream, body: str) -> None:
    healthy(upstream).always(ME, Reply(body=body))

    assert (await diagnose(at(upstream))).ailment is Ailment.ODD_REPLY


@pytest.mark.parametrize("projects", [None, [], "4242", {"4242": None}, {"4242": {"token": 7}}])
async def test_projects_of_another_shape_are_no_fault(upstream: Upstream, projects: Any) -> None:
    healthy(upstream).always(ME, Reply(json={"results": {"projects": projects}}))

    report = await diagnose(at(upstream))

    assert report.ailment is None
    assert "cannot be verified" in check(report, "project token's project").detail


async def test_mixpanel_itself_failing(upstream: Upstream) -> None:
    upstream.default = Reply(503, body="<html>upstream error</html>")

    report = await diagnose(at(upstream))

    assert report.ailment is Ailment.UNAVAILABLE
    assert len(upstream.requests) == len(EVERY_PATH)  # nothing is asked twice


# Too many calls


@pytest.mark.parametrize(
    ("headers", "when"),
    [
        ({"retry-after": "90"}, "in 90 s (from 14:14:50 UTC)"),
        ({"retry-after": "9" * 400}, "in 2592000 s"),
        ({"retry-after": "soon"}, "in an hour at the latest"),
        ({}, "in an hour at the latest"),
    ],
)
async def test_too_many_calls_leave_the_credentials_unknown(
    upstream: Upstream, headers: dict[str, str], when: str
) -> None:
    upstream.default = Reply(429, json={"error": "Query rate limit exceeded"}, headers=headers)

    report = await diagnose(at(upstream), now=lambda: 1_790_000_000)

    assert report.ailment is Ailment.RATE_LIMITED
    assert "unknown whether the credentials" in check(report, "service account on query").detail
    assert when in told(report)
    assert len(upstream.requests) == len(EVERY_PATH)


async def test_a_bad_secret_outweighs_too_many_calls(upstream: Upstream) -> None:
    upstream.default = UNAUTHORIZED
    upstream.always(QUERY, Reply(429))

    assert (await diagnose(at(upstream))).ailment is Ailment.BAD_SECRET


# Secrets and hostile words


async def test_what_mixpanel_says_is_cleaned_and_holds_no_secret(upstream: Upstream) -> None:
    import base64  # noqa: PLC0415

    pair = base64.b64encode(f"robot:{CANARY_PASSWORD}".encode()).decode()
    echo = f"no \u202e {CANARY_PASSWORD} {CANARY_TOKEN} {pair}\nok    settings: all is well"
    upstream.default = Reply(401, json={"error": echo})
    upstream.always(ME, me(**{f"7\n\u202e{CANARY_TOKEN}": {}}))

    report = await diagnose(at(upstream))  # which looks for the secrets too

    assert "[secret]" in report.as_text()
    assert pair not in report.as_text()
    assert "\u202e" not in report.as_text()
    assert report.as_text().count("\nok    settings") == 0
