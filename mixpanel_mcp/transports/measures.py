"""What the hosted server counts, for Prometheus.

Every label has a bounded set of values, of our own making: no name, address, token or text of a
caller or of Mixpanel is one.
"""

from collections.abc import Generator, Iterable
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from time import perf_counter
from typing import Any

from mcp import MCPError
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from mixpanel_mcp.api.request import Request
from mixpanel_mcp.json_values import is_object
from mixpanel_mcp.operation import Status
from mixpanel_mcp.operations import OPERATIONS
from mixpanel_mcp.server import Shared

_SECONDS = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 1200)
_STATUSES = {each.value for each in Status}


class Refusal(StrEnum):
    """Why a request got no further than the door."""

    HOST = "host"
    ORIGIN = "origin"
    UNAUTHENTICATED = "unauthenticated"
    FORBIDDEN = "forbidden"
    HEADERS = "headers"
    BODY_TOO_LARGE = "body_too_large"
    BODY_TOO_SLOW = "body_too_slow"
    CALLS_AT_ONCE = "calls_at_once"
    SESSIONS = "sessions"
    STOPPING = "stopping"
    TOO_LONG = "too_long"


@dataclass
class Measured:
    """A call that runs; its result tells the outcome."""

    result: object = None


class Measures:
    """One set per application."""

    content_type = "text/plain; version=0.0.4; charset=utf-8"

    def __init__(self, shared: Shared, tool_prefix: str) -> None:
        self.sessions = 0
        self._running = 0
        self._prefix = tool_prefix
        self._registry = registry = CollectorRegistry()
        calls = Counter(
            "mixpanel_mcp_calls",
            "Tool calls that ended, by tool and outcome.",
            ["tool", "outcome"],
            registry=registry,
        )
        seconds = Histogram(
            "mixpanel_mcp_call_seconds",
            "How long tool calls took.",
            ["tool"],
            buckets=_SECONDS,
            registry=registry,
        )
        running = Gauge("mixpanel_mcp_calls_running", "Calls that run.", registry=registry)
        running.set_function(lambda: self._running)
        sessions = Gauge(
            "mixpanel_mcp_sessions", "Open sessions of the older protocols.", registry=registry
        )
        sessions.set_function(lambda: self.sessions)
        self._refused = Counter(
            "mixpanel_mcp_refused", "What was refused at the door.", ["reason"], registry=registry
        )
        for reason in Refusal:
            self._refused.labels(reason)
        attempts = Counter(
            "mixpanel_mcp_upstream_requests",
            "Requests to Mixpanel, by kind of host and status (or how else they ended).",
            ["family", "status"],
            registry=registry,
        )
        self._retries = Counter(
            "mixpanel_mcp_upstream_retries",
            "Requests to Mixpanel that were sent again.",
            ["family"],
            registry=registry,
        )
        self._waits = Histogram(
            "mixpanel_mcp_budget_wait_seconds",
            "How long requests waited for a slot of the budget.",
            buckets=(0.01, 0.1, 0.5, 1, 2.5, 5, 10, 30),
            registry=registry,
        )
        registry.register(_Budgets(shared))
        # Looked up at every call, which the library does under a lock.
        self._calls, self._seconds = cache(calls.labels), cache(seconds.labels)
        self._attempts = cache(attempts.labels)

    @contextmanager
    def call(self, name: object) -> Generator[Measured]:
        """Count a tool call, however it ends."""
        tool = name.removeprefix(self._prefix) if isinstance(name, str) else ""
        if tool not in OPERATIONS:
            tool = "unknown"
        begun, measured, outcome = perf_counter(), Measured(), "ended"
        self._running += 1
        try:
            yield measured
            outcome = _outcome(measured.result)
        except MCPError:
            outcome = "protocol_error"
            raise
        finally:
            self._running -= 1
            self._calls(tool, outcome).inc()
            self._seconds(tool).observe(perf_counter() - begun)

    def refused(self, reason: Refusal) -> None:
        self._refused.labels(reason).inc()

    def attempted(self, request: Request, ended: str, *, number: int) -> None:
        family = request.family.value
        self._attempts(family, _bounded_status(ended)).inc()
        if number > 1:
            self._retries.labels(family).inc()

    def waited_for_slot(self, seconds: float) -> None:
        self._waits.observe(seconds)

    def exposition(self) -> bytes:
        """Everything, in Prometheus' text format."""
        return generate_latest(self._registry)


class _Budgets(Collector):
    """What is left of each connection's hour, read when somebody asks."""

    def __init__(self, shared: Shared) -> None:
        self._shared = shared

    def collect(self) -> Iterable[Metric]:
        left = GaugeMetricFamily(
            "mixpanel_mcp_budget_left",
            "Calls of the connection's own project that Mixpanel still allows within the hour.",
            labels=["connection", "allowance"],
        )
        for name, upstream in self._shared.upstreams.items():
            project = str(upstream.connection.project_id or "")
            for allowance, usage in upstream.new_budget().shown(project).items():
                left.add_metric([name, allowance], usage["left"])
        yield left


def _outcome(result: object) -> str:
    """The status of our answers; the SDK's own errors have none."""
    content: Any = result.get("structuredContent") if is_object(result) else None
    status = content.get("status") if is_object(content) else None
    if isinstance(status, str) and status in _STATUSES:
        return status
    if is_object(result) and result.get("resultType") == "input_required":
        return "input_required"
    return "protocol_error"


def _bounded_status(ended: str) -> str:
    """A status as it came, or a word of ours."""
    status = ended.split(",", maxsplit=1)[0]
    if status.isdigit():
        return status if 100 <= int(status) <= 599 else "other"
    return status
