"""Every pipeline tool works on one project in one region, and says on which."""

from datetime import UTC, datetime
from typing import Any

import pytest
from harness import Connect
from upstream import Reply, Upstream

TODAY = str(datetime.now(UTC).date())
TOOLS: list[tuple[str, dict[str, Any]]] = [
    ("list_pipelines", {}),
    ("get_pipeline", {"name": "p"}),
    (
        "create_gcs_pipeline",
        {"gcs_bucket": "b", "gcs_region": "us-east4", "from_date": TODAY, "confirm": True},
    ),
    ("edit_gcs_pipeline", {"name": "p", "events": "A", "confirm": True}),
    ("delete_pipeline", {"name": "p", "confirm": True}),
    ("create_generic_pipeline", {"form_data": {"type": "s3-raw"}, "confirm": True}),
    ("edit_generic_pipeline", {"name": "p", "confirm": True}),
]
every_tool = pytest.mark.parametrize(("tool", "arguments"), TOOLS)


@every_tool
async def test_project_and_region_are_the_connections_or_the_calls(
    connect: Connect, upstream: Upstream, tool: str, arguments: dict[str, Any]
) -> None:
    upstream.default = Reply(json={"failed": 1})

    async with connect(connection={"region": "in"}) as tools:
        own = await tools.call(tool, **arguments)
        other = await tools.call(tool, **arguments, project_id=7, region="Data-EU")

    assert (own.status, other.status) == ("ok", "ok")
    sent = [[*request.query, *request.form] for request in upstream.requests]
    assert [[value for name, value in each if name == "project_id"] for each in sent] == [
        ["4242"],
        ["7"],
    ]
    assert [answer.structured["scope"]["project"] for answer in (own, other)] == [4242, 7]
    assert [answer.structured["scope"]["region"] for answer in (own, other)] == ["in", "eu"]


@every_tool
@pytest.mark.parametrize(
    "wrong", [{"project_id": -7}, {"region": "mixpanel-us"}, {"workspace_id": 3}, {"nam": "p"}]
)
async def test_a_wrong_place_is_refused(
    connect: Connect,
    upstream: Upstream,
    tool: str,
    arguments: dict[str, Any],
    wrong: dict[str, Any],
) -> None:
    async with connect() as tools:
        answer = await tools.call(tool, **arguments, **wrong)

    assert (answer.status, answer.is_error) == ("refused", True)
    assert next(iter(wrong)) in answer.text
    assert upstream.requests == []


@every_tool
async def test_other_projects_can_be_out_of_bounds(
    connect: Connect, upstream: Upstream, tool: str, arguments: dict[str, Any]
) -> None:
    async with connect(allowed_projects=(4242,)) as tools:
        answer = await tools.call(tool, **arguments, project_id=999)

    assert (answer.status, answer.is_error) == ("refused", True)
    assert "4242" in answer.text
    assert upstream.requests == []


@every_tool
@pytest.mark.parametrize("missing", ["username", "password"])
async def test_without_an_account_nothing_is_sent(
    connect: Connect, upstream: Upstream, tool: str, arguments: dict[str, Any], missing: str
) -> None:
    async with connect(connection={missing: None}) as tools:
        answer = await tools.call(tool, **arguments)

    assert answer.status == "refused"
    assert f"MIXPANEL_{missing.upper()}" in answer.text
    assert upstream.requests == []


@every_tool
async def test_without_a_project_nothing_is_guessed(
    connect: Connect, upstream: Upstream, tool: str, arguments: dict[str, Any]
) -> None:
    """The generic tools may send without one; whatever goes out names no project then."""
    async with connect(connection={"project_id": None}) as tools:
        answer = await tools.call(tool, **arguments)

    if "generic" in tool:
        assert all(
            "project_id" not in dict([*request.query, *request.form])
            for request in upstream.requests
        )
    else:
        assert answer.status == "refused"
        assert "MIXPANEL_PROJECT_ID" in answer.text
        assert upstream.requests == []
