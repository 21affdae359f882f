"""Rows that did not go in: NAME.rejected.ndjson, ready to be mended and sent again."""

import tempfile
from collections import Counter
from collections.abc import Iterable
from contextlib import suppress
from typing import IO

from mixpanel_mcp.files.folder import Folder
from mixpanel_mcp.files.records import Rejection

_MOST_REASONS = 100
_MOST_FIRST = 10
_PIECE = 1024 * 1024
OTHER = "other reasons"


class Faulty:
    """What a scan rejects, kept aside until it is certain that the import goes on."""

    def __init__(self) -> None:
        self.reasons: Counter[str] = Counter()
        self.first: list[Rejection] = []
        self._file: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 - closed by `close`

    @property
    def count(self) -> int:
        return self.reasons.total()

    def add(self, rejections: Iterable[Rejection]) -> None:
        for rejection in rejections:
            count_reason(self.reasons, *rejection.faults[0])
            if len(self.first) < _MOST_FIRST:
                self.first.append(rejection)
            self._file.write(rejection.as_line())

    def write_to(self, rejects: "Rejects") -> None:
        before = rejects.bytes
        try:
            self._file.seek(0)
            while piece := self._file.read(_PIECE):
                rejects.write(piece)
        except OSError:
            rejects.cut(before)
            raise

    def close(self) -> None:
        # On a full disk it would try once more to write what nobody needs any longer.
        with suppress(OSError):
            self._file.close()


class Rejects:
    """The file itself; it is made when the first row goes into it."""

    def __init__(self, folder: Folder, name: str, kept: int = 0) -> None:
        """`kept` is the length that an interrupted import left; what is behind it goes."""
        self.name = f"{name}.rejected.ndjson"
        self.path = folder.path / self.name
        self.bytes = kept
        self._folder = folder
        self._file = folder.extend(self.name, kept) if kept else None

    def write(self, content: bytes) -> None:
        """Append whole lines, or nothing.

        Raises:
            OSError: the disk is full.
            OutsideError: the file cannot be made.
        """
        if self._file is None:
            self._file = self._folder.extend(self.name, 0)
        try:
            self._file.write(content)
            self._file.flush()
        except OSError:
            self.cut(self.bytes)
            raise
        self.bytes += len(content)

    def cut(self, length: int) -> None:
        """Take away what stands behind so many bytes."""
        self.bytes = length
        if self._file is not None:
            with suppress(OSError):
                self._file.close()
            self._file = self._folder.extend(self.name, length) if length else None
            if not length:
                self._folder.remove(self.name)

    def close(self) -> None:
        if self._file is not None:
            self._file.close()


def count_reason(reasons: Counter[str], field: str, reason: str, count: int = 1) -> None:
    """Count a reason under its field; of very many, the later ones together."""
    said = f"{field}: {reason}" if field else reason
    said = said[:200]
    if said not in reasons and len(reasons) >= _MOST_REASONS:
        said = OTHER
    reasons[said] += count
