"""One call as a trace: what was asked, sent, waited for; and of nobody's data a word."""

import asyncio
import json
import subprocess
import sys
from collections.abc import Generator, Sequence
from typing import Any

import anyio
import pytest
from harness import CANARY_PASSWORD, CANARY_TOKEN, Connect, Era, Person, Waits
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import StatusCode
from processes import INITIALIZE, bare_environment, connection_to, raw_server
from upstream import Held, Reply, Upstream

from mixpanel_mcp import spans
from mixpanel_mcp.server.vocabulary import vocabulary
from mixpanel_mcp.settings import Policy
from mixpanel_mcp.tracing.discretion import DiscreetExporter
from mixpanel_mcp.tracing.recording import OpenTelemetryRecorder

DATA = "canary-data-5f3759df"
FUNNELS = "GET /api/query/funnels/list"


class Trace:
    """The spans that were exported, found by their names."""

    def __init__(self, memory: InMemorySpanExporter) -> None:
        self._memory = memory

    @property
    def spans(self) -> Sequence[ReadableSpan]:
        return self._memory.get_finished_spans()

    def named(self, name: str) -> list[ReadableSpan]:
        return [span for span in self.spans if span.name == name]

    def below(self, parent: ReadableSpan) -> list[str]:
        """The names of what happened right below a span, in the order of their beginnings."""
        children = [
            span
            for span in self.spans
            if span.parent and parent.context and span.parent.span_id == parent.context.span_id
        ]
        return [span.name for span in sorted(children, key=lambda span: span.start_time or 0)]


@pytest.fixture
def trace(monkeypatch: pytest.MonkeyPatch) -> Generator[Trace]:
    """Record the spans of this process, ours and the SDK's, while a test runs."""
    memory, provider = InMemorySpanExporter(), TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(DiscreetExporter(memory, vocabulary(Policy()))))
    # OpenTelemetry lets a process set its provider once and for all.
    monkeypatch.setattr("mcp.shared._otel._tracer", provider.get_tracer("mcp-python-sdk"))
    spans.record_with(OpenTelemetryRecorder(provider))
    yield Trace(memory)
    spans.record_with(None)
    provider.shutdown()


async def test_a_call_with_a_retry_is_a_tree(
    connect: Connect, upstream: Upstream, waits: Waits, trace: Trace, era: Era
) -> None:
    upstream.on("/api/query/funnels/list", Reply(503), Reply(json=[]))

    async with connect(era=era, pacing=waits.pacing()) as tools:
        await tools.call("list_saved_funnels")

    (called,) = trace.named("tools/call list_saved_funnels")
    (read,) = trace.named("mixpanel.read")
    first, second = trace.named(FUNNELS)
    assert trace.below(called) == ["mixpanel.read"]
    assert [name for name in trace.below(read) if name != "mixpanel.wait.budget"] == [
        FUNNELS,
        "mixpanel.wait.retry",
        FUNNELS,
    ]
    assert first.status.status_code is StatusCode.ERROR
    assert dict(first.attributes or {}) == {
        "http.request.method": "GET",
        "url.template": "/api/query/funnels/list",
        "http.response.status_code": 503,
        "error.type": "503",
        "server.address": "127.0.0.1",
        "server.port": int(upstream.url.rpartition(":")[2]),
        "mixpanel.api": "query",
        "mixpanel.region": "us",
    }
    assert second.status.status_code is StatusCode.UNSET
    assert (second.attributes or {})["http.request.resend_count"] == 1
    assert (called.attributes or {})["mixpanel.outcome"] == "ok"
    assert (
        len({span.context.trace_id for span in (called, read, first, second) if span.context}) == 1
    )


async def test_the_trace_tells_what_the_cache_did(
    connect: Connect, upstream: Upstream, trace: Trace
) -> None:
    let_go = asyncio.Event()
    upstream.on("/api/query/funnels/list", Held(let_go, Reply(json=[])))

    async with connect() as tools, anyio.create_task_group() as together:
        together.start_soon(tools.call, "list_saved_funnels")
        await upstream.opened(1)
        together.start_soon(tools.call, "list_saved_funnels")
        await anyio.wait_all_tasks_blocked()
        let_go.set()
    async with connect() as tools:
        upstream.on("/api/query/funnels/list", Reply(json=[]))
        await tools.call("list_saved_funnels")
        await tools.call("list_saved_funnels")

    told = [(span.attributes or {})["mixpanel.cache"] for span in trace.named("mixpanel.read")]
    assert sorted(map(str, told)) == ["follow", "hit", "lead", "lead"]


async def test_waiting_for_a_person_is_a_span(
    connect: Connect, upstream: Upstream, trace: Trace
) -> None:
    upstream.default = Reply(json={"status": 1, "error": None})

    async with connect(era="legacy", person=Person()) as tools:
        await tools.call("delete_profile", delete_profiles=[DATA], confirm=True)

    (waited,) = trace.named("mixpanel.wait.person")
    (called,) = trace.named("tools/call delete_profile")
    assert "mixpanel.wait.person" in trace.below(called)
    assert trace.below(waited) == ["MCP send elicitation/create"]


