"""The answers of `/import`, where a 400 is partial success."""

import json
from typing import Any

from mixpanel_mcp.api.replies import Reply, failure
from mixpanel_mcp.api.request import Request
from mixpanel_mcp.json_values import is_object
from mixpanel_mcp.operations.acknowledgement import failed_records
from mixpanel_mcp.operations.batches import BatchResult, acknowledged_batch


def imported_batch(request: Request, reply: Reply, count: int) -> BatchResult:
    """Read `/import`'s answer: a 400 is partial success, and a 200 may still say less than all."""
    document = _document(reply)
    explained = document is not None and "failed_records" in document
    if reply.status != 200 and not (reply.status == 400 and explained):
        raise failure(request, reply)
    if document is None or "num_records_imported" not in document:
        return acknowledged_batch(request, reply, count)
    rejected, _ = failed_records(document, count)
    imported = document["num_records_imported"]
    believable = isinstance(imported, int) and not isinstance(imported, bool) and imported >= 0
    accepted = min(imported, count - len(rejected)) if believable else 0
    if reply.status == 400 and not rejected and not accepted:
        raise failure(request, reply)
    return BatchResult(accepted, rejected)


def _document(reply: Reply) -> dict[str, Any] | None:
    try:
        document: object = json.loads(reply.body)
    except (ValueError, RecursionError):
        return None
    return document if is_object(document) else None
