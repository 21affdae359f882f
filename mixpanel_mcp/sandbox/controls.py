"""The sandbox's own calls: what Mixpanel offers only in its interface, and what tests need.

They want the sandbox's credentials and no `Origin`, so that no web page can reach them.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeVar

from anyio import to_thread
from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    field_validator,
    model_validator,
)
from starlette.responses import JSONResponse, Response

from mixpanel_mcp.analytics.expressions import Bindings, Subject, condition, segment
from mixpanel_mcp.sandbox.authentication import is_service_account
from mixpanel_mcp.sandbox.bodies import read_body
from mixpanel_mcp.sandbox.clock import moment
from mixpanel_mcp.sandbox.data_groups import data_group_id, declare
from mixpanel_mcp.sandbox.faults import Fault
from mixpanel_mcp.sandbox.json_values import NotJsonError, is_object, parse_json, write_json
from mixpanel_mcp.sandbox.parameters import YEARS
from mixpanel_mcp.sandbox.replies import RefusedError
from mixpanel_mcp.sandbox.state import project_of

if TYPE_CHECKING:
    from starlette.requests import Request

Body = TypeVar("Body", bound=BaseModel)


def _condition_on(subject: Subject) -> Callable[[str], str]:
    """Check what can only be computed later. The place of a fault is in the message."""

    def check(text: str) -> str:
        condition(text, subject, Bindings())
        return text

    return check


def _day(text: str) -> str:
    if date.fromisoformat(text).year not in YEARS:
        raise ValueError(f"must lie in a year from {YEARS[0]} to {YEARS[-1]}")
    return text


EventCondition = Annotated[str, AfterValidator(_condition_on(Subject.EVENTS))]
ProfileCondition = Annotated[str, AfterValidator(_condition_on(Subject.PROFILES))]
Day = Annotated[str, Field(pattern=r"^\d{4}-\d{2}-\d{2}$"), AfterValidator(_day)]


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid")


class FunnelStep(_Body):
    event: str = Field(min_length=1)
    where: EventCondition | None = None


class SavedFunnel(_Body):
    name: str = Field(min_length=1)
    steps: list[FunnelStep] = Field(min_length=1)
    length: int = Field(default=14, ge=1)
    length_unit: Literal["day", "hour", "minute", "second"] = "day"


class InsightsEvent(_Body):
    event: str = Field(min_length=1)
    math: Literal["total", "unique"] = "total"
    where: EventCondition | None = None


class SavedInsights(_Body):
    name: str = Field(min_length=1)
    events: list[InsightsEvent] = Field(min_length=1)
    breakdown: str | None = None
    unit: Literal["hour", "day", "week", "month"] = "day"
    chart: Literal["line", "bar", "table"] = "line"
    from_date: Day
    to_date: Day

    @model_validator(mode="after")
    def _in_order(self) -> SavedInsights:
        if self.from_date > self.to_date:
            raise ValueError("from_date cannot be later than to_date")
        return self

    @field_validator("breakdown")
    @classmethod
    def _readable(cls, breakdown: str | None) -> str | None:
        if breakdown and breakdown.startswith(("properties[", "user[")):
            segment(breakdown, Subject.EVENTS, Bindings())
        return breakdown


class SavedCohort(_Body):
    name: str = Field(min_length=1)
    where: ProfileCondition | None = None
    distinct_ids: list[str] | None = None

    @model_validator(mode="after")
    def _defined_once(self) -> SavedCohort:
        if (self.where is None) == (self.distinct_ids is None):
            raise ValueError("a cohort is defined by where or by distinct_ids")
        return self


class DeclaredGroup(_Body):
    group_key: str = Field(min_length=1)


class Reset(_Body):
    demo: bool = True


async def save_funnel(request: Request) -> Response:
    body = (await _read(request, SavedFunnel)).model_dump(exclude_none=True)
    identifier = await to_thread.run_sync(project_of(request).save, "funnel", body)
    return JSONResponse({"funnel_id": identifier})


async def save_insights(request: Request) -> Response:
    body = (await _read(request, SavedInsights)).model_dump(exclude_none=True)
    identifier = await to_thread.run_sync(project_of(request).save, "insights", body)
    return JSONResponse({"bookmark_id": identifier})


async def save_cohort(request: Request) -> Response:
    body = (await _read(request, SavedCohort)).model_dump(exclude_none=True)
    project = project_of(request)
    created = moment(project.clock.now()).strftime("%Y-%m-%d %H:%M:%S")
    identifier = await to_thread.run_sync(project.save, "cohort", {**body, "created": created})
    return JSONResponse({"id": identifier})


async def declare_group(request: Request) -> Response:
    key = (await _read(request, DeclaredGroup)).group_key
    await to_thread.run_sync(declare, project_of(request), [key])
    # As a text: not every JSON parser keeps 64 bits.
    return JSONResponse({"data_group_id": str(data_group_id(key))})


async def order_fault(request: Request) -> Response:
    project_of(request).faults.order(await _read(request, Fault))
    return JSONResponse({})


async def list_requests(request: Request) -> Response:
    _require_caller(request)
    return JSONResponse(project_of(request).requests_log.entries())


async def reset(request: Request) -> Response:
    body = await _read(request, Reset)
    project = project_of(request)
    await to_thread.run_sync(project.reset_data, body.demo)
    project.forget_requests()
    return JSONResponse({})


def _require_caller(request: Request) -> None:
    if "origin" in request.headers:
        raise _refused(403, "The sandbox's controls do not answer web pages.")
    if not is_service_account(request):
        raise _refused(401, "The sandbox's controls need its credentials as Basic authentication.")


async def _read(request: Request, body: type[Body]) -> Body:
    _require_caller(request)
    try:
        given = parse_json(await read_body(request) or b"{}")
        write_json(given).encode()
    except UnicodeEncodeError:
        raise _refused(400, "The body holds half a character.") from None
    except NotJsonError as error:
        raise _refused(400, f"The body must be a JSON object: {error}") from error
    if not is_object(given):
        raise _refused(400, "The body must be a JSON object.")
    try:
        return body.model_validate(given)
    except ValidationError as error:
        faults: list[Any] = error.errors(include_url=False, include_context=False)
        told = "; ".join(f"{'.'.join(map(str, f['loc']))}: {f['msg']}" for f in faults)
        raise _refused(400, told) from error


def _refused(status: int, error: str) -> RefusedError:
    return RefusedError(JSONResponse({"error": error, "status": "error"}, status))
