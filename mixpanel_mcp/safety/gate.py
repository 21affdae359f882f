"""The gate that every request of a call passes before it leaves."""

import hashlib
import re
from collections.abc import Sequence
from dataclasses import replace

from mixpanel_mcp.api.errors import MixpanelError, RefusedError
from mixpanel_mcp.api.request import Repeat, Request
from mixpanel_mcp.destinations import is_below
from mixpanel_mcp.operation import Effect, Permit
from mixpanel_mcp.safety.audit import AuditEntry
from mixpanel_mcp.safety.judgement import Judgement, judge
from mixpanel_mcp.safety.redaction import redactor
from mixpanel_mcp.safety.verdict import Asks, Verdict
from mixpanel_mcp.sanitize import quoted
from mixpanel_mcp.settings import DEFAULT_CONNECTION, Confirmation, Connection, Policy

_MOST_SHOWN = 3


class ConfirmationRequiredError(MixpanelError):
    """Not a failure: the call stops until somebody agreed to what it would do."""


class Gate:
    """Judges requests against the policy, and asks where the policy says to ask."""

    def __init__(
        self,
        *,
        connection: Connection,
        policy: Policy,
        project_id: int | None,
        confirm: bool,
        asker: Asks,
        entry: AuditEntry,
        secrets: list[str],
        all_connections: Sequence[Connection],
    ) -> None:
        """Judge the requests of one call.

        Args:
            connection: whose requests they are.
            policy: what the operator allows.
            project_id: the project that the call is for.
            confirm: whether the call says that a person agreed.
            asker: puts the question to a person.
            entry: the call's line of the audit log.
            secrets: receives credentials that the requests carry, to be kept out of answers.
            all_connections: theirs are the secrets that no question may show.
        """
        self._connection = connection
        self._policy = policy
        self._project_id = project_id
        self._confirm = confirm
        self._asker = asker
        self._entry = entry
        self._secrets = secrets
        self._all_connections = all_connections
        self._weighed = Judgement(Effect.READS, Repeat.READ, "", 0)
        self._final: list[Judgement] = []
        self._final_requests = self._final_records = 0

    async def permit(self, requests: Sequence[Request]) -> Sequence[Permit]:
        """Give leave to send these requests, all or none.

        Raises:
            RefusedError: a rule forbids one of them, or a person did.
            ConfirmationRequiredError: somebody has to agree first.
            AskFirst: a person is being asked.
        """
        judgements = [judge(request) for request in requests]
        self._secrets += [secret for each in judgements for secret in each.secrets]
        self._note(judgements)
        for judgement in judgements:
            self._check_walls(judgement)
        final = [each for each in judgements if each.effect is Effect.IRREVERSIBLE]
        if final:
            summary = redactor(self._all_connections, self._secrets).text(_together(final))
            await self._agree(summary, sum(each.count for each in final), _fingerprint(requests))
        return [
            Permit(judgement.effect, judgement.repeat, self._counted_for(judgement))
            for judgement in judgements
        ]

    def _counted_for(self, judgement: Judgement) -> str:
        """The project that the call is for, or else the one that the request names."""
        if self._project_id is None and len(judgement.projects) == 1:
            (named,) = judgement.projects
            # `0777` and `+777` are 777 to whoever reads numbers.
            self._entry.project = (
                int(named) if re.fullmatch(r"\s*\+?[0-9]{1,15}\s*", named) else None
            )
        return str(self._entry.project or "")

    def preview(self, request: Request) -> Permit:
        """Judge a request, without effect on what is asked later."""
        judgement = judge(request)
        return Permit(judgement.effect, judgement.repeat, self._counted_for(judgement))

    def weigh(self, request: Request, count: int) -> Permit:
        """Judge what stands for `count` records; walls stop it at once, persons are asked later.

        Raises:
            RefusedError: a rule forbids it.
        """
        judgement = replace(judge(request), count=count)
        self._secrets += judgement.secrets
        try:
            self._check_walls(judgement)
        except RefusedError:
            self._note([judgement])
            raise
        self._weighed = replace(
            judgement,
            effect=max(judgement.effect, self._weighed.effect),
            count=self._weighed.count + count,
        )
        if judgement.effect is Effect.IRREVERSIBLE:
            self._final_requests += 1
            self._final_records += count
            if len(self._final) < _MOST_SHOWN:
                self._final.append(judgement)
        return Permit(judgement.effect, judgement.repeat, self._counted_for(judgement))

    async def permit_weighed(self, fingerprint: str) -> None:
        """Give leave to send what was weighed, all or none.

        Raises:
            RefusedError: a person did not agree.
            ConfirmationRequiredError: somebody has to agree first.
            AskFirst: a person is being asked.
        """
        self._note([self._weighed])
        if (summary := self.weighed()) is not None:
            await self._agree(summary, self._final_records, fingerprint)

    def weighed(self) -> str | None:
        """What of all that was weighed somebody has to agree to."""
        if not self._final:
            return None
        shown = "; ".join(judgement.summary for judgement in self._final)
        if self._final_requests > 1:
            shown = f"touch {self._final_records} records for good, among others: {shown}"
        return redactor(self._all_connections, self._secrets).text(shown)

    def _note(self, judgements: Sequence[Judgement]) -> None:
        effect = max((judgement.effect for judgement in judgements), default=Effect.READS)
        self._entry.effect = max(effect, Effect[self._entry.effect]).name
        self._entry.count += sum(judgement.count for judgement in judgements)

    def _check_walls(self, judgement: Judgement) -> None:
        if judgement.unreadable:
            raise RefusedError(
                "Nothing was sent: the data cannot be read here, so nobody can tell which "
                "project's token it carries. Send a JSON list of objects, each name once, or use "
                "the tool for it."
            )
        if self._policy.read_only and judgement.effect is not Effect.READS:
            raise RefusedError(
                f"Nothing was sent: this server is read-only, and the call would "
                f"{judgement.summary}."
            )
        self._check_tokens(judgement)
        self._check_projects(judgement)
        self._check_destinations(judgement)

    def _check_tokens(self, judgement: Judgement) -> None:
        own = self._connection.project_token
        allowed = {token.get_secret_value() for token in self._policy.allowed_tokens}
        allowed |= {own.get_secret_value()} if own else set()
        if judgement.tokens - allowed:
            raise RefusedError(
                "Nothing was sent: the data names a project token that is not this connection's, "
                "so it would go into another project. Leave tokens out; the right one is added."
            )

    def _check_projects(self, judgement: Judgement) -> None:
        own = str(self._project_id) if self._project_id else None
        if own and (others := sorted(judgement.projects - {own})):
            raise RefusedError(
                f"Nothing was sent: the request names project {quoted(others[0])}, and the call is "
                f"for project {own}. Leave one of the two out, or pass project_id."
            )
        allowed = {str(project) for project in self._policy.allowed_projects}
        # A token names the connection's own project as well as an id does.
        home = self._connection.project_id if judgement.tokens else None
        named = judgement.projects | ({str(home)} if home else set[str]())
        if allowed and (foreign := sorted(named - allowed)):
            raise RefusedError(
                f"Nothing was sent: project {quoted(foreign[0])} is not one this server may use; "
                f"these are: {', '.join(sorted(allowed))}."
            )

    def _check_destinations(self, judgement: Judgement) -> None:
        allowed = self._policy.allowed_destinations
        if not allowed or not (judgement.destination or judgement.untold):
            return
        if judgement.untold:
            raise RefusedError(
                "Nothing was sent: pipelines may only send data to destinations that the operator "
                f"listed, and this one cannot be told: {judgement.untold}."
            )
        address = judgement.destination
        if address and not any(is_below(address, entry) for entry in allowed):
            raise RefusedError(
                f"Nothing was sent: {quoted(address, 200)} is not a destination that the "
                f"operator listed; these are: {', '.join(allowed)}."
            )

    async def _agree(self, summary: str, count: int, fingerprint: str) -> None:
        if not self._confirm:
            self._entry.confirmed = "missing"
            raise ConfirmationRequiredError(
                f"Nothing was sent yet. This would {summary}. If that is what the person wants, "
                "call again with the same arguments and confirm=true.",
                data={"would": summary, "effect": "irreversible", "count": count},
            )
        self._entry.confirmed = "asked"
        verdict = await self._asker.ask(self._question(summary), fingerprint)
        match verdict:
            case Verdict.APPROVED:
                self._entry.confirmed = "by a person"
            case Verdict.NOBODY_TO_ASK if self._policy.confirmation is Confirmation.FLAG:
                self._entry.confirmed = "by flag"
            case _:
                self._entry.confirmed = _HOW[verdict]
                raise RefusedError(_WHY[verdict])

    def _question(self, summary: str) -> str:
        place = f"Mixpanel project {self._project_id}" if self._project_id else "Mixpanel"
        if self._connection.name != DEFAULT_CONNECTION:
            place += f" ({self._connection.name})"
        return f"{place}: this would {summary}. Go ahead?"


