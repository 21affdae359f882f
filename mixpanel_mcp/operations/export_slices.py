"""A long export, day by day: each slice fetched, proved, and kept, so that nothing is got twice."""

import time
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import anyio

from mixpanel_mcp.api.budget import Budget
from mixpanel_mcp.api.errors import (
    FailedError,
    MixpanelError,
    RejectedError,
    UnavailableError,
    UnreadableReplyError,
)
from mixpanel_mcp.api.retry import Pacing
from mixpanel_mcp.files.exports import Export, Slice
from mixpanel_mcp.files.slices import Room, Written
from mixpanel_mcp.operation import Progress
from mixpanel_mcp.operations.export_days import DayFiles, Fetch
from mixpanel_mcp.operations.export_orders import Order, Outcome, Plan
from mixpanel_mcp.sanitize import counted

# Mixpanel takes seconds to begin each one, so a few wait side by side.
_AT_ONCE = 3
_ATTEMPTS = 3
_PAUSE_SECONDS = 2.0
_REPORT_SECONDS = 1.0


class SlicedExport:
    """One run over the days that are missing."""

    def __init__(
        self,
        export: Export,
        order: Order,
        *,
        fetch: Fetch,
        room: Room,
        pacing: Pacing,
        progress: Progress,
        hashed: bool = True,
    ) -> None:
        self._export = export
        self._order = order
        self._pacing = pacing
        self._progress = progress
        self._days = DayFiles(
            export, order, fetch=fetch, room=room, arrived=self._arrived, hashed=hashed
        )
        self._places = anyio.CapacityLimiter(_AT_ONCE)
        self._done = self._total = 0
        self._under_way: dict[str, int] = {}
        self._reported = 0.0
        self._error: MixpanelError | None = None

    async def run(self, budget: Budget) -> Outcome:
        """Fetch what is missing; what stops it is in the outcome, and what is there stays."""
        days = self._order.days
        missing = self._export.missing(days)
        plan = Plan(len(missing), _left(budget, str(self._order.project)))
        self._done, self._total = len(days) - len(missing), len(days)
        if missing:
            await self._progress(self._done, self._total, str(plan))
        async with anyio.create_task_group() as slices:
            for day in missing:
                await self._places.acquire_on_behalf_of(day)
                if self._error is not None:
                    self._places.release_on_behalf_of(day)
                    break
                slices.start_soon(self._slice, day)
        left = self._export.missing_files(days)
        if not left and not self._export.manifest.complete:
            self._keep(self._export.close)
        return Outcome(self._export, plan, len(missing) - len(left), self._error, left)

    async def _slice(self, day: str) -> None:
        try:
            await self._fetched(day)
        except MixpanelError as error:
            self._error = self._error or error
        finally:
            self._places.release_on_behalf_of(day)

    async def _fetched(self, day: str) -> None:
        written, duplicates, file = await self._repeated(day)
        moment = datetime.fromtimestamp(self._pacing.now(), UTC)
        one = Slice(
            key=day,
            file=file,
            records=written.records,
            bytes=written.bytes,
            unpacked_bytes=written.unpacked_bytes,
            sha256=written.sha256,
            fetched=moment.isoformat(),
            duplicates=duplicates,
        )
        self._keep(partial(self._export.record, one), self._export.path(one))
        self._done += 1
        self._under_way.pop(day, None)
        await self._say(force=True)

    async def _repeated(self, day: str) -> tuple[Written, int, str]:
        """Fetch a day, again where it did not come whole."""
        attempt = 0
        while True:
            attempt += 1
            try:
                return await self._days.fetched(day)
            except (UnavailableError, UnreadableReplyError) as error:
                if attempt == _ATTEMPTS or self._error is not None:
                    raise _of_day(day, error) from error
            except RejectedError as error:
                raise _of_day(day, error) from error
            await self._pacing.sleep(_PAUSE_SECONDS * attempt)

    def _keep(self, save: Callable[[], None], file: Path | None = None) -> None:
        """Save the manifest; a file that it could not take in goes."""
        try:
            save()
        except OSError as error:
            if file is not None:
                file.unlink(missing_ok=True)
            raise unsaved(error) from error

    async def _arrived(self, day: str, records: int) -> None:
        self._under_way[day] = records
        await self._say()

    async def _say(self, *, force: bool = False) -> None:
        now = time.monotonic()
        if not force and now - self._reported < _REPORT_SECONDS:
            return
        self._reported = now
        events = self._export.manifest.records + sum(self._under_way.values())
        words = f"{self._done} of {counted(self._total, 'day')}, {events} events"
        await self._progress(self._done, self._total, words)


def unsaved(error: OSError) -> FailedError:
    return FailedError(
        f"The manifest could not be written: {error.strerror}. What it names is kept; call again "
        "with the same arguments once there is room."
    )


def _left(budget: Budget, project: str) -> int:
    return int(budget.shown(project)["exports"]["left"])


def _of_day(day: str, error: FailedError) -> FailedError:
    """The same error, saying which day it stopped."""
    return FailedError(f"{day}: {error}", data=error.data, said=error.said)
