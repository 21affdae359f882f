"""Exports on disk: a folder each, with a manifest that says what is whole.

    exports/events-2026-01-01-2026-01-31-3f9a1c20/
      manifest.json
      day=2026-01-01/events.ndjson.gz

A file counts once the manifest names it. Whatever else lies there was left by a run that ended
early, and the next one writes over it.
"""

import json
import os
import re
import shutil
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any, Literal

from mixpanel_mcp.files.root import own_folder
from mixpanel_mcp.json_values import is_list, is_object

Kind = Literal["events", "profiles"]
Format = Literal["ndjson", "ndjson.gz", "parquet"]

MANIFEST = "manifest.json"
_FOLDER = "exports"
_VERSION = 1
_ID = re.compile(r"[a-z0-9][a-z0-9-]{0,90}", re.ASCII)
_FILE = re.compile(r"(?:(?:day=\d{4}-\d\d-\d\d|pages)/)?[a-z0-9-]{1,40}\.[a-z.]{2,12}", re.ASCII)
# The last place on earth where it is still this day.
_LATEST_ZONE = timedelta(hours=12)


class NoSuchExportError(Exception):
    """There is no export of that id."""


class ExportInUseError(Exception):
    """Another call works on this export now."""


class OtherExportError(Exception):
    """The folder holds an export of other arguments."""


@dataclass(frozen=True, kw_only=True)
class Slice:
    """A file that is whole. `key` is a day, or a page's number; `duplicates` were left out."""

    key: str
    file: str
    records: int
    bytes: int
    unpacked_bytes: int
    sha256: str | None
    fetched: str
    duplicates: int = 0

    @property
    def is_final(self) -> bool:
        """Whether its day was over, wherever the project lies, when it was fetched."""
        try:
            end = datetime.fromisoformat(self.key).replace(tzinfo=UTC) + timedelta(days=1)
            return datetime.fromisoformat(self.fetched) >= end + _LATEST_ZONE
        except ValueError:
            return True


@dataclass(frozen=True, kw_only=True)
class Manifest:
    """What an export is of, and which slices of it are there."""

    id: str
    kind: Kind
    format: Format
    project: str
    region: str
    arguments: Mapping[str, Any]
    made: str
    complete: bool = False
    slices: Mapping[str, Slice] = field(default_factory=dict[str, Slice])
    position: Mapping[str, Any] = field(default_factory=dict[str, Any])
    """Where to go on, for pages that follow one another."""

    @property
    def records(self) -> int:
        return sum(each.records for each in self.slices.values())

    @property
    def bytes(self) -> int:
        return sum(each.bytes for each in self.slices.values())

    @property
    def duplicates(self) -> int:
        return sum(each.duplicates for each in self.slices.values())

    def is_of(self, other: "Manifest") -> bool:
        """Whether both are of the same arguments."""
        return all(
            getattr(self, name) == getattr(other, name)
            for name in ("kind", "format", "project", "region", "arguments")
        )

    def as_data(self) -> dict[str, Any]:
        slices = [asdict(self.slices[key]) for key in sorted(self.slices)]
        return {"version": _VERSION, **asdict(self), "slices": slices}


class Export:
    """One export's folder."""

    def __init__(self, folder: Path, manifest: Manifest) -> None:
        self.folder = folder
        self.manifest = manifest

    @classmethod
    def at(cls, folder: Path, manifest: Manifest) -> "Export":
        """Begin an export in a folder, or go on with the one that is there.

        Raises:
            OtherExportError: it is one of other arguments.
            OSError: the folder cannot be used.
        """
        there = read_manifest(folder)
        if there is None:
            return cls(folder, manifest)
        if not there.is_of(manifest):
            raise OtherExportError
        return cls(folder, there)

    def path(self, one: Slice) -> Path:
        return self.folder / one.file

    def missing(self, keys: Sequence[str]) -> list[str]:
        """The slices that are still to be fetched, those of days that were not over again."""
        return [key for key in keys if not self._has(key)]

    def missing_files(self, keys: Sequence[str]) -> list[str]:
        """The slices of which there is no file."""
        return [key for key in keys if not self._has(key, final=False)]

    def _has(self, key: str, *, final: bool = True) -> bool:
        one = self.manifest.slices.get(key)
        if one is None or (final and not one.is_final):
            return False
        try:
            return self.path(one).stat().st_size == one.bytes
        except OSError:
            return False

    def record(self, one: Slice, position: Mapping[str, Any] | None = None) -> None:
        """Enter a slice, whose file is there."""
        slices = {**self.manifest.slices, one.key: one}
        self._save(replace(self.manifest, slices=slices, position=position or {}, complete=False))

    def close(self) -> None:
        """Say that nothing is missing."""
        self._save(replace(self.manifest, complete=True, position={}))

    def forget(self) -> None:
        """Begin anew: no slice counts any longer, and their files go."""
        files = self.files()
        self._save(replace(self.manifest, slices={}, position={}, complete=False))
        for file in files:
            file.unlink(missing_ok=True)

    def _save(self, manifest: Manifest) -> None:
        """Write the manifest in one step; only what is written counts.

        Raises:
            OSError: it cannot be written; the one before is still there.
        """
        part = self.folder / f"{MANIFEST}.part"
        part.unlink(missing_ok=True)
        number = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            with os.fdopen(number, "w", encoding="utf-8") as file:
                json.dump(manifest.as_data(), file, ensure_ascii=False, indent=1)
            part.replace(self.folder / MANIFEST)
            self.manifest = manifest
        finally:
            part.unlink(missing_ok=True)

    def files(self) -> list[Path]:
        """The files of the slices, in order."""
        return [self.path(each) for _, each in sorted(self.manifest.slices.items())]

    @contextmanager
    def held(self) -> Generator[None]:
        """Keep other calls, of this server and of others, away.

        Raises:
            ExportInUseError: one is at work.
        """
        # Neither through a link nor with a loss: whatever it is, it is not ours to empty.
        flags = os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0)
        with os.fdopen(os.open(self.folder / ".lock", flags, 0o600), "rb") as file:
            try:
                import fcntl  # noqa: PLC0415 - absent on Windows, where nothing keeps them away
            except ImportError:
                yield
                return
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as error:
                raise ExportInUseError from error
            yield


