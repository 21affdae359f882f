"""OpenTelemetry, set up by its usual environment variables, and only where one of them asks for it.

The MCP SDK makes a span for each request, `mixpanel_mcp.spans` what happens below it. Here they
meet an exporter: over OTLP (`OTEL_EXPORTER_OTLP_ENDPOINT` and its kin), or on stderr
(`OTEL_TRACES_EXPORTER=console`), as stdout may be the protocol's.
"""

import logging
from collections.abc import Callable, Collection, Mapping
from importlib.util import find_spec

_log = logging.getLogger(__name__)

_EXPORTER = "OTEL_TRACES_EXPORTER"
_ENDPOINTS = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
_PROTOCOLS = ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL")
_PROTOCOL = "http/protobuf"


def start_tracing(
    environment: Mapping[str, str], known_words: Callable[[], Collection[str]]
) -> None:
    """Record spans if the environment names an exporter or an endpoint.

    What cannot be done is one warning, and no reason not to serve.

    Args:
        environment: variables such as `os.environ`.
        known_words: what may stand in the name of a request's span; clients can ask for any other
            tool or method, and call it by whatever they have in their hands.
    """
    exporter = _wanted(environment)
    if exporter is None:
        return
    if not _is_installed():
        named = next(name for name in (_EXPORTER, *_ENDPOINTS) if environment.get(name))
        _log.warning("%s is set, but without mixpanel-mcp[otel] there are no traces", named)
        return
    from mixpanel_mcp.tracing.recording import record  # noqa: PLC0415  # not everybody has it

    record(exporter, known_words())


def _is_installed() -> bool:
    # Of the packages that share the name `opentelemetry`, the SDK brings the first and our
    # exporter the second; find_spec fails where their parent is not there at all.
    try:
        return all(
            find_spec(name) for name in ("opentelemetry.sdk", "opentelemetry.exporter.otlp.proto")
        )
    except ModuleNotFoundError:
        return False


def _wanted(environment: Mapping[str, str]) -> str | None:
    """The exporter that is asked for, if we have it."""
    given = {name: value.strip() for name, value in environment.items() if value.strip()}
    if given.get("OTEL_SDK_DISABLED", "").lower() == "true":
        return None
    implied = "otlp" if any(name in given for name in _ENDPOINTS) else "none"
    exporter = given.get(_EXPORTER, implied).lower()
    if exporter not in {"otlp", "console", "none"}:
        _log.warning("%s: there are otlp, console and none, so there are no traces", _EXPORTER)
        return None
    protocol = next((given[name] for name in _PROTOCOLS if name in given), _PROTOCOL)
    if exporter == "otlp" and protocol != _PROTOCOL:
        _log.warning("%s: there is only %s, so there are no traces", _PROTOCOLS[1], _PROTOCOL)
        return None
    return None if exporter == "none" else exporter
