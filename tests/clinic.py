"""What the doctor's tests share: patients, and a Mixpanel that makes them well or ill."""

import json
from collections.abc import Callable, Mapping
from typing import Any

from harness import CANARY_PASSWORD, CANARY_TOKEN
from upstream import Reply, Upstream
from world import World

from mixpanel_mcp.api.probe import Instruments
from mixpanel_mcp.doctor.examination import examine
from mixpanel_mcp.doctor.report import Check, Report
from mixpanel_mcp.settings import load_settings

ME, QUERY, EXPORT = "/api/app/me", "/api/query/funnels/list", "/api/2.0/export"
TABLES, IMPORT = "/lookup-tables", "/import"
OF_ACCOUNT = [ME, QUERY, EXPORT, TABLES]
EVERY_PATH = [*OF_ACCOUNT, IMPORT]

CREDENTIALS = {
    "MIXPANEL_USERNAME": "robot",
    "MIXPANEL_PASSWORD": CANARY_PASSWORD,
    "MIXPANEL_PROJECT_TOKEN": CANARY_TOKEN,
    "MIXPANEL_PROJECT_ID": "4242",
}
UNAUTHORIZED = Reply(401, json={"error": "Unable to authenticate request", "status": "error"})
NO_PLAN = Reply(402, json={"error": "Your plan does not allow API calls."})
FORBIDDEN = Reply(403, json={"error": "Permission denied", "status": "error"})


def me(**projects: Any) -> Reply:
    return Reply(json={"status": "ok", "results": {"user_id": 1, "projects": projects}})


def healthy(upstream: Upstream, **project: Any) -> Upstream:
    """Let a host answer as Mixpanel does when all is well."""
    upstream.always(ME, me(**{"4242": {"name": "Shop", **project}}))
    upstream.always(QUERY, Reply(json=[{"funnel_id": 1, "name": "Signup"}]))
    upstream.always(EXPORT, Reply(body=b""))
    upstream.always(TABLES, Reply(json={"code": 200, "status": "OK", "results": []}))
    upstream.always(IMPORT, Reply(json={"code": 200, "num_records_imported": 0, "status": "OK"}))
    return upstream


def heal_region(world: World, api: str, data: str, app: str) -> None:
    for host in (api, data, app):
        healthy(world.hosts[f"{host}.com"])


def heal_eu(world: World) -> None:
    heal_region(world, "api-eu.mixpanel", "data-eu.mixpanel", "eu.mixpanel")


async def diagnose(
    variables: Mapping[str, str],
    *,
    seconds: float = 5,
    now: Callable[[], float] | None = None,
    lookup: Callable[[str, int], object] | None = None,
) -> Report:
    plain = Instruments()
    instruments = Instruments(
        seconds=seconds, now=now or plain.now, lookup=lookup or (lambda _host, _port: None)
    )
    report = await examine(load_settings(variables), instruments)
    for text in (report.as_text(), json.dumps(report.as_data())):
        assert CANARY_PASSWORD not in text
        assert CANARY_TOKEN not in text
    return report


def at(upstream: Upstream, **more: str) -> dict[str, str]:
    return {**CREDENTIALS, "MIXPANEL_BASE_URL": upstream.url, **more}


def check(report: Report, name: str) -> Check:
    return next(check for check in report.checks if check.name == name)


def told(report: Report) -> str:
    return "\n".join(report.advice)


PAGE = Reply(body="<html>Please accept our terms</html>", headers={"content-type": "text/html"})
