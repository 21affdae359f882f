"""Whether another region is the right one: asked only where the configured one says no."""

from collections.abc import Sequence
from dataclasses import replace

from mixpanel_mcp.api.regions import Family
from mixpanel_mcp.doctor import Ailment
from mixpanel_mcp.doctor.findings import Finding
from mixpanel_mcp.doctor.projects import Projects
from mixpanel_mcp.doctor.report import Check
from mixpanel_mcp.settings import Connection, Region

# What a host answers that belongs to another region than the project.
_REFUSALS = {400, 401, 403, 404}
# 402 comes after the project was recognised.
_RECOGNISED = {200, 402}
_OF_REGION = {Ailment.BAD_SECRET, Ailment.WRONG_PROJECT, Ailment.ROLE, Ailment.WRONG_TOKEN}


def projects_of(findings: Sequence[Finding]) -> Projects | None:
    """The projects that `/me` listed; None if it did not."""
    for finding in findings:
        if finding.family is Family.APP and finding.accepted and finding.seen.reply:
            projects = Projects(finding.seen.reply)
            return projects if projects.are_known else None
    return None


def recognises(connection: Connection, findings: Sequence[Finding]) -> bool:
    """Whether a region knows the service account and the project."""
    if connection.project_id is None:
        return any(finding.accepted for finding in findings if finding.of_account)
    projects = projects_of(findings)
    if projects is not None and projects.has(connection.project_id):
        return True
    return any(
        finding.status in _RECOGNISED and finding.check.ailment in {None, Ailment.PLAN}
        for finding in findings
        if finding.of_account and finding.family is not Family.APP
    )


def is_suspect(connection: Connection, findings: Sequence[Finding]) -> bool:
    """Whether the configured region could be the wrong one."""
    if recognises(connection, findings):
        return False
    return any(
        finding.status in _REFUSALS or (finding.accepted and finding.family is Family.APP)
        for finding in findings
        if finding.of_account
    )


def right_region(
    connection: Connection, here: Sequence[Finding], elsewhere: Sequence[Finding]
) -> Region | None:
    """The region that knows the account and the project, or at least the account."""
    for finding in elsewhere:
        if recognises(connection, [finding]):
            return finding.question.request.region
    if projects_of(here) is not None:
        return None  # the account is at home here: only the project is in question
    regions = (finding.question.request.region for finding in elsewhere if finding.accepted)
    return next(regions, None)


def region_check(
    connection: Connection, region: Region | None, elsewhere: Sequence[Finding]
) -> Check:
    """The line about the region, once it was suspected."""
    here = connection.region.value
    blank = Check(name="region", detail="")
    if connection.base_url is not None:
        place = connection.place("base_url")
        return blank.warned(
            f"{place} is set, so other regions cannot be tried",
            f"{place} replaces every region's hosts: if the project's region is in "
            "doubt, run the doctor once without it.",
        )
    if region is not None:
        projects = projects_of([f for f in elsewhere if f.question.request.region is region])
        knows = projects is not None and connection.project_id is not None
        knows = knows and projects is not None and projects.has(connection.project_id or 0)
        what = f" and knows project {connection.project_id}" if knows else ""
        return blank.failed(
            Ailment.WRONG_REGION,
            f"{here} does not, but {region.value} accepts the service account{what}",
            _how_to_set(connection, region),
        )
    silent = [finding for finding in elsewhere if not _is_told(finding)]
    if silent:
        return blank.warned(
            f"perhaps the cause: nothing was learnt of region {_names(silent)}",
            f"Compare {connection.place('region')} with where the project's data lives "
            "(Mixpanel: Project Settings).",
        )
    return blank.passed(f"not the cause: {_names(elsewhere)} do not know them either")


def _how_to_set(connection: Connection, region: Region) -> str:
    if connection.tabled is None:
        return f"Set {connection.place('region')}={region.value}."
    # In the table, even where a variable gave it: that may fill other tables too.
    return f'Set connections.{connection.name}.region = "{region.value}".'


def _is_told(finding: Finding) -> bool:
    """Whether a region said yes or no: a 404 may only mean that it does not offer `/me`."""
    return finding.accepted or finding.check.ailment in _OF_REGION


def _names(findings: Sequence[Finding]) -> str:
    return " and ".join(finding.question.request.region.value for finding in findings)


def without_blame(finding: Finding, elsewhere: bool) -> Check:  # noqa: FBT001
    """A check whose refusal comes of the wrong region, or is what another region should say."""
    check = finding.check
    if elsewhere:
        named = replace(check, name=f"{check.name}, region {finding.question.request.region.value}")
        return named if check.ailment is None else named.warned(check.detail)
    if check.ailment in _OF_REGION:
        return check.failed(Ailment.WRONG_REGION, check.detail)
    return check