def _fingerprint(requests: Sequence[Request]) -> str:
    """What a yes is good for beyond the words of its question."""
    bodies = b"".join(request.body for request in requests if request.verbatim)
    return hashlib.sha256(bodies).hexdigest()


def _together(final: Sequence[Judgement]) -> str:
    """One sentence for several requests: the first ones in full, the rest counted."""
    shown = "; ".join(judgement.summary for judgement in final[:_MOST_SHOWN])
    if len(final) == 1:
        return shown
    total = sum(judgement.count for judgement in final)
    return f"touch {total} records in {len(final)} requests: {shown}"


_HOW = {
    Verdict.DECLINED: "declined",
    Verdict.ALREADY_USED: "approval used before",
    Verdict.NOBODY_TO_ASK: "nobody to ask",
}

_WHY = {
    Verdict.DECLINED: (
        "Nothing was sent: the person did not agree. Do not try again unless they ask for it."
    ),
    Verdict.ALREADY_USED: (
        "Nothing was sent: this approval was used before, or is too old. Call again without it, "
        "and the person will be asked again."
    ),
    Verdict.NOBODY_TO_ASK: (
        "Nothing was sent: this server's operator wants a person to agree to what cannot be "
        "undone, and this client has no way to ask one (it does not support elicitation). Tell "
        "the person; they can use a client that asks, or do it in Mixpanel themselves."
    ),
}
