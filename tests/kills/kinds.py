"""What is interrupted: imports and exports of every kind, and what has to be true at their end."""

import asyncio
import gzip
import hashlib
import json
import random
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import parse_qs

import duckdb
from days import DAYS, GZIP, SPAN, body_of, day_of, event, read
from upstream import Received, Reply, Upstream
from victims import NEVER, Moment, Work, outcome

NOON = 1_767_268_800_000
Answer = dict[str, Any]


class Kind(Protocol):
    """One thing that can be interrupted."""

    changes: int
    """About how many changes of files it makes."""
    seconds: float
    """About how long it takes once it has asked for the first time."""

    def prepare(self, folder: Path) -> None: ...
    def work(self, folder: Path) -> Work: ...
    def answer(self, request: Received) -> Reply: ...
    def check(self, folder: Path, arrived: Sequence[Received], answer: Answer) -> None:
        """Insist on exactly what was asked for."""
        ...


@dataclass
class Tally:
    """How often a kind was killed, and how often it came to its end and was checked."""

    kills: int = 0
    ends: int = 0
    moments: list[Moment] = field(default_factory=list[Moment])


async def killed(kind: Kind, upstream: Upstream, place: Path, kills: int, seed: str) -> Tally:
    """Kill and start again so many times; what comes to its end meanwhile is checked as well."""
    chance = random.Random(seed)  # noqa: S311 - moments, no secrets
    tally = Tally()
    asked = asyncio.Event()

    def answer(request: Received) -> Reply:
        asked.set()
        return kind.answer(request)

    upstream.default = answer
    folder = _fresh(kind, place, tally)
    while tally.kills < kills:
        moment = Moment.drawn(chance, kind.changes, kind.seconds)
        tally.moments.append(moment)
        asked.clear()
        answered = await outcome(kind.work(folder), upstream, asked, moment)
        if answered is None:
            tally.kills += 1
            continue
        kind.check(folder, upstream.requests, answered)
        tally.ends += 1
        upstream.requests.clear()
        folder = _fresh(kind, place, tally)
    answered = await outcome(kind.work(folder), upstream, asked, NEVER)
    assert answered is not None
    kind.check(folder, upstream.requests, answered)
    tally.ends += 1
    return tally


def _fresh(kind: Kind, place: Path, tally: Tally) -> Path:
    folder = place / f"run-{tally.ends}"
    folder.mkdir()
    kind.prepare(folder)
    return folder


def names_below(folder: Path) -> list[str]:
    return sorted(str(each.relative_to(folder)) for each in folder.rglob("*") if each.is_file())


class EventImport:
    """Events with ids of their own and without, and two that Mixpanel would never take."""

    changes, seconds = 24, 0.5
    _count = 15_000
    _wrong = (100, 12_000)

    def __init__(self, *, server: bool) -> None:
        self._server = server

    def _row(self, number: int) -> dict[str, Any]:
        time = 1 if number in self._wrong else NOON + number
        known: dict[str, Any] = {"time": time, "distinct_id": f"user-{number}"}
        if number % 3:
            known["$insert_id"] = f"e-{number}"
        return {"event": "Played", "properties": known}

    def prepare(self, folder: Path) -> None:
        rows = (json.dumps(self._row(number)) + "\n" for number in range(self._count))
        (folder / "events.ndjson").write_text("".join(rows), encoding="utf-8")

    def work(self, folder: Path) -> Work:
        if self._server:
            return Work(("--files-root", str(folder)), "import_events", {"file": "events.ndjson"})
        return Work(("import", str(folder / "events.ndjson"), "--json"))

    def answer(self, request: Received) -> Reply:
        count = request.content.count(b"\n")
        return Reply(json={"code": 200, "num_records_imported": count, "status": "OK"})

    def check(self, folder: Path, arrived: Sequence[Received], answer: Answer) -> None:
        told = answer["data"] if self._server else answer
        assert (told["read"], told["rejected"]) == (self._count, len(self._wrong))
        assert told["accepted"] == self._count - len(self._wrong)
        events = [json.loads(line) for each in arrived for line in each.content.splitlines()]
        by_key: dict[tuple[str, ...], set[str]] = {}
        for each in events:
            known = each["properties"]
            key = (each["event"], *(str(known[name]) for name in _KEY))
            by_key.setdefault(key, set()).add(json.dumps(each))
        assert all(len(contents) == 1 for contents in by_key.values())
        users = Counter(distinct_id for _, distinct_id, *_ in by_key)
        assert users == Counter(
            f"user-{number}" for number in range(self._count) if number not in self._wrong
        )
        rejects = folder / "events.ndjson.rejected.ndjson"
        assert [each["line"] for each in read(rejects)] == [place + 1 for place in self._wrong]
        assert names_below(folder) == ["events.ndjson", rejects.name]


_KEY = ("distinct_id", "time", "$insert_id")


