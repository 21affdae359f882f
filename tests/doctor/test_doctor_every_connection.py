"""The doctor looks at every connection: that the first is well says nothing of the others."""

import json

from clinic import UNAUTHORIZED, healthy
from two_projects import Pair
from upstream import Reply

from mixpanel_mcp.doctor.examination import examine
from mixpanel_mcp.doctor.report import Report
from mixpanel_mcp.settings import Policy, Settings


async def diagnose(pair: Pair) -> Report:
    return await examine(Settings(pair.shop.connection(), Policy(), [pair.blog.connection()]))


async def test_every_connection_is_examined_with_its_own_credentials(pair: Pair) -> None:
    healthy(pair.shop.upstream, token=pair.shop.token)
    healthy(pair.blog.upstream, token=pair.blog.token)

    await diagnose(pair)

    assert min(pair.arrived) > 0, pair.arrived
    for project in (pair.shop, pair.blog):
        for request in project.upstream.requests:
            assert request.headers.get("authorization") in (None, *project.authorizations)


async def test_the_illness_of_the_second_connection_is_found(pair: Pair) -> None:
    healthy(pair.shop.upstream, token=pair.shop.token)
    pair.blog.upstream.default = UNAUTHORIZED

    report = await diagnose(pair)

    assert report.exit_code != 0
    assert "blog" in report.as_text()


async def test_no_report_holds_a_secret_of_either(pair: Pair) -> None:
    secrets = (*pair.shop.secrets, *pair.blog.secrets)
    pair.shop.upstream.default = pair.blog.upstream.default = Reply(401, body=" ".join(secrets))

    report = await diagnose(pair)

    told = report.as_text() + json.dumps(report.as_data())
    assert not [secret for secret in secrets if secret in told]
