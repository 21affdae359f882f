"""Every illness of credentials and settings, played by a recorder."""

import pytest
from clinic import (
    CREDENTIALS,
    EVERY_PATH,
    EXPORT,
    FORBIDDEN,
    IMPORT,
    ME,
    NO_PLAN,
    OF_ACCOUNT,
    QUERY,
    TABLES,
    UNAUTHORIZED,
    at,
    check,
    diagnose,
    healthy,
    me,
    told,
)
from harness import CANARY_PASSWORD, CANARY_TOKEN
from upstream import Answer, Drop, Reply, Upstream
from world import World

from mixpanel_mcp.doctor import Ailment
from mixpanel_mcp.doctor.examination import examine
from mixpanel_mcp.sandbox import RunningSandbox
from mixpanel_mcp.settings import load_settings

# All is well


async def test_a_healthy_project_is_well_and_costs_little(upstream: Upstream) -> None:
    healthy(upstream, token=CANARY_TOKEN)

    report = await diagnose(at(upstream))

    assert (report.ailment, report.exit_code, report.advice) == (None, 0, [])
    assert {check.outcome.value for check in report.checks} == {"ok", "warn"}  # no Date to compare
    assert sorted(request.path for request in upstream.requests) == sorted(EVERY_PATH)


async def test_nothing_is_written_and_nothing_exported(upstream: Upstream) -> None:
    healthy(upstream)

    await diagnose(at(upstream))

    sent = {request.path: request for request in upstream.requests}
    assert {path for path, request in sent.items() if request.method != "GET"} == {IMPORT}
    assert sent[IMPORT].json() == []
    export = dict(sent[EXPORT].query)
    assert export["limit"] == "1"
    assert export["event"] == '["$mixpanel_mcp_doctor"]'
    assert export["from_date"] == export["to_date"]


async def test_each_credential_is_tried_where_it_counts(upstream: Upstream) -> None:
    import base64  # noqa: PLC0415

    healthy(upstream)

    await diagnose(at(upstream, MIXPANEL_WORKSPACE_ID="7"))

    def authorization(name: str, secret: str) -> str:
        return "Basic " + base64.b64encode(f"{name}:{secret}".encode()).decode()

    account = authorization("robot", CANARY_PASSWORD)
    for path in OF_ACCOUNT:
        [request] = upstream.to(path)
        assert request.headers["authorization"] == account
        assert ("project_id", "4242") in request.query or path == ME
    [token] = upstream.to(IMPORT)
    assert token.headers["authorization"] == authorization(CANARY_TOKEN, "")
    assert "project_id" not in dict(token.query)  # with token authentication it breaks it
    assert dict(upstream.to(QUERY)[0].query)["workspace_id"] == "7"


async def test_the_sandbox_is_well(sandbox: RunningSandbox) -> None:
    """It has no app API: what is not offered is a warning, never a fault."""
    from mixpanel_mcp.sandbox import PASSWORD, PROJECT_ID, TOKEN, USERNAME  # noqa: PLC0415

    report = await examine(
        load_settings(
            {
                "MIXPANEL_USERNAME": USERNAME,
                "MIXPANEL_PASSWORD": PASSWORD,
                "MIXPANEL_PROJECT_TOKEN": TOKEN,
                "MIXPANEL_PROJECT_ID": str(PROJECT_ID),
                "MIXPANEL_BASE_URL": sandbox.base_url,
            }
        )
    )

    assert report.ailment is None
    assert check(report, "service account on app").outcome == "warn"
    assert check(report, "service account on query").outcome == "ok"


# Nothing or not all configured


async def test_nothing_configured_asks_nobody(world: World) -> None:
    report = await diagnose({})

    assert report.ailment is Ailment.NOT_CONFIGURED
    assert "MIXPANEL_USERNAME, MIXPANEL_PASSWORD" in told(report)
    assert world.asked == []


@pytest.mark.parametrize("missing", sorted(CREDENTIALS))
async def test_a_missing_credential_is_named_and_the_others_tried(
    upstream: Upstream, missing: str
) -> None:
    healthy(upstream)
    variables = at(upstream)
    del variables[missing]

    report = await diagnose(variables)

    of_token = missing == "MIXPANEL_PROJECT_TOKEN"
    assert report.ailment is (Ailment.NO_TOKEN if of_token else Ailment.NOT_CONFIGURED)
    assert missing in check(report, "settings").detail
    assert missing in report.advice[0]
    assert upstream.requests


async def test_a_missing_token_does_not_hide_a_bad_secret(upstream: Upstream) -> None:
    upstream.default = UNAUTHORIZED
    variables = at(upstream)
    del variables["MIXPANEL_PROJECT_TOKEN"]

    report = await diagnose(variables)

    assert report.ailment is Ailment.BAD_SECRET
    assert "MIXPANEL_PASSWORD" in report.advice[0]
    assert "Set MIXPANEL_PROJECT_TOKEN" in told(report)


async def test_a_missing_project_id_is_helped_with_the_projects_there_are(
    upstream: Upstream,
) -> None:
    healthy(upstream)
    variables = at(upstream)
    del variables["MIXPANEL_PROJECT_ID"]

    report = await diagnose(variables)

    assert '"4242"' in told(report)
    assert {request.path for request in upstream.requests} == {ME, IMPORT}


async def test_who_only_reads_needs_no_token(upstream: Upstream) -> None:
    healthy(upstream)
    variables = at(upstream, MIXPANEL_MCP_READ_ONLY="1")
    del variables["MIXPANEL_PROJECT_TOKEN"]

    assert (await diagnose(variables)).ailment is None


