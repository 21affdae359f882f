"""The data pipelines: `/api/2.0/nessie/pipeline/...`.

Sources: `data-pipelines.openapi.yaml`, pages `create-warehouse-pipeline`, `old-pipelines`. Nothing
is ever sent anywhere. What the pages leave open: a dated pipeline whose window has passed no longer
counts against the limit; an edit without `events` leaves them; an edit or a cancel answers `{}`;
the timeline needs a name and shows the days of which something was synced.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from anyio import to_thread
from starlette.responses import JSONResponse, Response

from mixpanel_mcp.sandbox.authentication import require_service_account
from mixpanel_mcp.sandbox.bodies import Pairs, content_type, parse_form, read_body
from mixpanel_mcp.sandbox.credentials import PROJECT_ID
from mixpanel_mcp.sandbox.parameters import Parameters
from mixpanel_mcp.sandbox.pipeline_tasks import (
    day_syncs,
    described,
    last_dispatched,
    tasks,
    window_end,
)
from mixpanel_mcp.sandbox.pipeline_types import PIPELINE_TYPES, checked_pipeline
from mixpanel_mcp.sandbox.replies import RefusedError, refused
from mixpanel_mcp.sandbox.state import Project, project_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.requests import Request

_STATES = ("pending", "running", "retried", "failed", "canceled", "timed_out")
_MOST_RECURRING = 2
_ALWAYS_EDITABLE = ("name", "project_id", "events", "where")


class Call(NamedTuple):
    """One request, read and authenticated."""

    request: Request
    project: Project
    pairs: Pairs
    form: Parameters

    def all(self, name: str) -> list[str]:
        """Read a parameter whose key is repeated for each value."""
        return [value for key, value in self.pairs if key == name and value]

    def refuse(self, status: int, error: str) -> RefusedError:
        return refused(self.request, status, error)


class Found(NamedTuple):
    identifier: int
    pipeline: dict[str, Any]


async def list_pipelines(request: Request) -> Response:
    return await _answer(request, _list)


async def show_status(request: Request) -> Response:
    return await _answer(request, _status)


async def show_timeline(request: Request) -> Response:
    return await _answer(request, _timeline)


async def create(request: Request) -> Response:
    return await _answer(request, _create)


async def edit(request: Request) -> Response:
    return await _answer(request, _edit)


async def cancel(request: Request) -> Response:
    return await _answer(request, _cancel)


async def pause(request: Request) -> Response:
    return await _answer(request, _pause)


async def resume(request: Request) -> Response:
    return await _answer(request, _resume)


async def _answer(request: Request, work: Callable[[Call], Any]) -> Response:
    call = await _call(request)
    return JSONResponse(await to_thread.run_sync(work, call))


async def _call(request: Request) -> Call:
    pairs = list(request.query_params.multi_items())
    if request.method == "POST":
        pairs += await _form(request)
    values = dict(reversed(pairs))
    require_service_account(request, values.get("project_id"))
    if len({value for name, value in pairs if name == "project_id"}) > 1:
        raise refused(request, 400, "project_id is given twice, and differs")
    return Call(request, project_of(request), pairs, Parameters.of(request, values))


async def _form(request: Request) -> Pairs:
    body = await read_body(request)
    if body and content_type(request) not in ("application/x-www-form-urlencoded", ""):
        raise refused(request, 400, "the body must be application/x-www-form-urlencoded")
    return parse_form(body)


def _list(call: Call) -> dict[str, list[dict[str, str]]]:
    now = call.project.clock.now()
    pipelines = call.project.saved("pipeline").values()
    return {
        str(PROJECT_ID): [
            {
                "name": pipeline["name"],
                "Dispatcher": "backfill" if pipeline["to_date"] else "live",
                "last_dispatched": last_dispatched(pipeline, now),
                "frequency": pipeline["frequency"],
                "sync_enabled": "true" if pipeline["sync"] else "false",
            }
            for pipeline in pipelines
        ]
    }


def _status(call: Call) -> dict[str, Any]:
    pipeline = _find(call).pipeline
    wanted = call.all("status")
    for state in wanted:
        if state not in _STATES:
            raise call.refuse(400, f"status must be one of {', '.join(_STATES)}")
    states: dict[str, list[dict[str, Any]]] = {}
    for task in tasks(pipeline, call.project.clock.now()):
        if not wanted or task.state in wanted:
            states.setdefault(task.state, []).append(described(pipeline, task))
    if call.form.choice("summary", ("true", "false")) == "true":
        return {state: len(found) for state, found in states.items()}
    return states


def _timeline(call: Call) -> dict[str, list[dict[str, Any]]]:
    return {"day_syncs": day_syncs(_find(call).pipeline, call.project.clock.now())}


def _create(call: Call) -> dict[str, list[str]]:
    project = call.project
    pipeline = checked_pipeline(call.form, call.all("events"), project.clock.today())
    pipeline["created"] = project.clock.now()
    # A trial of a schematized pipeline exports "all of your events and user data".
    both = pipeline["trial"] and PIPELINE_TYPES[pipeline["type"]].schematized
    sources = ("events", "people") if both else (pipeline["data_source"],)
    with project.store.transaction():
        existing = list(project.saved("pipeline").values())
        _check_limits(call, pipeline, existing)
        taken = {each["name"] for each in existing}
        names: list[str] = []
        for source in sources:
            name = _free_name(_name({**pipeline, "data_source": source}), taken)
            project.save("pipeline", {**pipeline, "name": name, "data_source": source})
            names.append(name)
    return {"pipeline_names": names}


def _edit(call: Call) -> dict[str, Any]:
    found = _find(call)
    pipeline = found.pipeline
    editable = (*_ALWAYS_EDITABLE, *PIPELINE_TYPES[pipeline["type"]].editable)
    for name, _ in call.pairs:
        if name not in editable:
            raise call.refuse(400, f"{name} of a {pipeline['type']} pipeline cannot be edited")
    events, where = call.all("events"), call.form.condition("where")
    if pipeline["trial"] and events:
        raise call.refuse(400, "a trial pipeline exports all events: events cannot be set")
    if events:
        pipeline["events"] = events
    if where is not None:
        pipeline["where"] = where
    call.project.replace("pipeline", found.identifier, pipeline)
    return {}


def _cancel(call: Call) -> dict[str, Any]:
    found = _find(call)
    if found.pipeline["trial"]:
        raise call.refuse(400, "a trial pipeline cannot be deleted")
    call.project.forget("pipeline", found.identifier)
    return {}


def _pause(call: Call) -> dict[str, Any]:
    found = _find(call)
    if not _is_paused(found.pipeline):
        changed = {**found.pipeline, "paused": call.project.clock.now(), "resumed": None}
        call.project.replace("pipeline", found.identifier, changed)
    return {}


def _resume(call: Call) -> dict[str, Any]:
    found = _find(call)
    if _is_paused(found.pipeline):
        changed = {**found.pipeline, "resumed": call.project.clock.now()}
        call.project.replace("pipeline", found.identifier, changed)
    return {}


def _is_paused(pipeline: dict[str, Any]) -> bool:
    return pipeline.get("paused") is not None and pipeline.get("resumed") is None


def _find(call: Call) -> Found:
    name = call.form.required("name")
    for identifier, pipeline in call.project.saved("pipeline").items():
        if pipeline["name"] == name:
            return Found(identifier, pipeline)
    raise call.refuse(404, f"pipeline {name} does not exist")


def _check_limits(call: Call, new: dict[str, Any], existing: list[dict[str, Any]]) -> None:
    """Per project: one trial ever, two recurring of different frequency, one dated."""
    if new["trial"]:
        if any(each["trial"] for each in existing):
            raise call.refuse(400, "this project has had its trial pipeline")
        return
    if new["data_source"] != "events":
        return
    now = call.project.clock.now()
    counted = [each for each in existing if not each["trial"] and each["data_source"] == "events"]
    if new["to_date"] is not None:
        if any((window_end(each) or 0) > now for each in counted):
            raise call.refuse(400, "this project already has a date range pipeline")
        return
    recurring = [each["frequency"] for each in counted if each["to_date"] is None]
    if new["frequency"] in recurring:
        raise call.refuse(400, f"this project already has a recurring {new['frequency']} pipeline")
    if len(recurring) >= _MOST_RECURRING:
        raise call.refuse(400, "this project already has two recurring pipelines")


def _name(pipeline: dict[str, Any]) -> str:
    parts = [
        "trial" if pipeline["trial"] else "",
        pipeline["data_source"],
        "backfill" if pipeline["to_date"] else pipeline["frequency"],
        pipeline["type"],
        pipeline.get("schema_type", ""),
    ]
    return "-".join(part for part in parts if part)


def _free_name(name: str, taken: set[str]) -> str:
    number = 2
    free = name
    while free in taken:
        free = f"{name}-{number}"
        number += 1
    return free