async def test_a_connection_that_breaks_is_an_error_with_its_kind(
    connect: Connect, upstream: Upstream, trace: Trace, unused_port: Any
) -> None:
    away = {"base_url": f"http://127.0.0.1:{unused_port()}"}
    async with connect(connection=away) as tools:
        assert (await tools.call("list_saved_funnels")).is_error

    attempts = trace.named(FUNNELS)
    assert attempts
    assert all((span.attributes or {})["error.type"] == "never_sent" for span in attempts)
    (called,) = trace.named("tools/call list_saved_funnels")
    assert (called.attributes or {})["mixpanel.outcome"] == "failed: UnreachableError"
    assert upstream.requests == []


def _call(name: str, **arguments: Any) -> dict[str, Any]:
    return {"name": name, "arguments": arguments}


# Each brings data to where it could slip into a span: names, ids, errors, exceptions.
TALK: list[tuple[str, dict[str, Any]]] = [
    ("tools/call", _call("query_profiles", distinct_ids=[DATA], where=f'"{DATA}" == "x"')),
    ("tools/call", _call("create_profile", properties=[{"$distinct_id": DATA, "plan": DATA}])),
    ("tools/call", _call("delete_profile", delete_profiles=[DATA], confirm=True)),
    ("tools/call", _call("raw_request", url=f"/api/app/projects/4242/x/{DATA}", method="GET")),
    ("tools/call", _call("download_data", from_date="2026-01-01", to_date="2026-01-02")),
    ("tools/call", _call("query_profiles", bogus=DATA)),
    ("tools/call", _call(f"{DATA} {DATA}", x=DATA)),
    ("tools/call", {"name": 7, "arguments": DATA}),
    ("prompts/get", {"name": DATA, "arguments": {DATA: DATA}}),
    ("resources/read", {"uri": f"mixpanel://{DATA}"}),
    (f"no/{DATA}", {"a": DATA}),
]


async def test_on_stderr_each_span_is_a_line_without_data_or_secrets(upstream: Upstream) -> None:
    upstream.default = Reply(400, json={"error": f"{DATA} is wrong"})
    environment = {
        **connection_to(upstream),
        "OTEL_TRACES_EXPORTER": "console",
        "OTEL_SERVICE_NAME": "our-assistant",
    }
    async with raw_server("--log-level", "error", environment=environment) as server:
        await server.ask("initialize", **INITIALIZE)
        server.tell({"jsonrpc": "2.0", "method": "notifications/initialized"})
        for method, params in TALK:
            await server.ask(method, **params)
        await server.end()

    lines = [line for line in server.errors.splitlines() if line.startswith("{")]
    told = [json.loads(line) for line in lines]
    assert len([span for span in told if span["name"].startswith("tools/call")]) == 8
    assert "tools/call _OTHER _OTHER" in {span["name"] for span in told}
    assert "POST /engage" in {span["name"] for span in told}
    assert {span["resource"]["attributes"]["service.name"] for span in told} == {"our-assistant"}
    for secret in (DATA, CANARY_PASSWORD, CANARY_TOKEN, "4242", "robot"):
        assert secret not in "\n".join(lines)


@pytest.mark.parametrize(
    ("variables", "said"),
    [
        ({}, ""),
        ({"OTEL_SERVICE_NAME": "alone"}, ""),
        ({"OTEL_TRACES_EXPORTER": "none", "OTEL_EXPORTER_OTLP_ENDPOINT": "http://x"}, ""),
        ({"OTEL_TRACES_EXPORTER": "console", "OTEL_SDK_DISABLED": "true"}, ""),
        ({"OTEL_TRACES_EXPORTER": "zipkin"}, "there are otlp, console and none"),
        (
            {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://x", "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"},
            "there is only http/protobuf",
        ),
    ],
    ids=["nothing", "a name alone", "none", "disabled", "another exporter", "another protocol"],
)
def test_without_an_exporter_nothing_is_recorded_or_loaded(
    variables: dict[str, str], said: str
) -> None:
    script = """
import os, sys
from mixpanel_mcp import spans
from mixpanel_mcp.tracing import start_tracing
start_tracing(os.environ, frozenset)
print("opentelemetry" in sys.modules, spans.span("a") is spans.span("b"))
"""
    ran = _run(script, variables)
    assert ran.stdout == "False True\n"
    assert (said in ran.stderr) if said else not ran.stderr
    assert len(ran.stderr.splitlines()) == bool(said)


def test_a_variable_without_the_extra_is_one_warning() -> None:
    script = """
import os, sys
from importlib.abc import MetaPathFinder
class Without(MetaPathFinder):
    def find_spec(self, name, path, target=None):
        if name.startswith("opentelemetry.sdk"):
            raise ModuleNotFoundError(name)
sys.meta_path.insert(0, Without())
from mixpanel_mcp.tracing import start_tracing
start_tracing(os.environ, frozenset)
"""
    ran = _run(script, {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9"})
    assert ran.stderr == (
        "OTEL_EXPORTER_OTLP_ENDPOINT is set, but without mixpanel-mcp[otel] there are no traces\n"
    )


def _run(script: str, variables: dict[str, str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(  # noqa: S603 - our own interpreter and code
        [sys.executable, "-c", script],
        capture_output=True,
        text=True,
        check=True,
        timeout=20,
        env=bare_environment(variables),
    )
