"""The export of the command line: a person's own paths, and patience where Mixpanel asks for it."""

import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from datetime import date, datetime
from pathlib import Path
from typing import Any, get_args

import anyio
import anyio.to_thread

from mixpanel_mcp.api.client import MixpanelClient, service_account
from mixpanel_mcp.api.errors import BudgetSpentError, FailedError, MixpanelError, RefusedError
from mixpanel_mcp.api.request import Request
from mixpanel_mcp.api.retry import Deadline, Pacing
from mixpanel_mcp.api.upstream import Upstream
from mixpanel_mcp.files.exports import Export, ExportInUseError, Format, OtherExportError
from mixpanel_mcp.files.parquet import OWN_COLUMNS, ColumnType, ConversionError, join_parquet
from mixpanel_mcp.files.slices import Room
from mixpanel_mcp.operations.export_files import manifest_of, summary
from mixpanel_mcp.operations.export_orders import Order, Outcome
from mixpanel_mcp.operations.export_slices import SlicedExport
from mixpanel_mcp.settings import Settings, SettingsError, flag_of

_COPIED = 1024 * 1024

Report = Callable[[float, float | None, str], None]


@dataclass(frozen=True)
class Target:
    """Where an export goes: a folder with a file a day, or one file."""

    path: Path
    is_folder: bool

    @classmethod
    def of(cls, text: str) -> "Target":
        """A folder if it is one, or ends in a slash."""
        return cls(Path(text), text.endswith(("/", "\\")) or Path(text).is_dir())

    @property
    def work(self) -> Path:
        """Where the days are collected."""
        return self.path if self.is_folder else self.path.with_name(f"{self.path.name}.partial")


@dataclass(frozen=True, kw_only=True)
class Asked:
    """The command's flags, as they were typed."""

    from_date: str | None
    to_date: str | None
    out: str | None
    format: Format | None
    event: Sequence[str] | None
    where: str | None
    deduplicate: bool
    column: Sequence[str] | None
    project_id: int | None
    connection: str | None


ASKED = tuple(each.name for each in fields(Asked))


def understood(settings: Settings, asked: Asked) -> tuple[Settings, Order, Target]:
    """What the flags mean.

    Raises:
        SettingsError: with every fault there is.
    """
    faults = [f"{flag_of(name)}: is needed" for name in _NEEDED if not getattr(asked, name)]
    days = {name: getattr(asked, name) for name in ("from_date", "to_date")}
    for name, day in days.items():
        if day and not _is_day(day):
            faults.append(f"{flag_of(name)}: must be a date such as 2026-01-31")
    if not faults and str(asked.from_date) > str(asked.to_date):
        faults.append("--to-date: lies before --from-date")
    chosen = _connection(settings, asked.connection, faults)
    project = asked.project_id or chosen.connection.project_id
    if project is None:
        faults.append("--project-id: is needed, as MIXPANEL_PROJECT_ID is not set")
    target = Target.of(asked.out or ".")
    file_format = asked.format or _format_of(target)
    columns = _columns(asked.column or (), file_format, faults)
    if faults or project is None:
        raise SettingsError(faults)
    order = Order(
        project=project,
        region=chosen.connection.region,
        from_date=str(asked.from_date),
        to_date=str(asked.to_date),
        events=asked.event,
        where=asked.where,
        format=file_format,
        deduplicate=asked.deduplicate,
        columns=columns,
    )
    return chosen, order, target


_NEEDED = ("from_date", "to_date", "out")
_TYPES: tuple[ColumnType, ...] = get_args(ColumnType)


def _is_day(text: str) -> bool:
    try:
        return date.fromisoformat(text).isoformat() == text
    except ValueError:
        return False


def _connection(settings: Settings, name: str | None, faults: list[str]) -> Settings:
    if name is None:
        return settings
    for each in settings.connections:
        if each.name == name:
            return settings.with_connection(each)
    known = ", ".join(each.name for each in settings.connections)
    faults.append(f"--connection: there is none of this name; there are {known}")
    return settings


def _format_of(target: Target) -> Format:
    name = target.path.name.lower()
    if target.is_folder:
        return "ndjson"
    return (
        "parquet"
        if name.endswith(".parquet")
        else "ndjson.gz"
        if name.endswith(".gz")
        else "ndjson"
    )


