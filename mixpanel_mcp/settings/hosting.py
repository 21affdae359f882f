"""How a server is reached, and what its replicas share."""

from enum import StrEnum

from pydantic import Field, SecretStr, ValidationInfo, field_validator

from mixpanel_mcp.settings.base import CommaSeparated, Frozen
from mixpanel_mcp.settings.origins import parse_web_address
from mixpanel_mcp.settings.secret_files import secret_or_its_file
from mixpanel_mcp.settings.web_origins import parse_host, parse_origin

_SHORTEST_SECRET = 32
_REDIS_SCHEMES = ("redis://", "rediss://", "unix://")


class Protocol(StrEnum):
    """How clients reach the server."""

    STDIO = "stdio"
    HTTP = "http"


class Hosting(Frozen):
    """The hosted server's settings; over stdio none of them is used."""

    transport: Protocol = Field(
        default=Protocol.STDIO, description="stdio (one client), or http (any number, at /mcp)."
    )
    sse: bool = Field(
        default=False, description="Serve /sse too, for clients that know nothing newer."
    )
    stateless: bool = Field(
        default=False,
        description="Give clients of the older protocols no session: any replica may answer "
        "them, none can ask their person.",
    )
    host: str = Field(default="127.0.0.1", description="Address to listen on.")
    port: int = Field(default=8000, ge=0, le=65535, description="Port to listen on; 0: any free.")
    allowed_host: CommaSeparated[str] = Field(
        default=(), description="Host headers to answer, beside loopback's: HOST or HOST:PORT."
    )
    allowed_origin: CommaSeparated[str] = Field(
        default=(), description="Origins of web pages to answer, such as https://chat.example.com."
    )
    public_url: str | None = Field(
        default=None,
        description="The URL of /mcp as clients know it; for the metadata that OAuth needs.",
    )
    max_body_bytes: int = Field(
        default=4 * 1024 * 1024, ge=1024, le=1024**3, description="Largest request body."
    )
    calls_at_once: int = Field(
        default=16, ge=1, le=1000, description="Calls of one caller that may run side by side."
    )
    max_sessions: int = Field(
        default=1000, ge=1, le=100_000, description="Sessions that one caller may have open."
    )
    session_seconds: float = Field(
        default=1800, gt=0, le=86400, description="How long a session is kept that is not used."
    )
    max_connections: int = Field(
        default=2000, ge=1, le=100_000, description="Connections of all callers together."
    )
    stop_seconds: float = Field(
        default=30, ge=0, le=3600, description="How long running calls may go on at a stop."
    )
    redis_url: SecretStr | None = Field(
        default=None,
        description="Redis or Valkey through which replicas share their budget; "
        "a URL, or file:PATH.",
    )
    state_secret: SecretStr | None = Field(
        default=None,
        validate_default=True,
        description="At least 32 characters, the same for all replicas: seals open questions; a "
        "value, or file:PATH.",
    )
    jwt_issuer: str | None = Field(
        default=None, description="Who issues the JWTs that callers send."
    )
    jwt_jwks_url: str | None = Field(default=None, description="Where that issuer's keys are.")
    jwt_audience: str | None = Field(
        default=None, description="The audience that a JWT has to be issued for."
    )

    @field_validator("redis_url", "state_secret", mode="before")
    @classmethod
    def _from_file(cls, value: object) -> object:
        return secret_or_its_file(value)

    @field_validator("redis_url")
    @classmethod
    def _known_scheme(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None and not value.get_secret_value().startswith(_REDIS_SCHEMES):
            raise ValueError("does not begin with redis://, rediss:// or unix://")
        return value

    @field_validator("allowed_host")
    @classmethod
    def _hosts(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(map(parse_host, value))

    @field_validator("allowed_origin")
    @classmethod
    def _origins(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(map(parse_origin, value))

    @field_validator("state_secret")
    @classmethod
    def _long_enough(cls, value: SecretStr | None, info: ValidationInfo) -> SecretStr | None:
        if value is None and info.data.get("redis_url") is not None:
            raise ValueError(
                "is not set, and MIXPANEL_MCP_REDIS_URL is: replicas could not read each other's "
                "open questions. Give all of them the same secret, such as what "
                "`openssl rand -hex 32` prints"
            )
        if value is not None and len(value.get_secret_value()) < _SHORTEST_SECRET:
            raise ValueError(f"is shorter than {_SHORTEST_SECRET} characters")
        return value

    @field_validator("public_url", "jwt_issuer", "jwt_jwks_url")
    @classmethod
    def _web_address(cls, value: str | None) -> str | None:
        return parse_web_address(value)


HOSTING_NAMES = tuple(Hosting.model_fields)
