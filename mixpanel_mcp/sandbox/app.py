"""The embedded Mixpanel: the paths of all four host families on one origin."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from anyio import to_thread
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from mixpanel_mcp.sandbox import (
    cohorts,
    controls,
    engage,
    event_reports,
    export,
    funnel_reports,
    ingestion,
    insights_reports,
    pipelines,
    profiles,
    retention_reports,
    segmentation_reports,
)
from mixpanel_mcp.sandbox.clock import Clock
from mixpanel_mcp.sandbox.engage import EngageSessions
from mixpanel_mcp.sandbox.faults import Faults, FaultsMiddleware
from mixpanel_mcp.sandbox.guard import LoopbackMiddleware
from mixpanel_mcp.sandbox.jql import routes as jql
from mixpanel_mcp.sandbox.jql.scripts import Scripts
from mixpanel_mcp.sandbox.queries import answering
from mixpanel_mcp.sandbox.rate_limits import RateLimits, RateLimitsMiddleware
from mixpanel_mcp.sandbox.replies import RefusedError
from mixpanel_mcp.sandbox.requests_log import RequestsLog, RequestsLogMiddleware
from mixpanel_mcp.sandbox.state import IdMerge, Project

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable
    from datetime import date
    from pathlib import Path

    from starlette.requests import Request
    from starlette.types import ASGIApp, Receive, Scope, Send

Endpoint = Any

_INGESTION: tuple[tuple[str, list[str], Endpoint], ...] = (
    ("/track", ["GET", "POST"], ingestion.track),
    # The specification has only POST; the official client for Node imports single events by GET.
    ("/import", ["GET", "POST"], ingestion.import_events),
    ("/engage", ["GET", "POST"], profiles.engage),
    ("/groups", ["GET", "POST"], profiles.groups),
)
_QUERY: tuple[tuple[str, list[str], Endpoint], ...] = (
    ("/engage", ["POST"], engage.query_profiles),
    ("/funnels/list", ["GET"], answering(funnel_reports.list_funnels)),
    ("/funnels", ["GET"], answering(funnel_reports.query_funnel)),
    ("/insights", ["GET"], answering(insights_reports.query_insights)),
    ("/retention", ["GET"], answering(retention_reports.query_retention)),
    ("/retention/addiction", ["GET"], answering(retention_reports.query_frequency)),
    ("/segmentation", ["GET"], answering(segmentation_reports.query_segmentation)),
    ("/segmentation/numeric", ["GET"], answering(segmentation_reports.query_ranges)),
    ("/segmentation/sum", ["GET"], answering(segmentation_reports.query_sums)),
    ("/segmentation/average", ["GET"], answering(segmentation_reports.query_averages)),
    ("/events", ["GET"], answering(event_reports.query_totals)),
    ("/events/top", ["GET"], answering(event_reports.query_top_events)),
    ("/events/names", ["GET"], answering(event_reports.query_names)),
    ("/events/properties", ["GET"], answering(event_reports.query_properties)),
    ("/events/properties/top", ["GET"], answering(event_reports.query_top_properties)),
    ("/events/properties/values", ["GET"], answering(event_reports.query_top_values)),
    ("/stream/query", ["GET"], answering(event_reports.query_activity)),
    ("/cohorts/list", ["POST"], answering(cohorts.list_cohorts)),
    ("/jql", ["POST"], jql.query_jql),
)
_DATA: tuple[tuple[str, list[str], Endpoint], ...] = (
    ("/export", ["GET"], export.export),
    ("/nessie/pipeline/jobs", ["GET"], pipelines.list_pipelines),
    ("/nessie/pipeline/status", ["GET"], pipelines.show_status),
    ("/nessie/pipeline/timeline", ["GET"], pipelines.show_timeline),
    ("/nessie/pipeline/create", ["POST"], pipelines.create),
    ("/nessie/pipeline/edit", ["POST"], pipelines.edit),
    ("/nessie/pipeline/cancel", ["POST"], pipelines.cancel),
    ("/nessie/pipeline/pause", ["POST"], pipelines.pause),
    ("/nessie/pipeline/resume", ["POST"], pipelines.resume),
)
_CONTROLS: tuple[tuple[str, list[str], Endpoint], ...] = (
    ("/funnels", ["POST"], controls.save_funnel),
    ("/insights", ["POST"], controls.save_insights),
    ("/cohorts", ["POST"], controls.save_cohort),
    ("/groups", ["POST"], controls.declare_group),
    ("/faults", ["POST"], controls.order_fault),
    ("/requests", ["GET"], controls.list_requests),
    ("/reset", ["POST"], controls.reset),
)


def create_app(
    *,
    demo: bool = True,
    data: Path | None = None,
    today: Callable[[], date] | None = None,
    id_merge: IdMerge | None = None,
    limits: bool = False,
) -> Starlette:
    """Build the application. Its data is opened at the start, or by the first request."""
    faults, requests_log = Faults(), RequestsLog()
    rate_limits = RateLimits() if limits else None
    project = Project(
        Clock(today),
        demo=demo,
        data=data,
        id_merge=id_merge,
        faults=faults,
        requests_log=requests_log,
        sessions=EngageSessions(),
        rate_limits=rate_limits,
    )

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncGenerator[None]:
        await to_thread.run_sync(project.open)
        yield
        await to_thread.run_sync(project.close)

    app = Starlette(
        routes=_routes(),
        middleware=[
            Middleware(LoopbackMiddleware),
            Middleware(RequestsLogMiddleware, requests_log),
            *([Middleware(RateLimitsMiddleware, rate_limits)] if rate_limits else []),
            Middleware(FaultsMiddleware, faults),
            Middleware(_OpenMiddleware, project),
        ],
        exception_handlers={
            RefusedError: _answer_refused,
            404: _answer_unknown,
            405: _answer_wrong_method,
        },
        lifespan=lifespan,
    )
    app.router.redirect_slashes = False
    app.state.project = project
    app.state.scripts = Scripts()
    return app


class _OpenMiddleware:
    """Waits until the data is there, for servers that know no lifespan."""

    def __init__(self, app: ASGIApp, project: Project) -> None:
        self.app = app
        self.project = project

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and not self.project.is_open:
            await to_thread.run_sync(self.project.open)
        await self.app(scope, receive, send)


def _routes() -> list[Route]:
    routes = [
        *_prefixed("", _INGESTION),
        # Official SDKs write a slash at the end of ingestion paths.
        *(Route(f"{path}/", endpoint, methods=methods) for path, methods, endpoint in _INGESTION),
        *_prefixed("/api/query", _QUERY),
        *_prefixed("/api/2.0", _DATA),
        *_prefixed("/sandbox", _CONTROLS),
    ]
    for path, methods, endpoint in _QUERY:
        # `mixpanel-utils` reads profiles with GET on the legacy base.
        legacy = ["GET", *methods] if path == "/engage" else methods
        routes.append(Route(f"/api/2.0{path}", endpoint, methods=legacy))
    return routes


def _prefixed(prefix: str, table: tuple[tuple[str, list[str], Endpoint], ...]) -> list[Route]:
    return [Route(prefix + path, endpoint, methods=methods) for path, methods, endpoint in table]


async def _answer_refused(_: Request, error: Exception) -> Response:
    assert isinstance(error, RefusedError)  # noqa: S101  # for the type checker
    return error.response


async def _answer_unknown(request: Request, _: Exception) -> Response:
    error = f"The sandbox does not know {request.method} {request.url.path} yet."
    return JSONResponse({"error": error}, 501)


async def _answer_wrong_method(request: Request, error: Exception) -> Response:
    message = f"{request.method} is not allowed on {request.url.path}"
    headers = getattr(error, "headers", None)
    return JSONResponse({"error": message, "status": "error"}, 405, headers=headers)
