"""The three passthroughs: any path of Mixpanel's, behind the same walls as every other tool."""

import base64
import json
import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from typing import Any
from urllib.parse import unquote

from pydantic import Field

from mixpanel_mcp.api.errors import (
    FailedError,
    InvalidArgumentsError,
    MixpanelError,
    UnreadableReplyError,
)
from mixpanel_mcp.api.regions import Family
from mixpanel_mcp.api.replies import Reply, failure
from mixpanel_mcp.api.request import (
    Credential,
    Pairs,
    Request,
    RetryRules,
    pairs,
)
from mixpanel_mcp.files.growing import GrowingFile
from mixpanel_mcp.files.root import OutsideError
from mixpanel_mcp.json_values import as_text, is_object
from mixpanel_mcp.operation import Answer, Call, Effect, Status, operation
from mixpanel_mcp.operations.acknowledgement import read_acknowledgement
from mixpanel_mcp.operations.passthrough import Method, Passthrough, read_body, read_headers
from mixpanel_mcp.operations.raw_path import Target, read_url, target_of, with_data_prefix
from mixpanel_mcp.operations.replies import raise_error_inside
from mixpanel_mcp.sanitize import clean_data

_MOST_BINARY = 64 * 1024
_ERROR_BODY = 20_000

# These endpoints know the caller by the token in the payload, and ignore a service account.
_TOKEN_PATHS = re.compile(r"/(track|engage|groups)/?", re.IGNORECASE)
_MAY_BE_ENCODED = re.compile(r"[A-Za-z0-9+/_=%-]{40,}")
_INGESTION_PATHS = re.compile(r"/(track|import|engage|groups)/?", re.IGNORECASE)


class CreateGenericPipeline(Passthrough):
    """Arguments of create_generic_pipeline."""

    url: str = Field(default="/nessie/pipeline/create", description="Path on the data host.")
    method: Method = Field(default="POST", description="HTTP method.")


class EditGenericPipeline(Passthrough):
    """Arguments of edit_generic_pipeline."""

    name: str | None = Field(default=None, description="Pipeline to edit: goes into the form.")
    url: str = Field(default="/nessie/pipeline/edit", description="Path on the data host.")
    method: Method = Field(default="POST", description="HTTP method.")


class RawRequest(Passthrough):
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
    body, content_type, fields = read_body(call, args, form)
    query = target.query + pairs(args.query_parameters or {})
    call.region = target.region
    ingests = target.family is Family.INGESTION
    by_token = ingests and bool(_TOKEN_PATHS.fullmatch(unquote(target.path)))
    if not by_token:
        query += _project(call, target.path, query, fields, args.data)
    request = Request(
        family=target.family,
        region=target.region,
        method=args.method,
        path=target.path,
        query=query,
        headers=read_headers(args.headers),
        body=body,
        content_type=content_type,
        credential=Credential.NONE if by_token else Credential.SERVICE_ACCOUNT,
        verbatim=True,
        timeout_seconds=args.timeout_ms / 1000 if args.timeout_ms else None,
        retry=RetryRules(
            retries=args.max_retry_count,
            delay_seconds=None if args.use_exponential_backoff else args.retry_delay_ms / 1000,
            on_rate_limit=args.retry_on_all_errors,
        ),
    )
    reply = await call.send(request)
    if not 200 <= reply.status < 300:
        raise _with_body(failure(request, reply), reply)
    if ingests and _INGESTION_PATHS.fullmatch(unquote(target.path)):
        _check_acknowledgement(request, reply)
    answer = _answer(call, args, request, reply)
    if by_token and not _names_a_token(request):
        note = "the data names no project token, and Mixpanel ignores data without one"
        return replace(answer, notes=[*answer.notes, note])
    return answer


def _names_a_token(request: Request) -> bool:
    """Whether there is a token, or something that may hold one."""
    text = request.body.decode(errors="replace") + str(request.query)
    return "token" in text or bool(_MAY_BE_ENCODED.search(text))


def _check_acknowledgement(request: Request, reply: Reply) -> None:
    """Notice a failure inside a 200.

    Raises:
        FailedError: not all of the data was taken.
        OutcomeUnknownError: the answer does not tell.
    """
    try:
        acknowledgement = read_acknowledgement(request, reply)
    except UnreadableReplyError:
        return  # whoever asked raw reads raw
    if not acknowledgement.accepted or acknowledgement.rejected or acknowledgement.misplaced:
        said = acknowledgement.reason
        error = FailedError("Mixpanel did not take the data (it said so inside a 200).", said=said)
        raise _with_body(error, reply)


def _project(call: Call, path: str, query: Pairs, fields: Pairs, data: Any) -> Pairs:
    """The project id that goes with a service account, where the request names none."""
    named = any(name == "project_id" for name, _ in (*query, *fields)) or "/projects/" in path
    named = named or (is_object(data) and "project_id" in data)
    if named or call.project_id is None:
        return ()
    return (("project_id", str(call.project_id)),)


def _with_body(error: MixpanelError, reply: Reply) -> MixpanelError:
    """Give programs the JSON that came with an error, such as `/import`'s rejected records."""
    if len(reply.body) <= _ERROR_BODY:
        with suppress(ValueError, RecursionError):
            error.data["body"] = clean_data(json.loads(reply.body))
    return error


def _answer(call: Call, args: Passthrough, request: Request, reply: Reply) -> Answer:
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
        if is_object(body):
            raise_error_inside(request, body)
        return Answer(
            headline=headline, data={**data, "body": body}, text=as_text(clean_data(body))
        )
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
        file = GrowingFile(call.files, "reply", "bin")
    except OutsideError as error:
        raise FailedError(f"The reply could not be written to a file: {error}.") from error
    try:
        file.write(reply.body)
        file.finish()
    except OSError as error:
        file.discard()
        raise FailedError(f"The reply was not kept: {error.strerror} while writing it.") from error
    return Answer(
        headline=f"{headline} It is in {file.path}.",
        data={**data, "bytes": size, "path": str(file.path)},
    )
