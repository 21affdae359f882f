"""Imports from files: checked and judged whole, sent in batches, continued where they stopped."""

import time
from collections import Counter
from collections.abc import Generator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any

from mixpanel_mcp.api.errors import (
    FailedError,
    InvalidArgumentsError,
    MixpanelError,
    RefusedError,
)
from mixpanel_mcp.files.checkpoint import Standing
from mixpanel_mcp.files.errors import OutsideError, UnreadableFileError
from mixpanel_mcp.files.folder import Folder
from mixpanel_mcp.files.records import Rejection
from mixpanel_mcp.files.rejects import Faulty, Rejects
from mixpanel_mcp.files.sources import OWN_ENDINGS, Columns, SourceFile, opened_source
from mixpanel_mcp.files.spool import Spool
from mixpanel_mcp.operation import Answer, Call, Load, Progress, Status, Table
from mixpanel_mcp.operations.file_scan import Scan, Scanned, checkpoint_of
from mixpanel_mcp.operations.file_sending import Sending
from mixpanel_mcp.operations.freight import Freight, Overview, Seldom
from mixpanel_mcp.sanitize import counted, quoted

_MOST_FILES = 1_000


@dataclass(frozen=True)
class NamedFile:
    """A file in its folder, which is held open."""

    folder: Folder
    name: str


@contextmanager
def files_below_root(call: Call, pattern: str) -> Generator[list[NamedFile]]:
    """The files that a path or a pattern below the files root means.

    Raises:
        RefusedError: the operator set no files root.
        InvalidArgumentsError: there is none, or it leads elsewhere.
    """
    if call.files is None:
        raise RefusedError(
            "Nothing was sent: reading files needs a folder that the operator sets "
            "(MIXPANEL_MCP_FILES_ROOT or --files-root). Pass the records themselves instead."
        )
    with ExitStack() as held:
        try:
            paths = call.files.matching(pattern)
            if len(paths) > 1:
                paths = [path for path in paths if _is_meant(path, pattern)]
            found = [NamedFile(*held.enter_context(call.files.folder_of(path))) for path in paths]
        except OutsideError as error:
            raise InvalidArgumentsError([f"file: {error}"]) from error
        yield found


def _is_meant(path: str, pattern: str) -> bool:
    return not path.endswith(OWN_ENDINGS) or any(part in pattern for part in OWN_ENDINGS)


async def import_files(
    call: Call,
    files: Sequence[NamedFile],
    freight: Freight,
    columns: Columns,
    *,
    dry_run: bool,
) -> Answer:
    """Import files in order; all of them are judged before the first record leaves.

    Raises:
        InvalidArgumentsError: a file cannot be read.
        RefusedError: a rule forbids what is in one.
        ConfirmationRequiredError: somebody has to agree first.
    """
    if len(files) > _MOST_FILES:
        raise InvalidArgumentsError([f"file: means {len(files)} files, and {_MOST_FILES} at most"])
    load, progress = call.begin_load(), Seldom(call.progress)
    began = time.monotonic()
    with ExitStack() as held:
        scans: list[Scanned] = []
        read = 0
        for file in files:
            source = _opened(held, file, columns, alone=not dry_run)
            scanned = _begun(held, source, file.folder, freight)
            await Scan(load, freight, scanned, progress, before=read).run()
            read += scanned.read
            scans.append(scanned)
        if dry_run:
            return _told(scans, freight, load.asks())
        await load.authorize()
        reports = [Report(scanned) for scanned in scans]
        error: MixpanelError | None = None
        settled = read
        for report in reports:
            if error is None:
                steps = settled, 2 * read
                error = await _send(call, load, freight, report, steps, progress)
            settled += report.scanned.read
        return _answer(reports, freight, error, time.monotonic() - began)


def _opened(held: ExitStack, file: NamedFile, columns: Columns, *, alone: bool) -> SourceFile:
    try:
        source = held.enter_context(opened_source(file.folder, file.name, columns))
        if alone:
            source.hold()
    except (OutsideError, UnreadableFileError) as error:
        raise InvalidArgumentsError([f"file: {quoted(file.name)}: {error}"]) from error
    return source


