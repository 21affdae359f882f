"""A long export, day by day: each slice fetched, proved, and kept, so that nothing is got twice."""

import math
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any, cast

import anyio
import anyio.to_thread

from mixpanel_mcp.api.budget import Budget
from mixpanel_mcp.api.errors import (
    FailedError,
    MixpanelError,
    RejectedError,
    UnavailableError,
    UnreadableReplyError,
)
from mixpanel_mcp.api.regions import Family, endpoint
from mixpanel_mcp.api.replies import EncodedBody
from mixpanel_mcp.api.request import Request, compact_json, pairs
from mixpanel_mcp.api.retry import Pacing
from mixpanel_mcp.files.exports import Export, Format, Slice, days_between
from mixpanel_mcp.files.parquet import (
    ColumnType,
    ConversionError,
    DuckDBMissingError,
    remove_duplicates,
    write_parquet,
)
from mixpanel_mcp.files.root import own_folder
from mixpanel_mcp.files.slices import BrokenSliceError, NoRoomError, Room, SliceFile, Written
from mixpanel_mcp.operation import Progress
from mixpanel_mcp.sanitize import counted
from mixpanel_mcp.settings import Region

# Mixpanel takes seconds to begin each one, so a few wait side by side; three may begin a second.
_AT_ONCE = 3
_ATTEMPTS = 3
_PAUSE_SECONDS = 2.0
_EXPORTS_A_SECOND = 3
# Worth the way to another thread and back.
_BATCH = 256 * 1024
_REPORT_SECONDS = 1.0

Fetch = Callable[[Request], AbstractAsyncContextManager[EncodedBody]]


@dataclass(frozen=True, kw_only=True)
class Order:
    """What is asked for, all of it part of the export's identity."""

    project: int
    region: Region
    from_date: str
    to_date: str
    events: Sequence[str] | None = None
    where: str | None = None
    format: Format = "ndjson"
    deduplicate: bool = False
    time_in_ms: bool = True
    gzip_encoding: bool = True
    columns: Mapping[str, ColumnType] = field(default_factory=dict[str, ColumnType])

    @property
    def days(self) -> list[str]:
        return days_between(self.from_date, self.to_date)

    def arguments(self) -> dict[str, Any]:
        """What tells this export from others of the project, as the manifest keeps it."""
        return {
            "from_date": self.from_date,
            "to_date": self.to_date,
            "event_name": list(self.events) if self.events else None,
            "where": self.where,
            "deduplicate": self.deduplicate,
            "time_in_ms": self.time_in_ms,
            "columns": dict(self.columns),
        }

    def request(self, day: str) -> Request:
        fields = {
            "project_id": self.project,
            "from_date": day,
            "to_date": day,
            "event": compact_json(list(self.events)) if self.events else None,
            "where": self.where,
            "time_in_ms": True if self.time_in_ms else None,
        }
        return Request(
            family=Family.DATA,
            region=self.region,
            method="GET",
            path=endpoint(Family.DATA, "/export"),
            query=pairs(fields),
            accept_gzip=self.gzip_encoding,
        )


@dataclass(frozen=True)
class Plan:
    """How many exports it takes, and how many Mixpanel allows this hour."""

    slices: int
    left: int

    @property
    def hours(self) -> int:
        """Full hours until the last may be asked for."""
        return 0 if self.slices <= self.left else math.ceil((self.slices - self.left) / 60)

    def __str__(self) -> str:
        seconds = math.ceil(min(self.slices, self.left) / _EXPORTS_A_SECOND)
        words = (
            f"{counted(self.slices, 'day')} to fetch, one export each ({self.left} left this hour):"
            f" at least {counted(seconds, 'second')}, and as long as Mixpanel takes"
        )
        if self.hours:
            words += f"; what is beyond {self.left} takes {counted(self.hours, 'more hour')}"
        return words


