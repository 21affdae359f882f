"""The first half of an import: a file is read, checked, judged and packed; nothing is sent."""

import hashlib
import json
import sys
import time
from collections.abc import Generator, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field

import anyio.to_thread

from mixpanel_mcp.api.errors import InvalidArgumentsError
from mixpanel_mcp.api.request import Repeat
from mixpanel_mcp.files.checkpoint import Checkpoint, Standing
from mixpanel_mcp.files.errors import UnreadableFileError
from mixpanel_mcp.files.folder import Folder
from mixpanel_mcp.files.records import Lines, Rejection, Unreadable, in_batches
from mixpanel_mcp.files.rejects import Faulty
from mixpanel_mcp.files.sources import SourceFile
from mixpanel_mcp.files.spool import Spool
from mixpanel_mcp.operation import Load, Progress
from mixpanel_mcp.operations.freight import Crate, Freight, Overview
from mixpanel_mcp.sanitize import quoted

_SECONDS_A_STEP = 0.05
_TURN_SECONDS = 0.001


@dataclass
class Scanned:
    """A file that was read to its end: what goes out of it, and what does not.

    `unclear` are rows that an interrupted import was sending, and that may not be sent twice.
    """

    source: SourceFile
    folder: Folder
    spool: Spool
    faulty: Faulty
    overview: Overview
    checkpoint: Checkpoint
    resumed: Standing | None
    unclear: list[Rejection] = field(default_factory=list[Rejection])
    read: int = 0
    waiting: int = 0
    unpacked: int = 0

    @property
    def name(self) -> str:
        return self.source.name


def checkpoint_of(source: SourceFile, folder: Folder, freight: Freight) -> Checkpoint:
    """The checkpoint of this file, sent in this way."""
    options = json.dumps(freight.options, sort_keys=True, default=str)
    identity = hashlib.sha256(f"{source.identity()} {options}".encode()).hexdigest()
    return Checkpoint(folder, source.name, identity)


@contextmanager
def _quick_turns() -> Generator[None]:
    """Let the event loop have its turn after a millisecond, not after Python's usual five.

    An answer takes it a dozen turns, and each waits for the thread that reads.
    """
    usual = sys.getswitchinterval()
    sys.setswitchinterval(min(usual, _TURN_SECONDS))
    try:
        yield
    finally:
        sys.setswitchinterval(usual)


class Scan:
    """Reads one file in steps that run in a thread, so that nobody else waits for it."""

    def __init__(
        self, load: Load, freight: Freight, scanned: Scanned, progress: Progress, *, before: int
    ) -> None:
        """`before` is how many rows other files had."""
        self._before = before
        self._progress = progress
        self._load = load
        self._freight = freight
        self._scanned = scanned
        resumed = scanned.resumed or Standing()
        self._done, self._begun = resumed.done, resumed.begun
        self._pieces: Iterator[Lines | Unreadable] = in_batches(scanned.source.pieces())
        self._packing: Future[None] | None = None

    async def run(self) -> None:
        """Read the file to its end.

        Raises:
            InvalidArgumentsError: it cannot be read, or is written to meanwhile.
            RefusedError: a rule forbids what is in it.
        """
        with ThreadPoolExecutor(1) as packer, _quick_turns():
            try:
                while await anyio.to_thread.run_sync(self._steps, packer):
                    done = self._before + self._scanned.read
                    await self._progress(done, None, f"{done} rows checked")
                self._scanned.source.require_unchanged()
            except UnreadableFileError as error:
                raise InvalidArgumentsError(
                    [f"file: {quoted(self._scanned.name)}: {error}"]
                ) from error
            except OSError as error:
                said = (
                    f"file: {quoted(self._scanned.name)}: it cannot be read, or what was checked "
                    f"cannot be kept beside it ({error.strerror or error}): make room there for "
                    "all of it, packed, and call again"
                )
                raise InvalidArgumentsError([said]) from error

    def _steps(self, packer: ThreadPoolExecutor) -> bool:
        """Some batches in a row: each change of thread costs as much as a tenth of one."""
        until = time.monotonic() + _SECONDS_A_STEP
        while self._step(packer):
            if time.monotonic() >= until:
                return True
        return False

    def _step(self, packer: ThreadPoolExecutor) -> bool:
        piece = next(self._pieces, None)
        if piece is None:
            self._wait_for_packing()
            return False
        if isinstance(piece, Unreadable):
            self._scanned.read += 1
            self._scanned.faulty.add([piece.rejection])
            return True
        crate = self._freight.crate(self._load, piece, self._scanned.overview)
        self._scanned.read += len(crate.numbers) + len(crate.rejected)
        self._scanned.faulty.add(crate.rejected)
        if self._done < self._begun:
            self._scanned.unclear += crate.between(self._done, self._begun, self._freight)
        crate = crate.behind(max(self._done, self._begun), self._freight)
        if crate.numbers:
            packing = packer.submit(self._keep, crate)
            self._wait_for_packing()
            self._packing = packing
        return True

    def _wait_for_packing(self) -> None:
        if self._packing is not None:
            packing, self._packing = self._packing, None
            packing.result()

    def _keep(self, crate: Crate) -> None:
        """Pack a crate and keep it: hardly any of this holds up the thread that reads."""
        body = self._freight.packed(crate.body)
        self._load.add(body, crate.repeat)
        repeatable = crate.repeat is not Repeat.UNSAFE
        self._scanned.spool.add(body, crate.numbers, len(crate.body), repeatable=repeatable)
        self._scanned.waiting += len(crate.numbers)
        self._scanned.unpacked += len(crate.body)
