"""Our spans as OpenTelemetry's. Imported only where somebody wants traces."""

import sys
from collections.abc import Collection, Generator, Mapping
from contextlib import ExitStack, contextmanager
from functools import partial
from types import TracebackType
from uuid import uuid4

from opentelemetry import context, trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import OTELResourceDetector, Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, ConsoleSpanExporter, SpanExporter
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from mixpanel_mcp import __version__, spans
from mixpanel_mcp.spans import Attributes
from mixpanel_mcp.tracing.discretion import SCOPE, DiscreetExporter

_FROM_HEADERS = TraceContextTextMapPropagator()


def record(exporter: str, known_words: Collection[str]) -> None:
    """Send all spans of this process to an exporter: `console` or `otlp`."""
    ours = {
        "service.name": "mixpanel-mcp",
        "service.version": __version__,
        "service.instance.id": str(uuid4()),
    }
    # What the environment says of the service wins.
    resource = Resource.create(ours).merge(OTELResourceDetector().detect())
    provider = TracerProvider(resource=resource)
    discreet = DiscreetExporter(_exporter(exporter), known_words)
    provider.add_span_processor(BatchSpanProcessor(discreet))
    trace.set_tracer_provider(provider)
    spans.record_with(OpenTelemetryRecorder(provider))


def _exporter(name: str) -> SpanExporter:
    if name == "console":
        return ConsoleSpanExporter(out=sys.stderr, formatter=_one_line)
    return OTLPSpanExporter()


def _one_line(span: ReadableSpan) -> str:
    return span.to_json(indent=None) + "\n"


class OpenTelemetryRecorder:
    """Hands our spans to OpenTelemetry."""

    def __init__(self, provider: TracerProvider) -> None:
        self._tracer = provider.get_tracer(SCOPE, __version__)

    @contextmanager
    def span(self, name: str, attributes: Attributes, *, outgoing: bool) -> Generator[None]:
        opened = self._tracer.start_as_current_span(
            name,
            kind=trace.SpanKind.CLIENT if outgoing else trace.SpanKind.INTERNAL,
            attributes=_present(attributes),
            # The texts of exceptions may quote a reply or an argument.
            record_exception=False,
            set_status_on_exception=False,
        )
        with opened as span, ExitStack() as ending:
            ending.push(partial(self._ended, span))
            yield

    def _ended(
        self,
        span: trace.Span,
        kind: type[BaseException] | None,
        _error: BaseException | None,
        _trace: TracebackType | None,
    ) -> None:
        """Note the kind of what ended a span, unless it was told already."""
        told: Mapping[str, object] = getattr(span, "attributes", None) or {}
        if kind is not None and "error.type" not in told:
            self.note({"error.type": kind.__qualname__})

    def note(self, attributes: Attributes) -> None:
        span = trace.get_current_span()
        span.set_attributes(_present(attributes))
        if attributes.get("error.type") is not None:
            span.set_status(trace.StatusCode.ERROR)

    def trace_id(self) -> str | None:
        current = trace.get_current_span().get_span_context()
        return trace.format_trace_id(current.trace_id) if current.is_valid else None

    @contextmanager
    def continued(self, carrier: Mapping[str, str]) -> Generator[None]:
        token = context.attach(_FROM_HEADERS.extract(carrier))
        try:
            yield
        finally:
            context.detach(token)


def _present(attributes: Attributes) -> dict[str, str | int | float | bool]:
    return {name: value for name, value in attributes.items() if value is not None}