@pytest.mark.parametrize("refusal", [FORBIDDEN, UNAUTHORIZED], ids=["403", "401"])
async def test_who_only_reads_may_be_kept_from_the_lookup_tables(
    upstream: Upstream, refusal: Reply
) -> None:
    healthy(upstream).always(TABLES, refusal)

    report = await diagnose(at(upstream, MIXPANEL_MCP_READ_ONLY="1"))

    assert report.ailment is None
    assert check(report, "service account on ingestion").outcome == "warn"
    assert "Reading the lookup tables needs" in told(report)


# Project, role, plan


async def test_a_project_that_the_account_cannot_see(upstream: Upstream) -> None:
    healthy(upstream).always(ME, me(**{"7": {"name": "Other"}, "8": {}}))
    for path in (QUERY, EXPORT, TABLES):
        upstream.always(path, FORBIDDEN)

    report = await diagnose(at(upstream))

    assert report.ailment is Ailment.WRONG_PROJECT
    assert 'it sees "7", "8"' in check(report, "project").detail
    assert "MIXPANEL_PROJECT_ID" in report.advice[0]
    assert "role" not in report.as_text()


async def test_a_project_that_only_the_list_leaves_out_is_no_fault(upstream: Upstream) -> None:
    healthy(upstream).always(ME, me())

    report = await diagnose(at(upstream))

    assert report.ailment is None
    assert "other calls reach it" in check(report, "project").detail


@pytest.mark.parametrize("path", OF_ACCOUNT)
async def test_a_role_that_is_too_low(upstream: Upstream, path: str) -> None:
    healthy(upstream).always(path, FORBIDDEN)

    report = await diagnose(at(upstream))

    assert report.ailment is Ailment.ROLE
    assert "role" in report.advice[0]


async def test_a_refusal_may_be_of_the_project_where_nobody_tells_which_there_are(
    upstream: Upstream,
) -> None:
    healthy(upstream).always(ME, Reply(404))
    for path in (QUERY, EXPORT, TABLES):
        upstream.always(path, FORBIDDEN)

    report = await diagnose(at(upstream))

    assert report.ailment is Ailment.ROLE
    assert "in project 4242" in check(report, "service account on query").detail
    assert "MIXPANEL_PROJECT_ID" in told(report)


async def test_a_project_that_another_call_reaches_is_not_in_question(upstream: Upstream) -> None:
    healthy(upstream).always(ME, Reply(404))
    upstream.always(EXPORT, FORBIDDEN)

    report = await diagnose(at(upstream))

    assert report.ailment is Ailment.ROLE
    assert "MIXPANEL_PROJECT_ID" not in "".join(
        sentence for sentence in report.advice if "role" in sentence
    )


async def test_a_secret_that_opens_one_door_is_not_bad_where_another_stays_shut(
    upstream: Upstream,
) -> None:
    healthy(upstream).always(QUERY, UNAUTHORIZED)

    report = await diagnose(at(upstream))

    assert report.ailment is Ailment.ROLE
    assert "accepted elsewhere" in check(report, "service account on query").detail


async def test_a_plan_without_the_query_api(upstream: Upstream) -> None:
    healthy(upstream).always(QUERY, NO_PLAN)

    report = await diagnose(at(upstream))

    assert report.ailment is Ailment.PLAN
    assert "credentials are right" in report.advice[0]
    assert check(report, "service account on data").outcome == "ok"


async def test_a_workspace_that_mixpanel_refuses(upstream: Upstream) -> None:
    healthy(upstream).always(QUERY, Reply(400, json={"error": "Invalid workspace"}))

    report = await diagnose(at(upstream))

    assert report.ailment is Ailment.WRONG_PROJECT
    assert "MIXPANEL_WORKSPACE_ID" in report.advice[0]
    assert '"Invalid workspace"' in check(report, "service account on query").detail


# The project token


async def test_a_token_that_nobody_knows(upstream: Upstream) -> None:
    healthy(upstream).always(IMPORT, UNAUTHORIZED)

    report = await diagnose(at(upstream))

    assert report.ailment is Ailment.WRONG_TOKEN
    assert "MIXPANEL_PROJECT_TOKEN" in report.advice[0]


async def test_a_token_of_another_project_is_found_where_mixpanel_tells_tokens(
    upstream: Upstream,
) -> None:
    healthy(upstream).always(
        ME, me(**{"4242": {"token": "another-token-99"}, "7": {"token": CANARY_TOKEN}})
    )

    report = await diagnose(at(upstream))

    assert report.ailment is Ailment.WRONG_TOKEN
    assert "the token of project 7" in check(report, "project token's project").detail
    assert "another-token-99" not in report.as_text()


async def test_a_token_that_cannot_be_verified_is_said_to_be_so(upstream: Upstream) -> None:
    healthy(upstream)

    report = await diagnose(at(upstream))

    found = check(report, "project token's project")
    assert (report.exit_code, found.outcome) == (0, "warn")
    assert "cannot be verified" in found.detail
    assert "Access Keys" in found.advice


@pytest.mark.parametrize(
    "silent",
    [Drop(), Reply(503), Reply(429), Reply(302), Reply(404), UNAUTHORIZED],
    ids=["dropped", "503", "429", "redirect", "404", "401"],
)
async def test_of_a_token_nothing_is_said_where_mixpanel_said_nothing(
    upstream: Upstream, silent: Answer
) -> None:
    upstream.default = silent

    report = await diagnose(at(upstream))

    assert report.ailment is not None
    assert "project token's project" not in {check.name for check in report.checks}


async def test_an_import_of_nothing_that_is_refused_says_nothing_of_the_token(
    upstream: Upstream,
) -> None:
    healthy(upstream).always(IMPORT, Reply(400, json={"error": "no events"}))

    report = await diagnose(at(upstream))

    assert report.ailment is None
    assert check(report, "project token on ingestion").outcome == "warn"
