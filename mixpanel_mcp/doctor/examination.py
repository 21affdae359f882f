"""The examination: ask everything at once, ask the other regions if need be, and conclude."""

from collections.abc import Callable, Sequence
from dataclasses import replace

import anyio

from mixpanel_mcp.api.client import MixpanelClient
from mixpanel_mcp.api.probe import Instruments, Seen, probe
from mixpanel_mcp.api.retry import Pacing
from mixpanel_mcp.api.upstream import Upstream
from mixpanel_mcp.doctor.conclusions import (
    account_checks,
    clock_check,
    proxy_check,
    settings_checks,
    token_check,
)
from mixpanel_mcp.doctor.findings import Finding, judge
from mixpanel_mcp.doctor.questions import Question, questions, who_am_i
from mixpanel_mcp.doctor.regions import (
    is_suspect,
    projects_of,
    region_check,
    right_region,
    without_blame,
)
from mixpanel_mcp.doctor.report import Check, Report
from mixpanel_mcp.safety.redaction import redactor
from mixpanel_mcp.sanitize import clean
from mixpanel_mcp.settings import Connection, Region, Settings


async def examine(settings: Settings, instruments: Instruments | None = None) -> Report:
    """Try every credential of all connections side by side.

    It takes two rounds of the instruments' deadline at most.
    """
    instruments = instruments or Instruments()
    others = [token.get_secret_value() for token in settings.policy.allowed_tokens]
    redact = redactor(settings.connections, others).text
    found: dict[str, list[Check]] = {}

    async def examine_one(connection: Connection) -> None:
        upstream = Upstream(connection, Pacing(now=instruments.now))
        client = MixpanelClient(upstream)
        alone = settings.with_connection(connection)
        try:
            checks = await _Examination(alone, client, instruments, redact).checks()
        finally:
            await upstream.close()
        whose = connection.name if settings.several else None
        found[connection.name] = [replace(check, connection=whose) for check in checks]

    async with anyio.create_task_group() as group:
        for connection in settings.connections:
            group.start_soon(examine_one, connection)
    in_order = [check for each in settings.connections for check in found[each.name]]
    return Report(in_order).redacted(lambda text: redact(clean(text)))


class _Examination:
    def __init__(
        self,
        settings: Settings,
        client: MixpanelClient,
        instruments: Instruments,
        redact: Callable[[str], str],
    ) -> None:
        self._settings = settings
        self._client = client
        self._instruments = instruments
        self._redact = redact

    @property
    def _connection(self) -> Connection:
        return self._settings.connection

    async def checks(self) -> list[Check]:
        asked = questions(self._connection, self._instruments.now())
        here = await self._ask(asked)
        projects = projects_of(here)
        configured = settings_checks(self._settings, projects)
        if not here:
            return configured
        suspect = is_suspect(self._connection, here)
        elsewhere = await self._ask(self._other_regions()) if suspect else []
        region = right_region(self._connection, here, elsewhere)
        about_region = [region_check(self._connection, region, elsewhere)] if suspect else []
        if region is not None:
            seen = [without_blame(finding, elsewhere=False) for finding in here]
        else:
            seen = account_checks(self._settings, here, projects)
            seen += token_check(self._connection, projects, seen)
        return [
            *configured,
            proxy_check(self._connection, [*here, *elsewhere]),
            *seen,
            *(without_blame(finding, elsewhere=True) for finding in elsewhere),
            *about_region,
            clock_check([*here, *elsewhere]),
        ]

    def _other_regions(self) -> list[Question]:
        if self._connection.base_url is not None:
            return []
        return [who_am_i(region) for region in Region if region is not self._connection.region]

    async def _ask(self, asked: Sequence[Question]) -> list[Finding]:
        """Ask everything at once."""
        seen: list[Seen] = [Seen()] * len(asked)

        async def ask(place: int, question: Question) -> None:
            seen[place] = await probe(self._client, question.request, self._instruments)

        async with anyio.create_task_group() as group:
            for place, question in enumerate(asked):
                group.start_soon(ask, place, question)
        return [
            judge(self._connection, question, answer, self._redact)
            for question, answer in zip(asked, seen, strict=True)
        ]