def _begun(held: ExitStack, source: SourceFile, folder: Folder, freight: Freight) -> Scanned:
    checkpoint = checkpoint_of(source, folder, freight)
    faulty = Faulty()
    held.callback(faulty.close)
    spool = held.enter_context(Spool(folder.path))
    return Scanned(source, folder, spool, faulty, Overview(), checkpoint, resumed=checkpoint.load())


@dataclass
class Report:
    """What became of one file."""

    scanned: Scanned
    standing: Standing = field(default_factory=Standing)
    refused: Counter[str] = field(default_factory=Counter[str])
    rejects: str | None = None
    begun: bool = False

    @property
    def rejected(self) -> int:
        return self.scanned.faulty.count + self.refused.total()

    @property
    def left(self) -> int:
        return self.scanned.read - self.scanned.faulty.count - self.standing.sent

    def as_data(self) -> dict[str, Any]:
        reasons = self.scanned.faulty.reasons + self.refused
        return {
            "file": self.scanned.name,
            "read": self.scanned.read,
            "sent": self.standing.sent,
            "accepted": self.standing.accepted,
            "rejected": self.rejected,
            "rejected_by_reason": dict(reasons.most_common()),
            "unclear": self.standing.unclear,
            "not_sent": self.left,
            "repeated_insert_ids": self.scanned.overview.repeated,
            "rejects": self.rejects,
            "continued": self.scanned.resumed is not None,
        }


async def _send(
    call: Call,
    load: Load,
    freight: Freight,
    report: Report,
    steps: tuple[int, int],
    progress: Progress,
) -> MixpanelError | None:
    """Send what waits; `steps` are those done before, and all there are: two a row."""
    scanned = report.scanned
    if scanned.resumed is not None:
        report.standing = scanned.resumed
        report.refused = Counter(report.standing.refused)
    try:
        rejects = Rejects(scanned.folder, scanned.name, report.standing.rejected_bytes)
    except OutsideError:  # it was mended or moved meanwhile; what follows goes into a new one
        rejects = Rejects(scanned.folder, scanned.name)
    try:
        if scanned.resumed is None:
            scanned.faulty.write_to(rejects)
        _write_unclear(scanned, report.standing, rejects)
        report.standing.rejected_bytes = rejects.bytes
        sending = Sending(
            call, load, freight, scanned, rejects, report.standing, report.refused, steps, progress
        )
        report.begun = True
        await sending.run()
    except (OSError, OutsideError) as error:
        said = getattr(error, "strerror", None) or error
        return FailedError(
            f"how far the import of {quoted(scanned.name)} is cannot be noted beside the file "
            f"({said}). Make room there, and call again."
        )
    finally:
        rejects.close()
        report.rejects = rejects.name if rejects.bytes else None
    return sending.error


def _write_unclear(scanned: Scanned, standing: Standing, rejects: Rejects) -> None:
    """Settle the rows that were under way when an import was interrupted, without sending them."""
    if scanned.unclear:
        rejects.write(b"".join(each.as_line() for each in scanned.unclear))
        standing.unclear += len(scanned.unclear)
        standing.sent += len(scanned.unclear)
        standing.done = standing.begun


def _answer(
    reports: Sequence[Report], freight: Freight, error: MixpanelError | None, seconds: float
) -> Answer:
    accepted = sum(report.standing.accepted for report in reports)
    read = sum(report.scanned.read for report in reports)
    sent = sum(report.scanned.waiting for report in reports) - sum(
        report.left for report in reports
    )
    rejected = sum(report.rejected for report in reports)
    complete = error is None and not rejected and accepted >= read
    files = [report.as_data() for report in reports]
    data = {
        "read": read,
        "sent": sum(report.standing.sent for report in reports),
        "accepted": accepted,
        "rejected": rejected,
        "repeated_insert_ids": sum(report.scanned.overview.repeated for report in reports),
        "seconds": round(seconds, 3),
        "records_per_second": round(max(0, sent) / seconds) if seconds else 0,
        "files": files,
    }
    status = Status.OK if complete else Status.PARTIAL if accepted else Status.FAILED
    headline = f"Mixpanel took {accepted} of {counted(read, freight.noun)}"
    headline += f"; {rejected} rejected." if rejected else "."
    return Answer(
        headline=headline,
        data=data,
        table=_table(reports),
        text=(error.said or None) if error else None,
        notes=_notes(reports, freight, error),
        status=status,
        complete=complete,
        is_error=not complete,
    )


