"""What follows from all findings together."""

import math
from collections.abc import Sequence
from dataclasses import replace
from email.utils import parsedate_to_datetime

from mixpanel_mcp.api.probe import proxy_of
from mixpanel_mcp.api.regions import Family
from mixpanel_mcp.doctor import Ailment
from mixpanel_mcp.doctor.findings import NEEDS_ROLE, Finding
from mixpanel_mcp.doctor.projects import Projects
from mixpanel_mcp.doctor.regions import recognises
from mixpanel_mcp.doctor.report import Check
from mixpanel_mcp.settings import Connection, Settings

_CLOCK_SECONDS = 300


def settings_checks(settings: Settings, projects: Projects | None) -> list[Check]:
    """What is not set; the credentials' own faults are Mixpanel's to tell."""
    connection, blank = settings.connection, Check(name="settings", detail="")
    given = {
        "username": connection.username,
        "password": connection.password and connection.password.get_secret_value(),
        "project_id": connection.project_id,
    }
    # Whoever only reads needs no token: it names the project in what is written.
    if not settings.policy.read_only:
        token = connection.project_token
        given["project_token"] = token and token.get_secret_value()
    missing = [name for name, value in given.items() if not value]
    if not missing:
        return [blank.passed("every credential is set")]
    places = [connection.place(name) for name in missing]
    if len(missing) == len(given):
        return [blank.failed(Ailment.NOT_CONFIGURED, "nothing is configured", _how_to_set(places))]
    seen = ""
    if "project_id" in missing and projects is not None:
        seen = f" The service account sees the projects {projects.shown}."
    is_not = "is not" if len(missing) == 1 else "are not"
    detail = f"{' and '.join(places)} {is_not} set"
    # Without a token all reading works: it must not hide what is wrong with the rest.
    of_token = missing == ["project_token"]
    ailment = Ailment.NO_TOKEN if of_token else Ailment.NOT_CONFIGURED
    return [blank.failed(ailment, detail, _how_to_set(places) + seen)]


def _how_to_set(places: Sequence[str]) -> str:
    return (
        f"Set {', '.join(places)} (Mixpanel: Organization Settings > Service Accounts for name "
        "and secret, Project Settings for id and token)."
    )


def proxy_check(connection: Connection, findings: Sequence[Finding]) -> Check:
    blank = Check(name="proxy", detail="")
    origins = [finding.check.origin or "" for finding in findings]
    proxies = {proxy for url in origins if (proxy := proxy_of(connection, url)) is not None}
    refused = [f.check for f in findings if f.check.ailment is Ailment.PROXY]
    if refused:
        return replace(refused[0], name="proxy", family=None, origin=None)
    if not proxies:
        return blank.passed("the environment names none for these hosts")
    return blank.passed(
        f"requests go through {', '.join(sorted(proxies))}, as the environment says"
    )


def account_checks(
    settings: Settings, findings: Sequence[Finding], projects: Projects | None
) -> list[Check]:
    """The findings in the light of each other, where the region is right."""
    connection = settings.connection
    known = recognises(connection, findings)
    opened = {None, Ailment.PLAN}  # a plan is looked at after the secret
    of_account = [finding for finding in findings if finding.of_account]
    at_home = any(f.status in {200, 402} and f.check.ailment in opened for f in of_account)
    stranger = projects is not None and connection.project_id is not None and not known
    if of_account and all(finding.status in {404, 405} for finding in of_account):
        return [_not_mixpanel(connection, finding) for finding in findings]
    checks = [_in_context(finding, at_home=at_home, stranger=stranger) for finding in findings]
    if not known:
        checks = [_or_another_project(connection, check) for check in checks]
    if settings.policy.read_only:
        checks = [_without_lookup_tables(check) for check in checks]
    if projects is not None and connection.project_id is not None:
        checks.append(_project_check(connection, connection.project_id, projects, known=known))
    return checks


def _not_mixpanel(connection: Connection, finding: Finding) -> Check:
    return finding.check.failed(
        Ailment.ODD_REPLY,
        f"HTTP {finding.status} from {finding.question.request.shown}, as from everything else",
        f"Nothing of Mixpanel's is there: check {connection.place('base_url')}, proxies and "
        "captive portals.",
    )


