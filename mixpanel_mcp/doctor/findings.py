"""What one reply says about the credential that asked."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

from mixpanel_mcp.api.probe import Obstacle, Seen
from mixpanel_mcp.api.regions import Family, origin
from mixpanel_mcp.api.replies import Reply, rate_rule, reason_of, retry_after_seconds
from mixpanel_mcp.api.request import Credential
from mixpanel_mcp.doctor import Ailment
from mixpanel_mcp.doctor.questions import Question
from mixpanel_mcp.doctor.report import Check
from mixpanel_mcp.sanitize import quoted
from mixpanel_mcp.settings import Connection

_OBSTACLES = {
    Obstacle.PROXY: (
        Ailment.PROXY,
        "Check HTTPS_PROXY, HTTP_PROXY and ALL_PROXY, and whether the proxy lets Mixpanel's hosts "
        "through; NO_PROXY=mixpanel.com goes past it.",
    ),
    Obstacle.DNS: (
        Ailment.DNS,
        "Check the network, the name service and, where it is set, the spelling of {base_url}.",
    ),
    Obstacle.TLS: (
        Ailment.TLS,
        "Check the local clock, and whether a proxy or a virus scanner reads along: its "
        "certificate is trusted when SSL_CERT_FILE names it. {base_url} must name an "
        "address that speaks TLS.",
    ),
    Obstacle.UNREACHABLE: (
        Ailment.UNREACHABLE,
        "Check the network, firewalls, the proxy if there is one, and {base_url} where it "
        "is set; Mixpanel needs port 443.",
    ),
    Obstacle.GARBLED: (
        Ailment.ODD_REPLY,
        "Something else answers in Mixpanel's place: check {base_url}, proxies and captive "
        "portals.",
    ),
}
NEEDS_ROLE = {
    Family.INGESTION: "Reading the lookup tables",
    Family.DATA: "Exporting",
    Family.QUERY: "Querying",
    Family.APP: "The app API",
}


_LONGEST_WAIT = 30 * 86400.0  # what a header asks may be beyond every calendar


@dataclass(frozen=True)
class Finding:
    """A question, what was seen, and the check it makes."""

    question: Question
    seen: Seen
    check: Check

    @property
    def status(self) -> int:
        """HTTP status; 0 without a reply."""
        return self.seen.reply.status if self.seen.reply else 0

    @property
    def family(self) -> Family:
        return self.question.request.family

    @property
    def of_account(self) -> bool:
        return self.question.request.credential is Credential.SERVICE_ACCOUNT

    @property
    def accepted(self) -> bool:
        return 200 <= self.status < 300 and self.check.ailment is None


def judge(
    connection: Connection, question: Question, seen: Seen, redact: Callable[[str], str]
) -> Finding:
    request = question.request
    blank = Check(
        name=f"{question.name} on {request.family.value}",
        family=request.family.value,
        origin=origin(connection, request.region, request.family),
        detail="",
    )
    if seen.reply is None:
        ailment, advice = _OBSTACLES[seen.obstacle or Obstacle.UNREACHABLE]
        advice = advice.format(base_url=connection.place("base_url"))
        return Finding(question, seen, blank.failed(ailment, seen.why, advice))
    reason = redact(reason_of(seen.reply))
    said = f"; Mixpanel says {quoted(reason, 200)}" if reason else ""
    of_token = request.credential is Credential.PROJECT_TOKEN
    of_this = _of_token if of_token else _of_account
    check = _of_any(connection, blank, question, seen, said)
    check = check or of_this(connection, blank, question, seen.reply, said)
    return Finding(question, seen, check)


def _of_any(
    connection: Connection, blank: Check, question: Question, seen: Seen, said: str
) -> Check | None:
    """What a status means, whoever asked."""
    reply, request = seen.reply, question.request
    status = reply.status if reply else 0
    head = f"HTTP {status} from {request.shown}"
    optional = request.path.endswith(("/me", "/lookup-tables"))
    if status == 429:
        return _rate_limited(blank, question, seen, said)
    if status == 501 or (optional and status in {404, 405}):
        return blank.warned(f"{head}: it is not offered there, so nothing was learnt{said}")
    if status >= 500:
        return blank.failed(
            Ailment.UNAVAILABLE,
            f"{head}: Mixpanel itself fails{said}",
            "Try again in a minute; https://www.mixpanelstatus.com says what Mixpanel knows.",
        )
    if status < 300 and not (reply is not None and question.looks_right(reply)):
        odd = f"{head}, but not what Mixpanel answers there"
        return blank.failed(Ailment.ODD_REPLY, odd, _check_way(connection))
    if 300 <= status < 400:
        odd = f"{head}: a redirect, which is never followed"
        return blank.failed(Ailment.ODD_REPLY, odd, _check_way(connection))
    return None


def _check_way(connection: Connection) -> str:
    """What to do where something else than Mixpanel answers."""
    _, advice = _OBSTACLES[Obstacle.GARBLED]
    return advice.format(base_url=connection.place("base_url"))


def _rate_limited(blank: Check, question: Question, seen: Seen, said: str) -> Check:
    return blank.failed(
        Ailment.RATE_LIMITED,
        f"refused for too many calls (HTTP 429): unknown whether the credentials are right{said}",
        f"{rate_rule(question.request)} Run the doctor again {_when(question, seen)}.",
    )


def _of_account(
    connection: Connection, blank: Check, question: Question, reply: Reply, said: str
) -> Check:
    status, family = reply.status, question.request.family
    head = f"refused (HTTP {status})"
    where = "" if family is Family.APP else f" in project {connection.project_id}"
    match status:
        case 401:
            return blank.failed(
                Ailment.BAD_SECRET,
                f"{head}: name or secret are not accepted{said}",
                f"Check {connection.place('username')} and {connection.place('password')} "
                "(Mixpanel: Organization Settings > Service Accounts); the account may also have "
                "expired. A lost secret cannot be shown again: make a new service account.",
            )
        case 402:
            return blank.failed(
                Ailment.PLAN,
                f"{head}: the project's plan does not include this API{said}",
                "The credentials are right, the plan is not: Mixpanel's Query API needs a paid "
                "plan. download_data is usually open on every plan.",
            )
        case 403:
            return blank.failed(
                Ailment.ROLE,
                f"{head}: the service account may not do this{where}{said}",
                f"{NEEDS_ROLE[family]} needs a higher role in the project: raise it under Project "
                "Settings > Service Accounts. Importing and pipelines need Admin or Owner.",
            )
        case 400 | 404:
            return blank.failed(
                Ailment.WRONG_PROJECT,
                f"{head}: it does not know the project or data view{said}",
                f"Check {connection.place('project_id')} and {connection.place('workspace_id')} "
                "(Mixpanel: Project Settings).",
            )
        case _ if status < 300:
            return blank.passed("accepted")
        case _:
            return blank.failed(
                Ailment.ODD_REPLY, f"{head} for no known reason{said}", _check_way(connection)
            )


def _of_token(
    connection: Connection, blank: Check, question: Question, reply: Reply, said: str
) -> Check:
    del question
    head = f"refused (HTTP {reply.status})"
    match reply.status:
        case 401 | 403:
            return blank.failed(
                Ailment.WRONG_TOKEN,
                f"{head}: no project of this region has this token{said}",
                f"Copy {connection.place('project_token')} again (Mixpanel: Project "
                "Settings > Access Keys).",
            )
        case status if status < 300:
            return blank.passed("accepted, which does not say whose token it is")
        case _:
            return blank.warned(f"{head} an import of no events: nothing was learnt{said}")


def _when(question: Question, seen: Seen) -> str:
    seconds = retry_after_seconds(seen.reply.headers, seen.at) if seen.reply else None
    if seconds is not None:
        seconds = min(seconds, _LONGEST_WAIT)
        end = datetime.fromtimestamp(seen.at + seconds, UTC)
        return f"in {seconds:.0f} s (from {end:%H:%M:%S} UTC)"
    hourly = question.request.family in {Family.QUERY, Family.DATA}
    return "in an hour at the latest" if hourly else "in a minute or two"
