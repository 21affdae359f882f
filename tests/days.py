"""A Mixpanel whose every day has events of its own, for tests of exports in files."""

import gzip
import json
from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from upstream import Drop, Received, Reply

PATH = "/api/2.0/export"
GZIP = {"content-encoding": "gzip"}
SPAN: dict[str, Any] = {"from_date": "2026-01-01", "to_date": "2026-01-03"}
DAYS = ["2026-01-01", "2026-01-02", "2026-01-03"]
# Mixpanel's clock stands long after these days, so that they are over.
_FIRST = 1_767_225_600_000
_DAY = 86_400_000
A_DAY = 40


def event(day: str, number: int, **properties: Any) -> dict[str, Any]:
    begin = _FIRST + DAYS.index(day) * _DAY
    known = {
        "time": begin + number,
        "distinct_id": f"user-{number % 7}",
        "$insert_id": f"{day}-{number}",
        "mp_processing_time_ms": begin + number + 5,
        "plan": "pro" if number % 2 else "free",
        "price": number,
    }
    return {"event": "Bought" if number % 3 else "Seen", "properties": known | properties}


def lines(events: Iterable[dict[str, Any]]) -> bytes:
    return b"".join(json.dumps(each).encode() + b"\n" for each in events)


def body_of(day: str, count: int = A_DAY) -> bytes:
    return lines(event(day, number) for number in range(count))


def day_of(request: Received) -> str:
    query = dict(request.query)
    assert query["from_date"] == query["to_date"], "a slice is one day"
    return query["from_date"]


def whole(request: Received) -> Reply:
    return Reply(body=gzip.compress(body_of(day_of(request))), headers=GZIP)


def plain(request: Received) -> Reply:
    return Reply(body=body_of(day_of(request)))


Answer = Reply | Drop


class Faulty:
    """Answers for a day with each of its faults, one after the other, and then as it should."""

    def __init__(self, faults: dict[str, list[Reply]]) -> None:
        self._faults = {day: list(replies) for day, replies in faults.items()}
        self.asked: Counter[str] = Counter()

    def __call__(self, request: Received) -> Reply:
        day = day_of(request)
        self.asked[day] += 1
        waiting = self._faults.get(day)
        return waiting.pop(0) if waiting else whole(request)


def read(path: Path) -> list[dict[str, Any]]:
    data = path.read_bytes()
    data = gzip.decompress(data) if path.name.endswith(".gz") else data
    return [json.loads(line) for line in data.splitlines()]


def expected() -> list[dict[str, Any]]:
    return [event(day, number) for day in DAYS for number in range(A_DAY)]


def leftovers(folder: Path) -> list[str]:
    """What no finished export should leave behind."""
    return [
        path.name
        for path in folder.rglob("*")
        if path.name.endswith((".part", ".spill")) or ".part" in path.name
    ]


Fault = Callable[[Received], Reply]