def _columns(given: Sequence[str], file_format: Format, faults: list[str]) -> dict[str, ColumnType]:
    columns: dict[str, ColumnType] = {}
    for each in given:
        name, _, kind = each.rpartition(":")
        if kind not in _TYPES or not name or name.lower() in OWN_COLUMNS:
            faults.append(f"--column: must be NAME:TYPE, TYPE one of {', '.join(_TYPES)}")
        else:
            columns[name] = kind
    if given and file_format != "parquet":
        faults.append("--column: only parquet has columns")
    return columns


async def export(
    settings: Settings,
    order: Order,
    target: Target,
    report: Report,
    pacing: Pacing | None = None,
) -> dict[str, Any]:
    """Fetch everything, waiting for slots where there are none, and say what is there.

    Raises:
        MixpanelError: something is missing; what is whole is kept for the next run.
    """
    upstream = Upstream(settings.connection, pacing)
    service_account(settings.connection)
    _check_project(settings, order)
    try:
        return await _Run(MixpanelClient(upstream), settings, order, target, report).result()
    except OSError as error:
        raise FailedError(
            f"{error.filename or target.path} could not be written: {error.strerror}. Once it can "
            "be, run the same command again: what came whole is kept."
        ) from error
    finally:
        await upstream.close()


def _check_project(settings: Settings, order: Order) -> None:
    allowed = settings.policy.allowed_projects
    if allowed and order.project not in allowed:
        raise RefusedError(
            f"Nothing was sent: project {order.project} is not one that ALLOWED_PROJECTS lists."
        )


class _Run:
    def __init__(
        self,
        client: MixpanelClient,
        settings: Settings,
        order: Order,
        target: Target,
        report: Report,
    ) -> None:
        self._client = client
        self._seconds = settings.policy.export_seconds
        self._order = order
        self._target = target
        self._report = report

    async def result(self) -> dict[str, Any]:
        work = self._target.work
        work.mkdir(mode=0o700, parents=True, exist_ok=True)
        manifest = manifest_of(self._order, self._client.pacing.now())
        try:
            found = Export.at(work, manifest)
            with found.held():
                export = Export.at(work, manifest)
                await self._fetched(export)
                return await anyio.to_thread.run_sync(self._placed, export)
        except OtherExportError as error:
            raise RefusedError(
                f"Nothing was sent: {work} holds an export of other arguments. Take another path, "
                "or remove it."
            ) from error
        except ExportInUseError as error:
            raise RefusedError(
                f"Nothing was sent: another process writes into {work} now."
            ) from error

    async def _fetched(self, export: Export) -> None:
        while True:
            outcome = await self._once(export)
            if not outcome.missing:
                return
            if not isinstance(outcome.error, BudgetSpentError):
                raise outcome.error or FailedError("Something is missing; run it again.")
            await self._wait(outcome.error)

    async def _once(self, export: Export) -> Outcome:
        run = SlicedExport(
            export,
            self._order,
            fetch=self._fetch,
            room=Room(None),
            pacing=self._client.pacing,
            progress=self._progress,
            hashed=self._target.is_folder,
        )
        return await run.run(self._client.budget)

    def _fetch(self, request: Request) -> Any:
        # Each day has the whole time: nobody waits for an answer here.
        deadline = Deadline(self._seconds, self._client.pacing)
        project = str(self._order.project)
        return self._client.stream_encoded(request, project=project, deadline=deadline)

    async def _wait(self, spent: MixpanelError) -> None:
        slot = datetime.fromisoformat(str(spent.data["next_slot"]))
        seconds = max(1.0, slot.timestamp() - self._client.pacing.now())
        await self._progress(0, None, f"waiting until {slot:%H:%M:%S} UTC for the next export")
        await self._client.pacing.sleep(seconds)

    async def _progress(self, progress: float, total: float | None, message: str) -> None:
        self._report(progress, total, message)

    def _placed(self, export: Export) -> dict[str, Any]:
        """Put a single file in its place, and take away what it was made of."""
        data = summary(export) | {"path": str(self._target.path)}
        if not self._target.is_folder:
            data["bytes"] = _joined(export, self._target.path)
            shutil.rmtree(export.folder)
        return data


def _joined(export: Export, path: Path) -> int:
    files = export.files()
    if len(files) == 1:
        files[0].replace(path)
    elif export.manifest.format == "parquet":
        try:
            join_parquet(files, path)
        except ConversionError as error:
            raise FailedError(f"The days could not be joined: {error}") from error
    else:
        part = path.with_name(f"{path.name}.part")
        try:
            with part.open("wb") as whole:
                for each in files:
                    with each.open("rb") as day:
                        shutil.copyfileobj(day, whole, _COPIED)
            part.replace(path)
        finally:
            part.unlink(missing_ok=True)
    return path.stat().st_size
