"""Where OAuth clients learn whom to ask for a token (RFC 9728)."""

from collections.abc import Mapping, Sequence

from mcp.server.auth.routes import build_resource_metadata_url
from mcp.shared.auth import ProtectedResourceMetadata
from starlette.responses import JSONResponse, Response

from mixpanel_mcp.settings import Caller, Hosting

_WELL_KNOWN = "/.well-known/oauth-protected-resource"
_CACHE_SECONDS = 3600


class ProtectedResource:
    """The metadata of /mcp, and of /sse where it is served."""

    def __init__(self, hosting: Hosting, callers: Sequence[Caller]) -> None:
        assert hosting.public_url is not None  # noqa: S101 - checked at the start
        assert hosting.jwt_issuer is not None  # noqa: S101 - checked at the start
        resources = {"/mcp": hosting.public_url}
        if hosting.sse and hosting.public_url.endswith("/mcp"):
            resources["/sse"] = f"{hosting.public_url.removesuffix('/mcp')}/sse"
        scopes = list(dict.fromkeys(scope for each in callers for scope in each.scopes))
        self._urls: dict[str, str] = {}
        self._documents: dict[str, Mapping[str, object]] = {}
        for path, resource in resources.items():
            metadata = ProtectedResourceMetadata.model_validate(
                {
                    "resource": resource,
                    "authorization_servers": [hosting.jwt_issuer],
                    "scopes_supported": scopes or None,
                    "resource_name": "Mixpanel",
                }
            )
            url = build_resource_metadata_url(metadata.resource)
            document = metadata.model_dump(mode="json", exclude_none=True)
            self._urls[path] = str(url)
            # A proxy may take the front of the path away.
            self._documents |= {url.path or "/": document, _WELL_KNOWN + path: document}

    def document(self, path: str) -> Response | None:
        """What lies under a path; anybody may read it."""
        if path not in self._documents:
            return None
        headers = {"Cache-Control": f"public, max-age={_CACHE_SECONDS}"}
        return JSONResponse(self._documents[path], headers=headers)

    def url_for(self, path: str) -> str:
        """Where the metadata of what lies under a path is; messages belong to their stream."""
        return self._urls.get(path) or self._urls.get("/sse") or self._urls["/mcp"]
