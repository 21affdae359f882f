"""What the passthrough tools take: their arguments, read into body and headers."""

import base64
import json
import re
from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Literal
from urllib.parse import unquote_to_bytes

from pydantic import BeforeValidator, Field

from mixpanel_mcp.api.errors import InvalidArgumentsError, RefusedError
from mixpanel_mcp.api.request import FORM, JSON, Pairs, form_body, json_body, pairs
from mixpanel_mcp.files.root import OutsideError
from mixpanel_mcp.operation import Call, InProject, Write
from mixpanel_mcp.operations.arguments import JsonObject, from_json

_LARGEST_FILE = 10 * 1024 * 1024

# What would change whose request it is, or hide from the safety rules what it says. Many servers
# read an underscore in a name as a dash, so both are forbidden.
_FORBIDDEN_HEADERS = re.compile(
    r"(authorization|cookie2?|set-cookie|host|content-length|content-encoding|transfer-encoding|"
    r"connection|keep-alive|te|trailer|upgrade|expect|via|forwarded|x-forwarded-.*|x-real-ip|"
    r"x-original-.*|x-rewrite-.*|x-http-method.*|x-method-override|proxy-.*)"
)
_HEADER_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
_HEADER_VALUE = re.compile(r"[\t\x20-\x7e]*")


Method = Annotated[
    Literal["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD"],
    BeforeValidator(lambda value: value.upper() if isinstance(value, str) else value),  # pyright: ignore[reportUnknownLambdaType]
]


class Passthrough(Write, InProject):
    """Arguments of all three."""

    data: Annotated[Any, BeforeValidator(from_json)] = Field(
        default=None,
        description="Body: text, or JSON sent as JSON. Not with form_data or file_data.",
    )
    form_data: JsonObject | None = Field(
        default=None, description="Form fields (urlencoded); a list repeats its key."
    )
    file_data: dict[str, str] | None = Field(
        default=None,
        description="Multipart files: field to a path below the files root, or a data: URI.",
    )
    file_data_file_names: dict[str, str] | None = Field(
        default=None, description="File names for the fields of file_data."
    )
    query_parameters: JsonObject | None = Field(
        default=None, description="Query; a list repeats its key. project_id is added if missing."
    )
    headers: JsonObject | None = Field(
        default=None, description="Headers; not Authorization, Host, Cookie and the like."
    )
    response_type: Literal["json", "text", "binary"] = Field(
        default="json", description="How to read it."
    )
    timeout_ms: int | None = Field(default=None, ge=1, description="Limit of one attempt.")
    retry_delay_ms: int = Field(default=0, ge=0, description="Pause between attempts.")
    retry_on_all_errors: bool = Field(default=False, description="Also retry a 429.")
    max_retry_count: int = Field(
        default=0,
        ge=0,
        le=10,
        description="Retries after 5xx, lost links, time-outs.",
    )
    use_exponential_backoff: bool = Field(
        default=False, description="2 s doubling, not retry_delay_ms."
    )


def read_body(
    call: Call, args: Passthrough, form: Mapping[str, Any] | None
) -> tuple[bytes, str | None, Pairs]:
    """Body, content type and form fields.

    Raises:
        InvalidArgumentsError: two bodies at once, or a file that cannot be read.
    """
    if args.data is not None and (form or args.file_data):
        raise InvalidArgumentsError(["data: cannot stand beside form_data or file_data"])
    if args.file_data_file_names and set(args.file_data_file_names) - set(args.file_data or {}):
        raise InvalidArgumentsError(["file_data_file_names: has a field that file_data has not"])
    fields = pairs(form or {})
    if args.file_data:
        # httpx knows multipart; it is loaded only where something is sent.
        from mixpanel_mcp.api.multipart import multipart_body  # noqa: PLC0415

        names = args.file_data_file_names or {}
        files = [
            (field, names.get(field) or _file_name(field, source), _file(call, field, source))
            for field, source in args.file_data.items()
        ]
        body, content_type = multipart_body(fields, files)
        return body, content_type, fields
    if form or (form is not None and args.data is None):
        return form_body(fields), FORM, fields
    if args.data is None:
        return b"", None, ()
    if isinstance(args.data, str):
        return args.data.encode(), _content_type_of(args.data), ()
    return json_body(args.data), JSON, ()


def _content_type_of(text: str) -> str:
    """What a text most likely is; a Content-Type among the headers wins."""
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return FORM if re.fullmatch(r"[\w.%$+~-]+=\S*", text) else "text/plain"
    return JSON


def _file_name(field: str, source: str) -> str:
    return field if source.startswith("data:") else source.rsplit("/", 1)[-1]


def _file(call: Call, field: str, source: str) -> bytes:
    if source.startswith("data:"):
        head, separator, content = source.partition(",")
        if not separator:
            raise InvalidArgumentsError([f"file_data.{field[:60]}: is not a data: URI"])
        raw = unquote_to_bytes(content)
        try:
            return base64.b64decode(raw, validate=True) if head.endswith(";base64") else raw
        except ValueError:
            raise InvalidArgumentsError([f"file_data.{field[:60]}: is not Base64"]) from None
    if call.files is None:
        raise RefusedError(
            "Nothing was sent: files are read only below a folder that the operator sets "
            "(MIXPANEL_MCP_FILES_ROOT), and none is set. A data: URI works without it."
        )
    try:
        return call.files.read(source, _LARGEST_FILE)
    except OutsideError as error:
        raise RefusedError(f"Nothing was sent: {error}.") from error


def read_headers(given: Mapping[str, Any] | None) -> Pairs:
    headers = pairs(given or {})
    faults = list(_header_faults(headers))
    if faults:
        raise InvalidArgumentsError(faults)
    return headers


def _header_faults(headers: Pairs) -> Iterator[str]:
    for name, value in headers:
        if not _HEADER_NAME.fullmatch(name):
            yield f"headers.{name[:40]!r}: is not a header's name"
        elif _FORBIDDEN_HEADERS.fullmatch(name.lower().replace("_", "-")):
            yield f"headers.{name}: is this server's to set"
        elif name.lower() == "content-type" and "multipart/" in value.lower():
            yield f"headers.{name}: a multipart body is made from file_data"
        elif not _HEADER_VALUE.fullmatch(value):
            yield f"headers.{name}: has characters that a header cannot carry"
