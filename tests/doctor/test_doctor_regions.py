"""The right region is found, and others are asked only then."""

import pytest
from clinic import (
    CREDENTIALS,
    EXPORT,
    FORBIDDEN,
    IMPORT,
    ME,
    QUERY,
    TABLES,
    UNAUTHORIZED,
    at,
    check,
    diagnose,
    heal_eu,
    heal_region,
    me,
)
from upstream import Reply, Upstream
from world import World

from mixpanel_mcp.doctor import Ailment

# Secret and region


async def test_a_bad_secret_is_refused_everywhere(world: World) -> None:
    report = await diagnose(CREDENTIALS)

    assert report.ailment is Ailment.BAD_SECRET
    assert "MIXPANEL_PASSWORD" in report.advice[0]
    assert "eu and in do not know them either" in check(report, "region").detail
    assert sorted(path for _, path in world.asked if path != ME) == sorted(
        [QUERY, EXPORT, TABLES, IMPORT]
    )
    assert sorted(host for host, path in world.asked if path == ME) == [
        "eu.mixpanel.com",
        "in.mixpanel.com",
        "mixpanel.com",
    ]


async def test_a_bad_secret_behind_a_base_url_says_that_regions_cannot_be_tried(
    upstream: Upstream,
) -> None:
    upstream.default = UNAUTHORIZED

    report = await diagnose(at(upstream))

    assert report.ailment is Ailment.BAD_SECRET
    assert "cannot be tried" in check(report, "region").detail
    assert len(upstream.to(ME)) == 1


@pytest.mark.parametrize(
    ("configured", "right", "hosts"),
    [
        ("us", "eu", ("api-eu.mixpanel", "data-eu.mixpanel", "eu.mixpanel")),
        ("us", "in", ("api-in.mixpanel", "data-in.mixpanel", "in.mixpanel")),
        ("eu", "us", ("api.mixpanel", "data.mixpanel", "mixpanel")),
        ("in", "eu", ("api-eu.mixpanel", "data-eu.mixpanel", "eu.mixpanel")),
    ],
)
async def test_the_right_region_is_found_and_named(
    world: World, configured: str, right: str, hosts: tuple[str, str, str]
) -> None:
    heal_region(world, *hosts)

    report = await diagnose({**CREDENTIALS, "MIXPANEL_REGION": configured})

    assert report.ailment is Ailment.WRONG_REGION
    assert report.advice == [f"Set MIXPANEL_REGION={right}."]
    assert "knows project 4242" in check(report, "region").detail
    assert sum(path == QUERY for _, path in world.asked) == 1


@pytest.mark.parametrize("status", [401, 403, 404])
async def test_a_region_may_refuse_in_several_ways(world: World, status: int) -> None:
    for host in world.hosts.values():
        host.default = Reply(status)
    heal_eu(world)

    report = await diagnose(CREDENTIALS)

    assert report.advice == ["Set MIXPANEL_REGION=eu."]


async def test_a_missing_token_does_not_hide_the_wrong_region(world: World) -> None:
    heal_eu(world)
    without = {name: value for name, value in CREDENTIALS.items() if "TOKEN" not in name}

    report = await diagnose(without)

    assert report.ailment is Ailment.WRONG_REGION
    assert report.advice[0] == "Set MIXPANEL_REGION=eu."


async def test_an_account_that_both_regions_know_goes_where_the_project_is(world: World) -> None:
    world.hosts["mixpanel.com"].always(ME, me(**{"7": {"name": "Other"}}))
    heal_eu(world)

    report = await diagnose(CREDENTIALS)

    assert report.ailment is Ailment.WRONG_REGION
    assert report.advice == ["Set MIXPANEL_REGION=eu."]


async def test_another_region_that_knows_the_account_alone_is_named_too(world: World) -> None:
    world.hosts["eu.mixpanel.com"].always(ME, me(**{"7": {"name": "Other"}}))

    report = await diagnose(CREDENTIALS)

    assert report.ailment is Ailment.WRONG_REGION
    assert "knows project" not in check(report, "region").detail


async def test_regions_that_give_no_answer_leave_a_doubt(world: World) -> None:
    world.hosts["eu.mixpanel.com"].default = Reply(503)

    report = await diagnose(CREDENTIALS)

    assert report.ailment is Ailment.BAD_SECRET
    assert check(report, "region").outcome == "warn"


@pytest.mark.parametrize(
    "silent", [Reply(404), Reply(501), Reply(body="<html>")], ids=["404", "501", "page"]
)
async def test_a_region_that_says_nothing_of_the_account_is_not_ruled_out(
    world: World, silent: Reply
) -> None:
    heal_region(world, "api-in.mixpanel", "data-in.mixpanel", "in.mixpanel")
    world.hosts["in.mixpanel.com"].always(ME, silent)

    report = await diagnose(CREDENTIALS)

    region = check(report, "region")
    assert (report.ailment, region.outcome) == (Ailment.BAD_SECRET, "warn")
    assert "perhaps the cause: nothing was learnt of region in" in region.detail
    assert "MIXPANEL_REGION" in region.advice


async def test_other_regions_are_not_asked_when_the_project_is_known(world: World) -> None:
    heal_region(world, "api.mixpanel", "data.mixpanel", "mixpanel")
    world.hosts["data.mixpanel.com"].always(EXPORT, FORBIDDEN)

    report = await diagnose(CREDENTIALS)

    assert report.ailment is Ailment.ROLE
    assert {host for host, _ in world.asked} == {
        "api.mixpanel.com",
        "data.mixpanel.com",
        "mixpanel.com",
    }
