"""A file whose name says that it is not finished, until it is."""

from contextlib import suppress
from pathlib import Path

from mixpanel_mcp.files.root import FilesRoot

_MARK = ".incomplete"


class GrowingFile:
    """A new file below the root; only `finish` gives it its final name."""

    def __init__(self, root: FilesRoot, stem: str, ending: str) -> None:
        """Create it.

        Raises:
            OutsideError: it cannot be made.
        """
        self.path: Path
        self.path, self._file = root.create(root.fresh_name(stem, f"{_MARK[1:]}.{ending}"))

    def write(self, content: bytes) -> None:
        self._file.write(content)

    def finish(self) -> None:
        """Close and rename: what should be in it is in it."""
        self._file.close()
        self.path = self.path.rename(self.path.with_name(self.path.name.replace(_MARK, "")))

    def abandon(self) -> None:
        """Close, and leave it with the name that says what it is."""
        with suppress(OSError):
            self._file.close()

    def discard(self) -> None:
        """Close without a trace."""
        self.abandon()
        self.path.unlink(missing_ok=True)
