"""The tasks of a pipeline, as its status shows them: a pure function of the pipeline and the time.

Source: `data-pipelines.openapi.yaml#/nessie/pipeline/status` and its older reference page, whose
example has the zero time below. A window that has ended is exported at once, older ones a minute
apart after the pipeline was made; each task takes a minute.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any, NamedTuple

from mixpanel_mcp.sandbox.clock import DAY, HOUR, MINUTE, midnight, moment
from mixpanel_mcp.sandbox.credentials import PROJECT_ID

if TYPE_CHECKING:
    from collections.abc import Iterator

# Go's zero time, seen from the Pacific coast. No parser of dates likes the year 0000.
ZERO_TIME = "0000-12-31T16:00:00-08:00"
TRIAL_DAYS = 30

_TASK = MINUTE


class Task(NamedTuple):
    state: str
    from_time: int
    to_time: int
    run_at: int
    last_finish: int | None


def tasks(pipeline: dict[str, Any], now: int) -> list[Task]:
    return [_task(pipeline, index, window, now) for index, window in _windows(pipeline, now)]


def window_end(pipeline: dict[str, Any]) -> int | None:
    """Return the end of a dated pipeline or a trial; None where it runs on."""
    if pipeline["trial"]:
        return midnight(_date(pipeline["from_date"]) + timedelta(days=TRIAL_DAYS))
    if pipeline["to_date"] is None:
        return None
    return midnight(_date(pipeline["to_date"])) + DAY


def described(pipeline: dict[str, Any], task: Task) -> dict[str, Any]:
    return {
        "project_id": PROJECT_ID,
        "name": f"{pipeline['name']}-{moment(task.from_time):{_name_format(pipeline)}}",
        "state": task.state,
        "last_finish": ZERO_TIME if task.last_finish is None else _iso(task.last_finish),
        "run_at": _iso(task.run_at),
        "from_date": _iso(task.from_time),
        "to_date": _iso(task.to_time),
    }


def last_dispatched(pipeline: dict[str, Any], now: int) -> str:
    """Write the last start as the listing does: local time on the Pacific coast, no ISO date."""
    starts = [
        task.run_at
        for task in tasks(pipeline, now)
        if task.state in ("running", "succeeded", "retried")
    ]
    return pacific(moment(max(starts, default=pipeline["created"])))


def pacific(time: datetime) -> str:
    local, _ = _pacific(time)
    return f"{local:%Y-%m-%d %H:%M:%S} US/Pacific"


def day_syncs(pipeline: dict[str, Any], now: int) -> list[dict[str, Any]]:
    """Group the syncs that have finished by the day whose data they moved."""
    syncs: dict[str, list[str]] = {}
    for task in tasks(pipeline, now):
        if task.last_finish is not None:
            day = moment(task.from_time).date().isoformat()
            syncs.setdefault(day, []).append(_go_time(moment(task.last_finish)))
    return [{"date": day, "sync_times": times, "status": "synced"} for day, times in syncs.items()]


def _go_time(time: datetime) -> str:
    """Write a time as Go prints it, on the Pacific coast."""
    local, is_summer = _pacific(time)
    return f"{local:%Y-%m-%d %H:%M:%S.%f} {'-0700 PDT' if is_summer else '-0800 PST'}"


def _pacific(time: datetime) -> tuple[datetime, bool]:
    """Convert by the rule itself: not every machine has a time zone database."""
    standard = time - timedelta(hours=8)
    year = standard.year
    begin = _sunday(year, 3, 2).replace(hour=2)
    # Standard time of the moment at which daylight saving time ends, at two o'clock.
    end = _sunday(year, 11, 1).replace(hour=1)
    is_summer = begin <= standard < end
    return standard + timedelta(hours=1 if is_summer else 0), is_summer


def _windows(pipeline: dict[str, Any], now: int) -> Iterator[tuple[int, tuple[int, int]]]:
    """Yield the spans of time that are exported, up to the one that now falls into."""
    length = HOUR if pipeline["frequency"] == "hourly" else DAY
    begin = midnight(_date(pipeline["from_date"]))
    end = window_end(pipeline)
    last = now if end is None else min(now, end - 1)
    for index, start in enumerate(range(begin, last + 1, length)):
        yield index, (start, start + length)


def _task(pipeline: dict[str, Any], index: int, window: tuple[int, int], now: int) -> Task:
    from_time, to_time = window
    run_at = max(to_time, pipeline["created"] + index * _TASK)
    paused, resumed = pipeline.get("paused"), pipeline.get("resumed")
    if paused is not None and resumed is not None and run_at + _TASK > paused:
        # What the pause stopped, and what fell into it, is made up for afterwards.
        run_at = max(run_at, resumed)
    finish = run_at + _TASK
    if paused is not None and resumed is None and finish > paused:
        return Task("canceled", from_time, to_time, run_at, None)
    if now < run_at:
        return Task("pending", from_time, to_time, run_at, None)
    if now < finish:
        return Task("running", from_time, to_time, run_at, None)
    retried = moment(from_time).date().isoformat() in pipeline.get("retried", ())
    return Task("retried" if retried else "succeeded", from_time, to_time, run_at, finish)


def _name_format(pipeline: dict[str, Any]) -> str:
    return "%Y%m%d%H" if pipeline["frequency"] == "hourly" else "%Y%m%d"


def _iso(time: int) -> str:
    return moment(time).replace(microsecond=0).isoformat()


def _date(text: str) -> date:
    return date.fromisoformat(text)


def _sunday(year: int, month: int, which: int) -> datetime:
    first = datetime(year, month, 1, tzinfo=UTC)
    return first + timedelta(days=(6 - first.weekday()) % 7 + 7 * (which - 1))