@dataclass
class Outcome:
    """How far a run came; `error` is what stopped it."""

    export: Export
    plan: Plan
    fetched: int = 0
    error: MixpanelError | None = None
    missing: list[str] = field(default_factory=list[str])


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
        self._fetch = fetch
        self._room = room
        self._pacing = pacing
        self._progress = progress
        self._hashed = hashed
        self._places = anyio.CapacityLimiter(_AT_ONCE)
        # DuckDB takes hundreds of megabytes; never twice at once.
        self._converting = anyio.CapacityLimiter(1)
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
                return await self._attempt(day)
            except (UnavailableError, UnreadableReplyError) as error:
                if attempt == _ATTEMPTS or self._error is not None:
                    raise _of_day(day, error) from error
            except RejectedError as error:
                raise _of_day(day, error) from error
            await self._pacing.sleep(_PAUSE_SECONDS * attempt)

    async def _attempt(self, day: str) -> tuple[Written, int, str]:
        """Fetch a day into its file.

        Raises:
            UnavailableError, UnreadableReplyError: it did not come whole; asking again may help.
            FailedError: it cannot be kept.
        """
        order = self._order
        # DuckDB reads gzip with one thread alone.
        stage = "ndjson" if order.format == "parquet" else order.format
        folder = self._export.folder / f"day={day}"
        try:
            own_folder(self._export.folder, folder.name)
            written = await self._received(day, folder / f"events.{stage}", stage)
            try:
                return await self._finished(written, folder, stage)
            except (ConversionError, DuckDBMissingError, OSError):
                (folder / f"events.{stage}").unlink(missing_ok=True)
                raise
        except BrokenSliceError as error:
            raise UnreadableReplyError(str(error)) from error
        except NoRoomError as error:
            raise FailedError(
                "The exports would take more than the operator allows (EXPORT_MAX_BYTES). Delete "
                "exports that are no longer needed (delete_export), or ask for less."
            ) from error
        except ConversionError as error:
            raise FailedError(
                f"The events of {day} could not be read as Parquet: {error}"
            ) from error
        except DuckDBMissingError as error:
            raise no_duckdb() from error
        except OSError as error:
            raise FailedError(
                f"The file could not be written to its end: {error.strerror}. What is whole is "
                "kept; call again with the same arguments once there is room."
            ) from error

    async def _received(self, day: str, path: Path, stage: str) -> Written:
        async with self._fetch(self._order.request(day)) as body:
            packed = body.encoding.lower() == "gzip"
            if not packed and body.encoding.lower() not in {"", "identity"}:
                raise UnreadableReplyError(
                    f"Mixpanel answered in an encoding nobody asked for: {body.encoding!r:.40}."
                )
            with SliceFile(
                path,
                arrives_packed=packed,
                kept_packed=stage.endswith(".gz"),
                room=self._room,
                hashed=self._hashed and stage == self._order.format,
            ) as file:
                await self._taken(day, body.pieces, file)
                return await anyio.to_thread.run_sync(file.finish)

    async def _taken(self, day: str, pieces: AsyncIterator[bytes], file: SliceFile) -> None:
        """Unpack in a thread what came, while more comes."""
        send, receive = anyio.create_memory_object_stream[list[bytes]](2)
        faults: list[Exception] = []

        def take(batch: list[bytes]) -> None:
            for piece in batch:
                file.take(piece)

        async def unpack() -> None:
            async with receive:
                async for batch in receive:
                    try:
                        await anyio.to_thread.run_sync(take, batch)
                    except (BrokenSliceError, NoRoomError, OSError) as error:
                        faults.append(error)
                        return
                    self._under_way[day] = file.records
                    await self._say()

        try:
            async with anyio.create_task_group() as beside:
                beside.start_soon(unpack)
                async with send:
                    async for batch in _batches(pieces):
                        await send.send(batch)
        except BaseExceptionGroup as group:
            errors = cast("tuple[BaseException, ...]", group.exceptions)
            # The sender is told only that nobody takes more; why is known to who took.
            if not faults:
                raise errors[0] from errors[0].__cause__
        if faults:
            raise faults[0]

    async def _finished(
        self, written: Written, folder: Path, stage: str
    ) -> tuple[Written, int, str]:
        """Take out copies, and make what was asked for of what came."""
        order, path = self._order, folder / f"events.{stage}"
        duplicates = 0
        if order.deduplicate and written.records:
            left, duplicates, size = await self._in_thread(partial(remove_duplicates, path))
            if duplicates:
                digest = await self._digest(path) if written.sha256 else None
                written = Written(left, path.stat().st_size, size, digest)
        if order.format == "parquet":
            target = folder / "events.parquet"
            make = partial(write_parquet, path, target, "events", order.columns)
            try:
                await self._in_thread(make)
            finally:
                path.unlink()
            digest = await self._digest(target) if self._hashed else None
            size = target.stat().st_size
            self._room.give_back(written.bytes - size)
            written = Written(written.records, size, written.unpacked_bytes, digest)
            path = target
        return written, duplicates, f"{folder.name}/{path.name}"

    async def _in_thread(self, work: Callable[[], Any]) -> Any:
        return await anyio.to_thread.run_sync(work, limiter=self._converting)

    async def _digest(self, path: Path) -> str:
        return await anyio.to_thread.run_sync(digest_of, path)

    def _keep(self, save: Callable[[], None], file: Path | None = None) -> None:
        """Save the manifest; a file that it could not take in goes."""
        try:
            save()
        except OSError as error:
            if file is not None:
                file.unlink(missing_ok=True)
            raise unsaved(error) from error

    async def _say(self, *, force: bool = False) -> None:
        now = time.monotonic()
        if not force and now - self._reported < _REPORT_SECONDS:
            return
        self._reported = now
        events = self._export.manifest.records + sum(self._under_way.values())
        words = f"{self._done} of {counted(self._total, 'day')}, {events} events"
        await self._progress(self._done, self._total, words)


def digest_of(path: Path) -> str:
    """The SHA-256 of a file."""
    import hashlib  # noqa: PLC0415 - only where a file was made anew

    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def unsaved(error: OSError) -> FailedError:
    return FailedError(
        f"The manifest could not be written: {error.strerror}. What it names is kept; call again "
        "with the same arguments once there is room."
    )


def no_duckdb() -> FailedError:
    return FailedError(
        "Parquet, deduplicate and questions over exports need DuckDB, which is not installed here: "
        "ask the person to install mixpanel-mcp[files]."
    )


async def _batches(pieces: AsyncIterator[bytes]) -> AsyncIterator[list[bytes]]:
    held: list[bytes] = []
    size = 0
    async for piece in pieces:
        held.append(piece)
        size += len(piece)
        if size >= _BATCH:
            yield held
            held, size = [], 0
    if held:
        yield held


def _left(budget: Budget, project: str) -> int:
    return int(budget.shown(project)["exports"]["left"])


def _of_day(day: str, error: FailedError) -> FailedError:
    """The same error, saying which day it stopped."""
    return FailedError(f"{day}: {error}", data=error.data, said=error.said)