def _in_context(finding: Finding, *, at_home: bool, stranger: bool) -> Check:
    """A 401 is no bad secret where the same secret opens another door."""
    check = finding.check
    if not finding.of_account:
        return check
    if stranger and check.ailment in {Ailment.BAD_SECRET, Ailment.ROLE, Ailment.WRONG_PROJECT}:
        return check.failed(Ailment.WRONG_PROJECT, check.detail)
    if at_home and check.ailment is Ailment.BAD_SECRET:
        return check.failed(
            Ailment.ROLE,
            f"refused (HTTP {finding.status}), although the same name and secret are accepted "
            "elsewhere",
            f"{NEEDS_ROLE[finding.family]} needs a higher role in the project: raise it under "
            "Project Settings > Service Accounts.",
        )
    return check


def _or_another_project(connection: Connection, check: Check) -> Check:
    """Nothing has shown that the account belongs to the project: a 403 may come of that."""
    if check.ailment is not Ailment.ROLE or check.family == Family.APP.value:
        return check
    doubt = (
        f"If its role is high enough, it may not belong to project {connection.project_id}: check "
        f"{connection.place('project_id')}."
    )
    return check.failed(Ailment.ROLE, check.detail, f"{check.advice} {doubt}")


def _without_lookup_tables(check: Check) -> Check:
    """Whoever only reads may well have chosen a role that cannot see the lookup tables."""
    if check.family == Family.INGESTION.value and check.ailment is Ailment.ROLE:
        leave = "Leave it so if nobody has to see the lookup tables."
        return check.warned(check.detail, f"{leave} {check.advice}")
    return check


def _project_check(
    connection: Connection, project_id: int, projects: Projects, *, known: bool
) -> Check:
    blank = Check(name="project", detail="", family=Family.APP.value)
    if projects.has(project_id):
        return blank.passed(f"the service account sees project {project_id}")
    if known:
        return blank.passed(f"/me does not list project {project_id}, but other calls reach it")
    return blank.failed(
        Ailment.WRONG_PROJECT,
        f"the service account does not see project {project_id}; it sees {projects.shown}",
        f"Correct {connection.place('project_id')}, or add the service account to project "
        f"{project_id} (Mixpanel: Project Settings > Service Accounts).",
    )


def token_check(
    connection: Connection, projects: Projects | None, seen: Sequence[Check]
) -> list[Check]:
    """Whose token it is: known only where the app API tells the project's."""
    if connection.project_token is None or connection.project_id is None:
        return []
    if any(check.ailment is Ailment.WRONG_TOKEN for check in seen) or not _could_tell(seen):
        return []
    blank = Check(name="project token's project", detail="", family=Family.APP.value)
    token, project = connection.project_token.get_secret_value(), str(connection.project_id)
    told = projects.token_of(project) if projects else None
    if told == token:
        return [blank.passed(f"it is the token of project {project}")]
    owner = projects.owner_of(token) if projects else None
    if owner is None and told is None:
        return [
            blank.warned(
                "it cannot be verified: Mixpanel did not tell the project's token, and takes "
                "events with any",
                f"Compare {connection.place('project_token')} with Project Settings > Access Keys "
                f"of project {project}: events sent with another token are lost without an error.",
            )
        ]
    whose = f"the token of project {owner[:20]}" if owner else "another one"
    return [
        blank.failed(
            Ailment.WRONG_TOKEN,
            f"it is {whose}, not that of project {project}",
            f"Set {connection.place('project_token')} to the token of project {project} (Mixpanel: "
            f"Project Settings > Access Keys), or {connection.place('project_id')} to the project "
            "of this token.",
        )
    ]


def _could_tell(seen: Sequence[Check]) -> bool:
    """Whether Mixpanel's app API answered, be it that it has no such answer for this account."""
    told = {None, Ailment.ROLE}
    return any(check.family == Family.APP.value and check.ailment in told for check in seen)


def clock_check(findings: Sequence[Finding]) -> Check:
    blank = Check(name="clock", detail="")
    skews = [skew for finding in findings if (skew := _skew(finding)) is not None]
    if not skews:
        return blank.warned("no reply carried a date to compare with")
    off = min(skews, key=abs)
    if abs(off) <= _CLOCK_SECONDS:
        return blank.passed("agrees with the replies")
    way = "ahead of" if off > 0 else "behind"
    return blank.failed(
        Ailment.CLOCK,
        f"{abs(off) / 60:.0f} minutes {way} the replies",
        "Set this computer's clock (NTP): events sent without a time, and dates such as today, "
        "go by it.",
    )


def _skew(finding: Finding) -> float | None:
    """Seconds by which the local clock is ahead of a reply's date."""
    reply = finding.seen.reply
    if reply is None:
        return None
    try:
        skew = finding.seen.at - parsedate_to_datetime(reply.headers.get("date", "")).timestamp()
    except (ValueError, OverflowError):
        return None
    return skew if math.isfinite(skew) else None