def _table(reports: Sequence[Report]) -> Table | None:
    rows = [
        [report.scanned.name, reason, count]
        for report in reports
        for reason, count in (report.scanned.faulty.reasons + report.refused).most_common(20)
    ]
    return Table(columns=["file", "reason", "rejected"], rows=rows) if rows else None


def _notes(reports: Sequence[Report], freight: Freight, error: MixpanelError | None) -> list[str]:
    notes: list[str] = []
    if error is not None:
        left = sum(report.left for report in reports)
        notes.append(
            f"It stopped: {error} {counted(left, freight.noun)} not sent. The same call goes on "
            "where this one stopped, and counts nothing twice"
        )
    unclear = sum(report.standing.unclear for report in reports)
    if unclear:
        notes.append(
            f"{counted(unclear, freight.noun)} may have arrived although the answer was lost; "
            "they stand among the rejected rows and are not sent again by themselves"
        )
    notes += [
        f"the rejected rows of {quoted(report.scanned.name)} are in {quoted(report.rejects)}: "
        "mend them there, and import that file"
        for report in reports
        if report.rejects
    ]
    notes += [
        f"{quoted(report.scanned.name + '.checkpoint')} stays: rows of this file count each time, "
        "so the same call sends none of them again. To send them once more, remove it"
        for report in reports
        if not (report.standing.repeatable or report.left)
    ]
    repeated = sum(report.scanned.overview.repeated for report in reports)
    if repeated:
        notes.append(
            f"{repeated} $insert_ids stood there before (within 50,000 events): Mixpanel counts "
            "such an event once"
        )
    return notes


def _told(scans: Sequence[Scanned], freight: Freight, asks: str | None) -> Answer:
    """What an import would do."""
    waiting = sum(scanned.waiting for scanned in scans)
    rejected = sum(scanned.faulty.count for scanned in scans)
    names = sum((scanned.overview.names for scanned in scans), Counter[str]())
    times = [
        each
        for scanned in scans
        for each in (scanned.overview.earliest, scanned.overview.latest)
        if each is not None
    ]
    first = [
        {"file": scanned.name, **_place(rejection)}
        for scanned in scans
        for rejection in scanned.faulty.first
    ]
    data = {
        "dry_run": True,
        "read": sum(scanned.read for scanned in scans),
        "would_send": waiting,
        "requests": sum(len(scanned.spool) for scanned in scans),
        "bytes": sum(scanned.unpacked for scanned in scans),
        "rejected": rejected,
        "first_faults": first,
        "repeated_insert_ids": sum(scanned.overview.repeated for scanned in scans),
        "names": dict(names.most_common(100)),
        "from": _iso(min(times)) if times else None,
        "to": _iso(max(times)) if times else None,
    }
    rows = [[each["file"], each["line"], each["field"], each["reason"]] for each in first]
    return Answer(
        headline=f"Nothing was sent. This would send {counted(waiting, freight.noun)}; "
        f"{rejected} would be rejected.",
        data=data,
        table=Table(columns=["file", "line", "field", "reason"], rows=rows) if rows else None,
        notes=[f"somebody would have to agree (confirm=true): this would {asks}"] if asks else [],
        complete=not rejected,
    )


def _place(rejection: Rejection) -> dict[str, Any]:
    field_name, reason = rejection.faults[0]
    return {"line": rejection.line, "field": field_name, "reason": reason}


def _iso(milliseconds: int) -> str:
    try:
        moment = time.gmtime(milliseconds / 1000)
    except (OverflowError, ValueError, OSError):
        return str(milliseconds)
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", moment)
