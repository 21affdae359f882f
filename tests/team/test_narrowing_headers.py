"""What a request may ask to go without; what cannot be obeyed is refused, never overlooked."""

import traceback
from collections.abc import AsyncGenerator

import pytest
from mcp import MCPError
from starlette.datastructures import Headers
from team_house import House, bearer, running_house, team
from two_projects import Pair

from mixpanel_mcp.operations import TOOLSETS
from mixpanel_mcp.safety.narrowing import Narrowing
from mixpanel_mcp.settings import Caller, new_token, token_hash
from mixpanel_mcp.transports.narrowing_headers import narrowing_of

TOKEN = new_token()
TOOLSETS_HEADER, READ_ONLY_HEADER = "X-Mixpanel-Toolsets", "X-Mixpanel-Read-Only"


@pytest.fixture
async def house(pair: Pair) -> AsyncGenerator[House]:
    callers = [Caller(name="ada", token_sha256=(token_hash(TOKEN),))]
    async with running_house(team(pair, callers)) as running:
        yield running


@pytest.mark.parametrize(
    ("headers", "narrowing"),
    [
        ({}, Narrowing()),
        ({TOOLSETS_HEADER: "reports"}, Narrowing(frozenset({"reports"}))),
        ({TOOLSETS_HEADER: " raw , reports"}, Narrowing(frozenset({"raw", "reports"}))),
        ({TOOLSETS_HEADER: ",".join(TOOLSETS)}, Narrowing()),
        ({READ_ONLY_HEADER: "true"}, Narrowing(read_only=True)),
        ({READ_ONLY_HEADER: "TRUE"}, Narrowing(read_only=True)),
        ({READ_ONLY_HEADER: "false"}, Narrowing()),
        ({"Mixpanel": "x", "X-Request-Id": "mixpanel"}, Narrowing()),
    ],
)
def test_headers_are_understood(headers: dict[str, str], narrowing: Narrowing) -> None:
    assert narrowing_of(Headers(headers)) == narrowing


WRONG: dict[str, tuple[list[tuple[str, str]], str]] = {
    "unknown toolset": ([(TOOLSETS_HEADER, "report")], "did you mean reports?"),
    "one of two unknown": ([(TOOLSETS_HEADER, "reports,everything")], '"everything" is none of'),
    "no toolset": ([(TOOLSETS_HEADER, "")], "nothing is none of the toolsets"),
    "a comma too much": ([(TOOLSETS_HEADER, "reports,")], "nothing is none of the toolsets"),
    "all of them": ([(TOOLSETS_HEADER, "*")], "none of the toolsets"),
    "a tool": ([(TOOLSETS_HEADER, "track_events")], "none of the toolsets"),
    "upper case": ([(TOOLSETS_HEADER, "REPORTS")], "none of the toolsets"),
    "blanks": ([(TOOLSETS_HEADER, "reports raw")], "none of the toolsets"),
    "neither true nor false": ([(READ_ONLY_HEADER, "1")], "neither true nor false"),
    "yes": ([(READ_ONLY_HEADER, "yes")], "neither true nor false"),
    "empty": ([(READ_ONLY_HEADER, "")], "neither true nor false"),
    "twice": ([(READ_ONLY_HEADER, "true"), (READ_ONLY_HEADER, "false")], "came more than once"),
    "toolsets twice": ([(TOOLSETS_HEADER, "raw")] * 2, "came more than once"),
    "misspelt": ([("X-Mixpanel-Readonly", "true")], "did you mean X-Mixpanel-Read-Only?"),
    "underscores": ([("X_Mixpanel_Read_Only", "true")], "did you mean X-Mixpanel-Read-Only?"),
    "without its X": ([("Mixpanel-Toolsets", "raw")], "did you mean X-Mixpanel-Toolsets?"),
    "without a dash": ([("X-MixpanelReadOnly", "true")], "did you mean X-Mixpanel-Read-Only?"),
    "cut short": ([("X-Mixpanel-Tools", "raw")], "did you mean X-Mixpanel-Toolsets?"),
} | {
    name: ([(name, "77")], f"no such header; there are {TOOLSETS_HEADER} and {READ_ONLY_HEADER}")
    for name in (
        "X-Mixpanel",
        "X-Mixpanel-Confirmation",
        "X-Mixpanel-Project-Id",
        "X-Mixpanel-Region",
        "X-Mixpanel-Timeout",
        "X-Mixpanel-Token",
    )
}


async def test_what_cannot_be_obeyed_is_refused_with_the_reason(house: House, pair: Pair) -> None:
    for name, (headers, said) in WRONG.items():
        answer = await house.post([*bearer(TOKEN).items(), *headers])
        assert answer.status_code == 400, name
        error = answer.json()["error"]
        assert said in error["message"], (name, error)
        stream = await house.get("/sse", [*bearer(TOKEN).items(), *headers])
        assert stream.status_code == 400, name
    assert pair.arrived == (0, 0)


async def test_a_person_is_shown_the_reason(house: House) -> None:
    headers = {**bearer(TOKEN), "X-Mixpanel-Readonly": "true"}
    with pytest.raises(ExceptionGroup) as refused:
        async with house.opened("legacy", headers=headers):
            pytest.fail("no session begins")
    reasons = refused.value.subgroup(MCPError)
    assert reasons is not None
    shown = "".join(traceback.format_exception(reasons))
    assert "did you mean X-Mixpanel-Read-Only?" in shown


async def test_who_calls_is_asked_before_what_they_want(house: House) -> None:
    assert (await house.post({"X-Mixpanel-Readonly": "true"})).status_code == 401
