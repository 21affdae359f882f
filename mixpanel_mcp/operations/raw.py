"""The three passthroughs: any path of Mixpanel's, behind the same walls as every other tool."""

import base64
import json
import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import Annotated, Any, Literal
from urllib.parse import unquote_to_bytes

from pydantic import BeforeValidator, Field

from mixpanel_mcp.api.errors import FailedError, InvalidArgumentsError, MixpanelError, RefusedError
from mixpanel_mcp.api.regions import Family
from mixpanel_mcp.api.replies import Reply, failure
from mixpanel_mcp.api.request import (
    FORM,
    JSON,
    Credential,
    Pairs,
    Request,
    RetryRules,
    compact_json,
    form_body,
    json_body,
    pairs,
)
from mixpanel_mcp.files.root import OutsideError
from mixpanel_mcp.json_values import is_object
from mixpanel_mcp.operation import Answer, Call, Effect, InProject, Status, Write, operation
from mixpanel_mcp.operations.acknowledgement import read_acknowledgement
from mixpanel_mcp.operations.arguments import JsonObject, from_json
from mixpanel_mcp.operations.raw_path import Target, read_url, target_of, with_data_prefix
from mixpanel_mcp.sanitize import clean_data

_MOST_BINARY = 64 * 1024
_LARGEST_FILE = 10 * 1024 * 1024
_ERROR_BODY = 20_000

# What would change whose request it is, or hide from the safety rules what it says.
_FORBIDDEN_HEADERS = re.compile(
    r"(authorization|cookie2?|set-cookie|host|content-length|content-encoding|transfer-encoding|"
    r"connection|keep-alive|te|trailer|upgrade|expect|via|forwarded|x-forwarded-.*|x-real-ip|"
    r"x-original-.*|x-rewrite-.*|x-http-method.*|x-method-override|proxy-.*)"
)
_HEADER_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
_HEADER_VALUE = re.compile(r"[\t\x20-\x7e]*")

# These endpoints know the caller by the token in the payload, and ignore a service account.
_TOKEN_PATHS = re.compile(r"/(track|engage|groups)/?", re.IGNORECASE)

Method = Annotated[
    Literal["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD"],
    BeforeValidator(lambda value: value.upper() if isinstance(value, str) else value),  # pyright: ignore[reportUnknownLambdaType]
]


class _Passthrough(Write, InProject):
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
    retry_on_all_errors: bool = Field(
        default=False, description="Also retry a 429, where it is safe."
    )
    max_retry_count: int = Field(
        default=0, ge=0, le=10, description="Retries after 5xx and lost links."
    )
    use_exponential_backoff: bool = Field(
        default=False, description="2 s doubling, not retry_delay_ms."
    )


class CreateGenericPipeline(_Passthrough):
    """Arguments of create_generic_pipeline."""

    url: str = Field(default="/nessie/pipeline/create", description="Path on the data host.")
    method: Method = Field(default="POST", description="HTTP method.")


class EditGenericPipeline(_Passthrough):
    """Arguments of edit_generic_pipeline."""

    name: str | None = Field(default=None, description="Pipeline to edit: goes into the form.")
    url: str = Field(default="/nessie/pipeline/edit", description="Path on the data host.")
    method: Method = Field(default="POST", description="HTTP method.")


class RawRequest(_Passthrough):
    """Arguments of raw_request."""

    url: str = Field(description="Path, such as /api/query/cohorts/list.")
    method: Method = Field(description="HTTP method.")
    base_url: str | None = Field(
        default=None,
        description="A Mixpanel origin, such as https://api-eu.mixpanel.com; from url if unset.",
    )


@operation(
    title="Create any pipeline",
    toolset="pipelines",
    effect=Effect.IRREVERSIBLE,
    docs="data-pipelines.openapi.yaml /nessie/pipeline/create",
)
async def create_generic_pipeline(call: Call, args: CreateGenericPipeline) -> Answer:
    """Create a pipeline of any type (S3, Azure, BigQuery, Snowflake, ...) with form_data.

    form_data needs type, from_date and the type's own fields, e.g. {"type": "s3-raw", "s3_bucket":
    ..., "s3_region": ..., "s3_role": ...}.
    """
    return await _pass_through(call, args, _on_data_host(call, args.url), args.form_data)


