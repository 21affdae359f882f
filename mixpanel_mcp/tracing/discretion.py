"""What leaves in a span: nothing that a client or Mixpanel has said.

The SDK's spans carry what a client called its tool, its method and its request, and the texts of
errors. Of them the words that we know stay, and the kinds of errors, and the times.
"""

from collections.abc import Collection, Sequence

from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult
from opentelemetry.trace import Status
from opentelemetry.util.types import AttributeValue

SCOPE = "mixpanel_mcp"

# As the semantic conventions call what is not among the known ones.
_OTHER = "_OTHER"
_WORDS_OF_SDK = ("MCP", "send")
_MOST_WORDS = 4
_NAMED_BY_CLIENTS = {
    "mcp.method.name",
    "mcp.protocol.version",
    "gen_ai.tool.name",
    "gen_ai.prompt.name",
}
_OWN = {"gen_ai.operation.name", "error.type", "rpc.response.status_code"}


class DiscreetExporter(SpanExporter):
    """Hands spans on without the words of others."""

    def __init__(self, exporter: SpanExporter, known_words: Collection[str]) -> None:
        self._exporter = exporter
        self._known = frozenset([*known_words, *_WORDS_OF_SDK])

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        return self._exporter.export([self._discreet(span) for span in spans])

    def shutdown(self) -> None:
        self._exporter.shutdown()

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        return self._exporter.force_flush(timeout_millis)

    def _discreet(self, span: ReadableSpan) -> ReadableSpan:
        scope = span.instrumentation_scope
        if scope is not None and scope.name == SCOPE:
            return span
        words = span.name.split(" ", maxsplit=_MOST_WORDS - 1)
        attributes = {
            name: self._known_or_other(value) if name in _NAMED_BY_CLIENTS else value
            for name, value in (span.attributes or {}).items()
            if name in _NAMED_BY_CLIENTS | _OWN or name.startswith("mixpanel.")
        }
        return ReadableSpan(
            name=" ".join(map(self._known_or_other, words)),
            context=span.context,
            parent=span.parent,
            resource=span.resource,
            attributes=attributes,
            kind=span.kind,
            instrumentation_scope=scope,
            status=Status(span.status.status_code),
            start_time=span.start_time,
            end_time=span.end_time,
        )

    def _known_or_other(self, word: AttributeValue) -> str:
        return word if isinstance(word, str) and word in self._known else _OTHER