class Exports:
    """All exports below a files root."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def begin(self, manifest: Manifest) -> Export:
        """Begin an export, or go on with the one of the same id.

        Raises:
            OtherExportError: the id is taken by another one.
            OSError: its folder cannot be made.
        """
        folder = own_folder(own_folder(self._root, _FOLDER), manifest.id)
        return Export.at(folder, manifest)

    def find(self, name: str) -> Export:
        """The export of an id.

        Raises:
            NoSuchExportError: there is none.
        """
        folder = self._root / _FOLDER / name
        if not _ID.fullmatch(name) or _is_linked(folder.parent) or _is_linked(folder):
            raise NoSuchExportError
        manifest = read_manifest(folder)
        if manifest is None or manifest.id != name:
            raise NoSuchExportError
        return Export(folder, manifest)

    def all(self) -> list[Export]:
        """Every export that has a manifest, the newest first."""
        found: list[Export] = []
        for name in self._names():
            try:
                found.append(self.find(name))
            except NoSuchExportError:
                continue
        return sorted(found, key=lambda each: each.manifest.made, reverse=True)

    def delete(self, export: Export) -> None:
        """Remove an export; first what says that it is one.

        Raises:
            ExportInUseError: a call works on it.
            OSError: some of it cannot be removed.
        """
        with export.held():
            (export.folder / MANIFEST).unlink(missing_ok=True)
            shutil.rmtree(export.folder)

    def delete_older_than(self, days: int, today: datetime) -> list[str]:
        """Remove the exports that were made before so many days; those in use stay."""
        gone: list[str] = []
        for export in self.all():
            if datetime.fromisoformat(export.manifest.made) < today - timedelta(days=days):
                try:
                    self.delete(export)
                except (ExportInUseError, OSError):
                    continue
                gone.append(export.manifest.id)
        return gone

    def size(self) -> int:
        """How many bytes all exports take."""
        folder = self._root / _FOLDER
        if _is_linked(folder):
            return 0
        return sum(
            (Path(place) / name).lstat().st_size
            for place, _, names in os.walk(folder)
            for name in names
            if (Path(place) / name).exists()
        )

    def _names(self) -> list[str]:
        try:
            return sorted(each.name for each in (self._root / _FOLDER).iterdir())
        except OSError:
            return []


def days_between(first: str, last: str) -> list[str]:
    """Every day from the first to the last."""
    begin = date.fromisoformat(first)
    count = (date.fromisoformat(last) - begin).days + 1
    return [(begin + timedelta(days=number)).isoformat() for number in range(count)]


def read_manifest(folder: Path) -> Manifest | None:
    """The manifest of a folder; None where there is none that can be read.

    Its paths are checked: whoever can write below the files root can write a manifest.
    """
    path = folder / MANIFEST
    try:
        if path.is_symlink():
            return None
        document: object = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError):
        return None
    if not is_object(document) or document.get("version") != _VERSION:
        return None
    given: dict[str, Any] = dict(document)
    listed = given.pop("slices", None)
    del given["version"]
    try:
        found = [Slice(**each) for each in listed] if is_list(listed) else []
        manifest = Manifest(**given, slices={each.key: each for each in found})
        datetime.fromisoformat(manifest.made)
    except (TypeError, ValueError):
        return None
    safe = all(_FILE.fullmatch(each.file) and _is_plain(folder, each.file) for each in found)
    return manifest if safe else None


def _is_plain(folder: Path, file: str) -> bool:
    """Whether no part of a path below a folder is a link."""
    place = folder
    for part in file.split("/"):
        place /= part
        if place.is_symlink():
            return False
    return True


def _is_linked(folder: Path) -> bool:
    return folder.is_symlink()
