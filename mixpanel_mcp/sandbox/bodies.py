"""Reading what was sent: gzip, forms, JSON, JSON Lines, base64, and how much of it."""

from __future__ import annotations

import base64
import binascii
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl

from anyio import to_thread

from mixpanel_mcp.sandbox.json_values import NotJsonError, is_object, parse_json
from mixpanel_mcp.sandbox.replies import refused_ingestion

if TYPE_CHECKING:
    from starlette.requests import Request

# `import-events`: 10 MB uncompressed. The 2097152 of the specification's example is older.
LARGEST_BODY = 10 * 1024 * 1024

Pairs = list[tuple[str, str]]


class MissingDataError(ValueError):
    """Nothing was sent that could be read as records."""


@dataclass(frozen=True)
class Submission:
    """What came to an ingestion endpoint."""

    data: Any
    switches: dict[str, str]
    size: int = 0
    """Of what was sent, unpacked, in bytes."""

    def on(self, name: str) -> bool:
        """Tell whether a 0/1 switch is on; only `1` is defined to mean so."""
        return self.switches.get(name) == "1"

    @property
    def records(self) -> list[Any]:
        return [self.data] if is_object(self.data) else self.data


async def read_submission(request: Request) -> Submission:
    """Read the records and the switches, which may stand in the query or in the form.

    Raises:
        MissingDataError: there is no data, or it cannot be read.
        RefusedError: there is too much of it.
    """
    switches = dict(request.query_params)
    if request.method == "GET":
        data = switches.pop("data", "")
        return Submission(_records(data), switches, len(data.encode()))
    body = await read_body(request)
    return await to_thread.run_sync(_submission, body, content_type(request), switches)


async def read_body(request: Request) -> bytes:
    """Read the whole body, unpacked.

    Raises:
        RefusedError: it is larger than 10 MB, packed or unpacked, or no gzip.
    """
    chunks: list[bytes] = []
    size = 0
    async for chunk in request.stream():
        size += len(chunk)
        if size <= LARGEST_BODY:
            chunks.append(chunk)
    if size > LARGEST_BODY:
        raise too_large()
    body = b"".join(chunks)
    encoding = request.headers.get("content-encoding", "identity").strip().lower()
    if encoding == "identity":
        return body
    if encoding != "gzip":
        raise refused_ingestion(400, f"unsupported Content-Encoding: {encoding}")
    return await to_thread.run_sync(_unzip, body)


async def read_form(request: Request) -> Pairs:
    """Read a form. A body of another kind counts as an empty one."""
    body = await read_body(request)
    not_forms = ("application/json", "multipart/form-data")
    return [] if content_type(request) in not_forms else parse_form(body)


def content_type(request: Request) -> str:
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()


def parse_form(body: bytes) -> Pairs:
    return parse_qsl(body.decode(errors="replace"), keep_blank_values=True)


def too_large() -> Exception:
    return refused_ingestion(413, f"request exceeds max limit of {LARGEST_BODY} bytes")


def _submission(body: bytes, kind: str, switches: dict[str, str]) -> Submission:
    if kind == "application/x-ndjson":
        return Submission(_json_lines(body), switches, len(body))
    if kind == "application/json" or body.lstrip()[:1] in (b"[", b"{"):
        return Submission(_json(body), switches, len(body))
    form = dict(parse_form(body))
    return Submission(_records(form.pop("data", "")), switches | form, len(body))


def _unzip(body: bytes) -> bytes:
    # A small body may hold a gigabyte of zeros: unpack no more than is allowed.
    unzip = zlib.decompressobj(wbits=31)
    try:
        unpacked = unzip.decompress(body, LARGEST_BODY + 1)
    except zlib.error:
        raise refused_ingestion(400, "request body is not valid gzip") from None
    if len(unpacked) > LARGEST_BODY:
        raise too_large()
    if not unzip.eof:
        raise refused_ingestion(400, "request body is not valid gzip")
    return unpacked


def _records(text: str) -> Any:
    """Read a `data` parameter: JSON, or JSON in base64 as older clients send it."""
    text = text.strip()
    if not text:
        raise MissingDataError("data, missing or empty")
    if text[0] in "[{":
        return _json(text)
    try:
        # A plus sign that nobody percent-encoded arrives as a space.
        decoded = base64.b64decode(text.replace(" ", "+"), validate=True)
    except (binascii.Error, ValueError):
        raise MissingDataError("data is neither JSON nor base64") from None
    return _json(decoded)


def _json(text: str | bytes) -> Any:
    if not text.strip():
        raise MissingDataError("data, missing or empty")
    try:
        value = parse_json(text)
    except NotJsonError as error:
        raise MissingDataError(f"data is not valid JSON: {error}") from error
    if not isinstance(value, list | dict) or not value:
        raise MissingDataError("data must be a JSON object, or an array of at least one")
    return value  # pyright: ignore[reportUnknownVariableType]  # JSON is Any until it is checked


def _json_lines(body: bytes) -> list[Any]:
    """Read each line. One that is no JSON stays text, so that validation can name its index."""
    lines = [line for line in body.split(b"\n") if line.strip()]
    if not lines:
        raise MissingDataError("data, missing or empty")
    return [_line(line) for line in lines]


def _line(line: bytes) -> Any:
    try:
        return parse_json(line)
    except NotJsonError:
        return line.decode(errors="replace")
