"""Multipart forms, encoded by httpx; imported only where a call has files."""

from collections.abc import Sequence

import httpx

from mixpanel_mcp.api.request import Pairs


def multipart_body(fields: Pairs, files: Sequence[tuple[str, str, bytes]]) -> tuple[bytes, str]:
    """Encode fields and files (field, file name, content); returns the body and its type."""
    values: dict[str, list[str]] = {}
    for name, value in fields:
        values.setdefault(name, []).append(value)
    parts = [(field, (name, content)) for field, name, content in files]
    request = httpx.Request("POST", "http://localhost", data=values, files=parts)
    return request.read(), request.headers["Content-Type"]
