"""Multipart forms, encoded by httpx; imported only where a call has files."""

import hashlib
from collections.abc import Sequence

import httpx

from mixpanel_mcp.api.request import Pairs


def multipart_body(fields: Pairs, files: Sequence[tuple[str, str, bytes]]) -> tuple[bytes, str]:
    """Encode fields and files (field, file name, content); returns the body and its type."""
    values: dict[str, list[str]] = {}
    for name, value in fields:
        values.setdefault(name, []).append(value)
    parts = [(field, (name, content)) for field, name, content in files]
    # The same form is the same body each time: a person's yes is bound to what it was given for.
    boundary = hashlib.sha256(repr((fields, files)).encode()).hexdigest()[:32]
    headers = {"Content-Type": f"multipart/form-data; boundary={boundary}"}
    request = httpx.Request("POST", "http://localhost", headers=headers, data=values, files=parts)
    return request.read(), request.headers["Content-Type"]