class ProfileImport:
    """Updates that count each time; nobody may ever send one of them twice."""

    changes, seconds = 55, 0.4
    _count = 20_000

    def prepare(self, folder: Path) -> None:
        rows = (json.dumps(self._row(number)) + "\n" for number in range(self._count))
        (folder / "updates.ndjson").write_text("".join(rows), encoding="utf-8")

    def _row(self, number: int) -> dict[str, Any]:
        update = {"$add": {"visits": 1}} if number % 2 else {"$append": {"seen": number}}
        return {"$distinct_id": f"user-{number}", **update}

    def work(self, folder: Path) -> Work:
        given = {"file": "updates.ndjson"}
        return Work(("--files-root", str(folder)), "update_multiple_profiles", given)

    def answer(self, request: Received) -> Reply:
        del request
        return Reply(json={"status": 1, "error": None})

    def check(self, folder: Path, arrived: Sequence[Received], answer: Answer) -> None:
        came = Counter(each["$distinct_id"] for request in arrived for each in request.json())
        assert max(came.values()) == 1
        path = folder / "updates.ndjson.rejected.ndjson"
        unclear = read(path) if path.exists() else []
        assert all("may have arrived" in each["reason"] for each in unclear)
        named = Counter(each["row"]["$distinct_id"] for each in unclear)
        assert named.total() == len(named) == answer["data"]["files"][0]["unclear"]
        assert came.keys() | named.keys() == {f"user-{number}" for number in range(self._count)}
        assert answer["data"]["accepted"] == self._count - len(named)
        assert not [name for name in names_below(folder) if "incomplete" in name]


class Export:
    """Three days, each of them in many pieces."""

    changes, seconds = 55, 0.2
    _a_day = 600

    def __init__(self, file_format: str, *, server: bool) -> None:
        self._format = file_format
        self._server = server

    def prepare(self, folder: Path) -> None:
        del folder

    def work(self, folder: Path) -> Work:
        if self._server:
            given = {**SPAN, "format": self._format}
            return Work(("--files-root", str(folder)), "download_data", given)
        span = ("--from-date", DAYS[0], "--to-date", DAYS[-1])
        return Work(("export", *span, "--out", str(self._file(folder)), "--json"))

    def _file(self, folder: Path) -> Path:
        return folder / f"all.{self._format}"

    def answer(self, request: Received) -> Reply:
        packed = gzip.compress(body_of(day_of(request), self._a_day))
        return Reply(
            pieces=[packed[at : at + 400] for at in range(0, len(packed), 400)], headers=GZIP
        )

    def check(self, folder: Path, arrived: Sequence[Received], answer: Answer) -> None:
        del arrived
        told = answer["data"] if self._server else answer
        wanted = [event(day, number) for day in DAYS for number in range(self._a_day)]
        assert told["records"] == len(wanted)
        if self._server:
            files = self._files(Path(told["path"]))
        else:
            files = [self._file(folder)]
            assert names_below(folder) == [files[0].name]
        found = [each["properties"]["$insert_id"] for each in wanted]
        assert [name for file in files for name in _ids(file)] == found
        if self._format != "parquet":
            assert [record for file in files for record in read(file)] == wanted

    def _files(self, export: Path) -> list[Path]:
        manifest = json.loads((export / "manifest.json").read_text())
        assert manifest["complete"] is True
        files = [export / each["file"] for each in manifest["slices"]]
        for file, each in zip(files, manifest["slices"], strict=True):
            content = file.read_bytes()
            assert (each["bytes"], each["records"]) == (len(content), self._a_day)
            assert each["sha256"] == hashlib.sha256(content).hexdigest()
        names = [str(file.relative_to(export)) for file in files]
        assert names_below(export) == sorted([".lock", "manifest.json", *names])
        return files


def _ids(file: Path) -> list[str]:
    if file.suffix != ".parquet":
        return [each["properties"]["$insert_id"] for each in read(file)]
    with duckdb.connect() as connection:
        rows = connection.execute(
            "SELECT insert_id FROM read_parquet($path) ORDER BY time", {"path": str(file)}
        ).fetchall()
    return [name for (name,) in rows]


class ProfileExport:
    """Pages of one session, each a file."""

    changes, seconds = 100, 0.1
    _page, _count = 50, 470

    def prepare(self, folder: Path) -> None:
        del folder

    def work(self, folder: Path) -> Work:
        return Work(("--files-root", str(folder)), "query_profiles", {"to_file": True})

    def answer(self, request: Received) -> Reply:
        fields = {name: values[0] for name, values in parse_qs(request.body.decode()).items()}
        page = int(fields.get("page", "0"))
        assert page == 0 or fields["session_id"] == "s-1"
        numbers = range(page * self._page, min((page + 1) * self._page, self._count))
        found = [{"$distinct_id": f"u{n}", "$properties": {"n": n}} for n in numbers]
        listing = {"page": page, "page_size": self._page, "session_id": "s-1", "status": "ok"}
        return Reply(json={**listing, "total": self._count, "results": found})

    def check(self, folder: Path, arrived: Sequence[Received], answer: Answer) -> None:
        del folder, arrived
        assert answer["status"] == "ok"
        assert answer["data"]["records"] == self._count
        export = Path(answer["data"]["path"])
        pages = sorted(export.rglob("page-*"))
        assert [each["$distinct_id"] for page in pages for each in read(page)] == [
            f"u{number}" for number in range(self._count)
        ]
        names = [str(page.relative_to(export)) for page in pages]
        assert names_below(export) == sorted([".lock", "manifest.json", *names])


KINDS: dict[str, Callable[[], Kind]] = {
    "import-command": lambda: EventImport(server=False),
    "import-server": lambda: EventImport(server=True),
    "profile-import-server": ProfileImport,
    "export-ndjson-command": lambda: Export("ndjson", server=False),
    "export-ndjson-server": lambda: Export("ndjson", server=True),
    "export-gz-command": lambda: Export("ndjson.gz", server=False),
    "export-gz-server": lambda: Export("ndjson.gz", server=True),
    "export-parquet-command": lambda: Export("parquet", server=False),
    "export-parquet-server": lambda: Export("parquet", server=True),
    "profile-export-server": ProfileExport,
}
