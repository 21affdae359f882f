"""Identities: tie an anonymous id, or another name, to a known user. It cannot be undone."""

import re
from typing import Annotated, Any

from pydantic import AfterValidator, Field, SecretStr

from mixpanel_mcp.api.client import project_token
from mixpanel_mcp.api.errors import FailedError
from mixpanel_mcp.api.regions import Family
from mixpanel_mcp.api.request import (
    FORM,
    Credential,
    Request,
    compact_json,
    form_body,
    pairs,
    switch,
)
from mixpanel_mcp.operation import Answer, Call, Effect, Write, operation
from mixpanel_mcp.operations.acknowledgement import read_acknowledgement, require_known_outcome
from mixpanel_mcp.operations.arguments import Identifier, WebAddress
from mixpanel_mcp.sanitize import quoted

_UUID_V4 = re.compile(
    r"[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-4[0-9a-fA-F]{3}-[89abAB][0-9a-fA-F]{3}-[0-9a-fA-F]{12}"
)


def _uuid_v4(value: str) -> str:
    # Mixpanel acknowledges any other id and then fails to merge it, where nobody looks.
    if not _UUID_V4.fullmatch(value):
        raise ValueError(
            "must be a UUID of version 4, such as 0b2f1c0e-7d5a-4c3e-9a51-6f1de2b9c7aa"
        )
    return value


class _IdentityEvent(Write):
    """Arguments of both kinds of identity event."""

    project_token: SecretStr | None = Field(
        default=None, description="Only the connection's own token, which is the default."
    )
    strict: bool = Field(default=True, description="Ask Mixpanel to validate.")
    verbose: bool = Field(default=True, description="Ask for the reason of a failure.")
    redirect: WebAddress | None = Field(
        default=None, description="Legacy; never followed, and hides the outcome."
    )


class CreateIdentity(_IdentityEvent):
    """Arguments of create_identity."""

    identified_id: Identifier = Field(description="Id of the known user.")
    anon_id: Annotated[str, AfterValidator(_uuid_v4)] = Field(
        description="Anonymous id to merge into it: a UUID v4, never merged before."
    )


class CreateAlias(_IdentityEvent):
    """Arguments of create_alias."""

    distinct_id: Identifier = Field(description="Id that Mixpanel already knows.")
    alias: Identifier = Field(description="New id that will point to it.")


@operation(
    title="Create identity",
    toolset="identities",
    effect=Effect.IRREVERSIBLE,
    docs="identity.openapi.yaml /track#create-identity",
)
async def create_identity(call: Call, args: CreateIdentity) -> Answer:
    """Merge an anonymous user into an identified one ($identify), for good.

    Only works in projects with Original ID Merge; elsewhere Mixpanel acknowledges and does nothing.
    """
    properties = {"$identified_id": args.identified_id, "$anon_id": args.anon_id}
    await _send(call, args, "$identify", properties)
    return _merged(args.anon_id, args.identified_id)


@operation(
    title="Create alias",
    toolset="identities",
    effect=Effect.IRREVERSIBLE,
    docs="identity.openapi.yaml /track#identity-create-alias",
)
async def create_alias(call: Call, args: CreateAlias) -> Answer:
    """Let a new id (alias) point to a known distinct_id ($create_alias), for good.

    Has no effect in projects with Simplified ID Merge, although Mixpanel acknowledges it.
    """
    properties = {"distinct_id": args.distinct_id, "alias": args.alias}
    await _send(call, args, "$create_alias", properties)
    return _merged(args.alias, args.distinct_id)


async def _send(call: Call, args: _IdentityEvent, event: str, properties: dict[str, Any]) -> None:
    token = (
        args.project_token.get_secret_value()
        if args.project_token is not None
        else project_token(call.connection)
    )
    payload = {"event": event, "properties": {**properties, "token": token}}
    request = Request(
        family=Family.INGESTION,
        region=call.region,
        method="POST",
        path="/track",
        query=pairs({"verbose": switch(args.verbose), "redirect": args.redirect}),
        body=form_body([("data", compact_json(payload)), ("strict", switch(args.strict))]),
        content_type=FORM,
        credential=Credential.NONE,
    )
    acknowledgement = read_acknowledgement(request, await call.send(request))
    if not acknowledgement.accepted or acknowledgement.rejected or acknowledgement.misplaced:
        reasons = [reason for _, reason in acknowledgement.rejected.values()]
        raise FailedError(
            f"Mixpanel did not take the {event} event. Check the ids and the project token.",
            said="; ".join([acknowledgement.reason, *reasons]).strip("; "),
        )
    require_known_outcome(request, redirect=args.redirect)


def _merged(other: str, known: str) -> Answer:
    return Answer(
        headline=f"Mixpanel acknowledged: {quoted(other)} now belongs to {quoted(known)}.",
        data={"acknowledged": True, "merged": [other, known]},
        notes=[
            "the merge itself runs later and can still fail (event property $failure_reason); "
            "projects with Simplified ID Merge ignore it"
        ],
    )
