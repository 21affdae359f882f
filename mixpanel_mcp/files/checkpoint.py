"""Where an import stands: beside its file until it is done."""

import json
from dataclasses import asdict, dataclass, field
from typing import Any

from mixpanel_mcp.files.errors import OutsideError
from mixpanel_mcp.files.folder import Folder
from mixpanel_mcp.json_values import is_object

_VERSION = 1
_LARGEST = 1_000_000


@dataclass
class Standing:
    """What became of a file's rows so far.

    Everything up to row `done` is settled. Rows up to `begun` may have been sent: where that cannot
    be repeated they are not sent again. `repeatable` says that what was sent so far may arrive
    twice. `refused` counts Mixpanel's reasons, `rejected_bytes` is the length of
    NAME.rejected.ndjson that belongs to this.
    """

    done: int = 0
    begun: int = 0
    sent: int = 0
    accepted: int = 0
    unclear: int = 0
    rejected_bytes: int = 0
    repeatable: bool = True
    refused: dict[str, int] = field(default_factory=dict[str, int])


class Checkpoint:
    """The file NAME.checkpoint; it counts only for the same file, sent in the same way."""

    def __init__(self, folder: Folder, name: str, identity: str) -> None:
        self.name = f"{name}.checkpoint"
        self._folder = folder
        self._identity = identity

    def load(self) -> Standing | None:
        """Where an interrupted import of this file stood; nothing if there was none."""
        try:
            with self._folder.read(self.name) as file:
                document: object = json.loads(file.read(_LARGEST))
        except (OutsideError, ValueError, RecursionError):
            return None
        if not is_object(document) or document.get("version") != _VERSION:
            return None
        if document.get("identity") != self._identity:
            return None
        try:
            return _standing(document["standing"])
        except (KeyError, TypeError):
            return None

    def save(self, standing: Standing) -> None:
        """Write it, whole or not at all.

        Raises:
            OSError: the disk is full.
            OutsideError: something else stands in its place.
        """
        document = {
            "version": _VERSION,
            "identity": self._identity,
            "standing": asdict(standing),
        }
        self._folder.replace(self.name, json.dumps(document).encode())

    def remove(self) -> None:
        self._folder.remove(self.name)


def _standing(values: dict[str, Any]) -> Standing:
    standing = Standing(**values)
    numbers = [value for name, value in values.items() if name != "refused"]
    if not all(isinstance(number, int) and number >= 0 for number in numbers):
        raise TypeError(values)
    return standing