@operation(
    title="Edit any pipeline",
    toolset="pipelines",
    effect=Effect.IRREVERSIBLE,
    docs="data-pipelines.openapi.yaml /nessie/pipeline/edit",
)
async def edit_generic_pipeline(call: Call, args: EditGenericPipeline) -> Answer:
    """Edit a pipeline of any type with form_data: events (the whole new list), where, and more."""
    form = dict(args.form_data or {})
    if args.name is not None:
        if form.get("name", args.name) != args.name:
            raise InvalidArgumentsError(["name: form_data names another pipeline"])
        form["name"] = args.name
    elif args.data is None and "name" not in form:
        raise InvalidArgumentsError(["name: say which pipeline to edit"])
    return await _pass_through(call, args, _on_data_host(call, args.url), form or None)


@operation(
    title="Raw request",
    toolset="raw",
    effect=Effect.IRREVERSIBLE,
    reads_sometimes=True,
    docs="all specifications",
)
async def raw_request(call: Call, args: RawRequest) -> Answer:
    """Send any request to Mixpanel's API with the connection's credentials.

    For what no other tool does. Reads go through; writes that this server does not know count as
    irreversible and need a confirmation.
    """
    target = target_of(call.connection, args.url, args.base_url, args.region)
    return await _pass_through(call, args, target, args.form_data)


def _on_data_host(call: Call, url: str) -> Target:
    path, query = read_url(url)
    return Target(Family.DATA, call.region, with_data_prefix(path), query)


async def _pass_through(
    call: Call,
    args: CreateGenericPipeline | EditGenericPipeline | RawRequest,
    target: Target,
    form: Mapping[str, Any] | None,
) -> Answer:
    body, content_type, fields = _body(call, args, form)
    query = target.query + _texts(args.query_parameters)
    by_token = bool(_TOKEN_PATHS.fullmatch(target.path)) and target.family is Family.INGESTION
    if not by_token:
        query += _project(call, target.path, query, fields, args.data)
    request = Request(
        family=target.family,
        region=target.region,
        method=args.method,
        path=target.path,
        query=query,
        headers=_headers(args.headers),
        body=body,
        content_type=content_type,
        credential=Credential.NONE if by_token else Credential.SERVICE_ACCOUNT,
        timeout_seconds=args.timeout_ms / 1000 if args.timeout_ms else None,
        retry=RetryRules(
            attempts=args.max_retry_count,
            delay_seconds=None if args.use_exponential_backoff else args.retry_delay_ms / 1000,
            on_rate_limit=args.retry_on_all_errors,
        ),
    )
    reply = await call.send(request)
    if not 200 <= reply.status < 300:
        raise _with_body(failure(request, reply), reply)
    if by_token:
        acknowledgement = read_acknowledgement(request, reply)
        if not acknowledgement.accepted or acknowledgement.rejected:
            raise _with_body(
                FailedError(
                    "Mixpanel did not take the data (it said so inside a 200).",
                    said=acknowledgement.reason,
                ),
                reply,
            )
    return _answer(call, args, request, reply)


def _project(call: Call, path: str, query: Pairs, fields: Pairs, data: Any) -> Pairs:
    """The project id that goes with a service account, where the request names none."""
    named = any(name == "project_id" for name, _ in (*query, *fields)) or "/projects/" in path
    named = named or (is_object(data) and "project_id" in data)
    if named or call.project_id is None:
        return ()
    return (("project_id", str(call.project_id)),)


