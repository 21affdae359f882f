"""Who is calling. Service accounts and project tokens, told apart as Mixpanel does.

Sources: reference pages `service-accounts`, `project-token`, `import-events`.
"""

from __future__ import annotations

import base64
import binascii
import hmac
from typing import TYPE_CHECKING

from mixpanel_mcp.sandbox.credentials import PASSWORD, PROJECT_ID, TOKEN, USERNAME
from mixpanel_mcp.sandbox.replies import refused, refused_ingestion

if TYPE_CHECKING:
    from starlette.requests import Request


def is_service_account(request: Request) -> bool:
    return _same(_basic(request), f"{USERNAME}:{PASSWORD}")


def is_our_token(value: object) -> bool:
    return isinstance(value, str) and _same(value, TOKEN)


def require_service_account(request: Request, project_id: str | None) -> None:
    """Let the query API, the raw export and the pipelines answer, or refuse."""
    if not is_service_account(request):
        raise refused(request, 401, "Unable to authenticate request")
    if project_id is None:
        raise refused(
            request, 400, "project_id is required to authenticate a service account request"
        )
    if not project_id.isdecimal():
        raise refused(request, 400, "project_id must be an integer")
    if int(project_id) != PROJECT_ID:
        raise refused(
            request, 403, f"The service account has no access to project {int(project_id)}"
        )


def require_importer(request: Request) -> None:
    """Let `/import` answer: a service account with a project id, or a token without one."""
    project_id = request.query_params.get("project_id")
    if _same(_basic(request), f"{TOKEN}:"):
        # "If project_id is not specified, the request will be authenticated using the provided
        # token": with one, the token is taken for the name of a service account.
        if project_id is not None:
            raise refused_ingestion(401, "Invalid credentials")
    elif not is_service_account(request):
        raise refused_ingestion(401, "Invalid credentials")
    elif project_id is None:
        raise refused_ingestion(400, "project_id is required with service account credentials")
    elif project_id != str(PROJECT_ID):
        raise refused_ingestion(401, "Invalid service account credentials")


def _basic(request: Request) -> str:
    """Read `name:secret`, which Mixpanel takes in base64 and in plain text."""
    scheme, _, value = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "basic":
        return ""
    value = value.strip()
    if ":" in value:
        return value
    try:
        return base64.b64decode(value, validate=True).decode()
    except (binascii.Error, UnicodeDecodeError):
        return ""


def _same(given: str, expected: str) -> bool:
    return hmac.compare_digest(given.encode(errors="replace"), expected.encode())
