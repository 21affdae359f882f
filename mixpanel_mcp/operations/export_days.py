"""One day of an export: received, proved, and made into the file that was asked for."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from functools import partial
from pathlib import Path
from typing import Any, cast

import anyio
import anyio.to_thread

from mixpanel_mcp.api.errors import FailedError, UnreadableReplyError
from mixpanel_mcp.api.replies import EncodedBody
from mixpanel_mcp.api.request import Request
from mixpanel_mcp.files.exports import Export
from mixpanel_mcp.files.parquet import (
    ConversionError,
    DuckDBMissingError,
    remove_duplicates,
    write_parquet,
)
from mixpanel_mcp.files.root import own_folder
from mixpanel_mcp.files.slices import BrokenSliceError, NoRoomError, Room, SliceFile, Written
from mixpanel_mcp.operations.export_orders import Order

# Worth the way to another thread and back.
_BATCH = 256 * 1024

Fetch = Callable[[Request], AbstractAsyncContextManager[EncodedBody]]
Arrived = Callable[[str, int], Awaitable[None]]
"""Told how many events of a day have come."""


class DayFiles:
    """Fetches days of one export, each into a file of its own."""

    def __init__(
        self,
        export: Export,
        order: Order,
        *,
        fetch: Fetch,
        room: Room,
        arrived: Arrived,
        hashed: bool,
    ) -> None:
        self._export = export
        self._order = order
        self._fetch = fetch
        self._room = room
        self._arrived = arrived
        self._hashed = hashed
        # DuckDB takes hundreds of megabytes; never twice at once.
        self._converting = anyio.CapacityLimiter(1)

    async def fetched(self, day: str) -> tuple[Written, int, str]:
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
                    await self._arrived(day, file.records)

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


def digest_of(path: Path) -> str:
    """The SHA-256 of a file."""
    import hashlib  # noqa: PLC0415 - only where a file was made anew

    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


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