def _body(
    call: Call, args: _Passthrough, form: Mapping[str, Any] | None
) -> tuple[bytes, str | None, Pairs]:
    """Body, content type and form fields.

    Raises:
        InvalidArgumentsError: two bodies at once, or a file that cannot be read.
    """
    if args.data is not None and (form or args.file_data):
        raise InvalidArgumentsError(["data: cannot stand beside form_data or file_data"])
    if args.file_data_file_names and set(args.file_data_file_names) - set(args.file_data or {}):
        raise InvalidArgumentsError(["file_data_file_names: has a field that file_data has not"])
    fields = _texts(form)
    if args.file_data:
        # httpx knows multipart; it is loaded only where something is sent.
        from mixpanel_mcp.api.multipart import multipart_body  # noqa: PLC0415

        names = args.file_data_file_names or {}
        files = [
            (field, names.get(field) or source.rsplit("/", 1)[-1][-80:], _file(call, field, source))
            for field, source in args.file_data.items()
        ]
        body, content_type = multipart_body(fields, files)
        return body, content_type, fields
    if form is not None:
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


def _texts(fields: Mapping[str, Any] | None) -> Pairs:
    return pairs(fields or {})


def _headers(given: Mapping[str, Any] | None) -> Pairs:
    headers = _texts(given)
    faults = list(_header_faults(headers))
    if faults:
        raise InvalidArgumentsError(faults)
    return headers


def _header_faults(headers: Pairs) -> Iterator[str]:
    for name, value in headers:
        if not _HEADER_NAME.fullmatch(name):
            yield f"headers.{name[:40]!r}: is not a header's name"
        elif _FORBIDDEN_HEADERS.fullmatch(name.lower()):
            yield f"headers.{name}: is this server's to set"
        elif not _HEADER_VALUE.fullmatch(value):
            yield f"headers.{name}: has characters that a header cannot carry"


def _with_body(error: MixpanelError, reply: Reply) -> MixpanelError:
    """Give programs the JSON that came with an error, such as `/import`'s rejected records."""
    if len(reply.body) <= _ERROR_BODY:
        with suppress(ValueError, RecursionError):
            error.data["body"] = clean_data(json.loads(reply.body))
    return error


def _answer(call: Call, args: _Passthrough, request: Request, reply: Reply) -> Answer:
    content_type = reply.headers.get("content-type", "")
    headline = f"{request.method} {request.path} was answered with HTTP {reply.status}."
    data: dict[str, Any] = {"http_status": reply.status, "content_type": content_type}
    if args.response_type == "binary":
        return _binary(call, headline, data, reply)
    if args.response_type == "json" and reply.body:
        try:
            body: Any = json.loads(reply.body)
        except (ValueError, RecursionError):
            note = "the reply is not JSON, so it is given as text (response_type=text)"
            return Answer(
                headline=headline, data={**data, "body": reply.text}, text=reply.text, notes=[note]
            )
        return Answer(headline=headline, data={**data, "body": body}, text=compact_json(body))
    return Answer(
        headline=headline, data={**data, "body": reply.text or None}, text=reply.text or None
    )


def _binary(call: Call, headline: str, data: dict[str, Any], reply: Reply) -> Answer:
    size = len(reply.body)
    if size <= _MOST_BINARY:
        encoded = base64.b64encode(reply.body).decode()
        return Answer(headline=headline, data={**data, "bytes": size, "base64": encoded})
    if call.files is None:
        return Answer(
            headline=f"{headline} Its {size} bytes are not here.",
            data={**data, "bytes": size},
            notes=[
                "more than 64 kB go to a file, and no folder is set for files: ask the person to "
                "set MIXPANEL_MCP_FILES_ROOT"
            ],
            status=Status.PARTIAL,
            complete=False,
        )
    try:
        path, file = call.files.create(call.files.fresh_name("reply", "bin"))
    except OutsideError as error:
        raise FailedError(f"The reply could not be written to a file: {error}.") from error
    with file:
        file.write(reply.body)
    return Answer(
        headline=f"{headline} It is in {path}.", data={**data, "bytes": size, "path": str(path)}
    )
