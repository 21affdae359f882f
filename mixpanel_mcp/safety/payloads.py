"""What a request carries, read the way Mixpanel may read it.

A body can be a JSON document, JSON lines, or a form whose `data` field is JSON or Base64 of it;
`data` may stand in the query as well. Which reading the server picks depends on headers and
history, so all readings that succeed count, and the worst of them decides.
"""

import base64
import binascii
import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from email.message import Message
from email.parser import BytesParser
from email.policy import HTTP
from typing import Any
from urllib.parse import parse_qsl, unquote_plus

from mixpanel_mcp.api.request import FORM, Pairs, Request
from mixpanel_mcp.json_values import is_list, is_object


class _UnreadableError(ValueError):
    pass


@dataclass(frozen=True)
class Payload:
    """`records` are the objects sent; `fields` the form's and the query's.

    `understood` is false when something was sent that has no reading here. `files` describes the
    files of a multipart form, whose content is nobody's to read.
    """

    records: list[Any] = field(default_factory=list[Any])
    fields: Pairs = ()
    understood: bool = True
    files: tuple[str, ...] = ()

    def all(self, name: str) -> list[str]:
        return [value for key, value in self.fields if key == name]


def read_payload(request: Request) -> Payload:
    parts = _multipart(request)
    if parts:
        # No endpoint takes multipart, so what it would do with one is anybody's guess.
        fields = [*request.query, *((part.name, part.text) for part in parts)]
        files = tuple(f"{part.name}: {part.file}, {part.size} bytes" for part in parts if part.file)
        records, _ = _data_fields(fields)
        return Payload(records, tuple(fields), understood=False, files=files)
    documents = _documents(request.body) if request.body else []
    form = _form(request) if request.body else []
    fields = [*request.query, *(form or [])]
    records, decoded = _data_fields(fields)
    understood = decoded and (documents is not None or form is not None)
    return Payload([*(documents or []), *records], tuple(fields), understood)


def _data_fields(fields: list[tuple[str, str]]) -> tuple[list[Any], bool]:
    """The records in `data` fields, and whether all of them could be read."""
    read = [_encoded_documents(value) for name, value in fields if name == "data"]
    return [record for documents in read for record in documents or []], None not in read


def _documents(body: bytes) -> list[Any] | None:
    """The objects of a JSON document or of JSON lines; None if it is neither."""
    try:
        text = body.decode()
    except UnicodeDecodeError:
        return None
    try:
        return _as_list(_parse(text))
    except _UnreadableError:
        pass
    try:
        lines = [line for line in text.split("\n") if line.strip()]
        return [item for line in lines for item in _as_list(_parse(line))]
    except _UnreadableError:
        return None


def _form(request: Request) -> list[tuple[str, str]] | None:
    """The fields of a form, looked for even where the header says otherwise."""
    text = request.body.decode(errors="replace")
    fields = parse_qsl(text, keep_blank_values=True)
    says_form = any(FORM in kind.lower() for kind in _content_types(request))
    hides_data = any(name == "data" for name, _ in fields)
    return fields if says_form or hides_data else None


@dataclass(frozen=True)
class _Part:
    name: str
    file: str
    text: str
    size: int


def _multipart(request: Request) -> list[_Part]:
    """The parts of a multipart form."""
    kinds = [kind.strip() for kind in _content_types(request)]
    kind = next((kind for kind in kinds if kind.lower().startswith("multipart/")), None)
    if kind is None:
        return []
    head = f"Content-Type: {kind}\r\n\r\n".encode()
    message = BytesParser(policy=HTTP).parsebytes(head + request.body)
    parts = [_part(part) for part in message.walk() if not part.is_multipart()]
    return parts or [_Part("", "", "", len(request.body))]


def _part(part: Message) -> _Part:
    content = part.get_payload(decode=True)
    raw = content if isinstance(content, bytes) else b""
    name = str(part.get_param("name", "", header="content-disposition"))
    return _Part(name, part.get_filename("") or "", raw.decode(errors="replace"), len(raw))


def _content_types(request: Request) -> Iterable[str]:
    yield request.content_type or ""
    yield from (value for name, value in request.headers if name.lower() == "content-type")


def _encoded_documents(text: str) -> list[Any] | None:
    """The objects in a `data` field: JSON, or Base64 of JSON."""
    for candidate in (text, unquote_plus(text)):
        if (documents := _documents(candidate.encode(errors="replace"))) is not None:
            return documents
    compact = text.replace(" ", "+").replace("-", "+").replace("_", "/").rstrip("=")
    try:
        raw = base64.b64decode(compact + "=" * (-len(compact) % 4), validate=True)
    except (binascii.Error, ValueError):
        return None
    return _documents(raw)


def _parse(text: str) -> object:
    try:
        return json.loads(text, object_pairs_hook=_unique)
    except (ValueError, RecursionError) as error:
        raise _UnreadableError from error


def _unique(items: list[tuple[str, Any]]) -> dict[str, Any]:
    # Parsers differ in which of two equal keys they keep, so a second verb could hide behind one.
    document = dict(items)
    if len(document) != len(items):
        raise _UnreadableError
    return document


def _as_list(document: object) -> list[Any]:
    if is_list(document):
        return document
    if is_object(document):
        return [document]
    raise _UnreadableError
