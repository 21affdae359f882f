"""The connections and the policy, frozen."""

from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Self

from pydantic import BeforeValidator, Field, SecretStr, field_validator

from mixpanel_mcp.destinations import parse_destination
from mixpanel_mcp.settings.base import CommaSeparated, Frozen, expanded
from mixpanel_mcp.settings.callers import Caller
from mixpanel_mcp.settings.confirmation import Confirmation
from mixpanel_mcp.settings.hosting import Hosting
from mixpanel_mcp.settings.origins import parse_base_url
from mixpanel_mcp.settings.regions import Region, parse_region

CONNECTION_PREFIX = "MIXPANEL_"
POLICY_PREFIX = "MIXPANEL_MCP_"
# The one that the environment describes, which nobody named.
DEFAULT_CONNECTION = "default"


class LogLevel(StrEnum):
    """The least important lines of the log that are still shown."""

    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


class LogFormat(StrEnum):
    """How the log's lines are written."""

    TEXT = "text"
    JSON = "json"


class Connection(Frozen):
    """One Mixpanel project and the credentials for it."""

    name: str = DEFAULT_CONNECTION
    username: str | None = Field(
        default=None,
        description="Service account name, from Organization Settings > Service Accounts.",
    )
    password: SecretStr | None = Field(default=None, description="Secret of the service account.")
    project_token: SecretStr | None = Field(
        default=None, description="Project token: names the project when data is written."
    )
    project_id: int | None = Field(
        default=None, gt=0, description="Project id, from Project Settings."
    )
    workspace_id: int | None = Field(
        default=None, gt=0, description="Data view to query, if not all data."
    )
    region: Annotated[Region, BeforeValidator(parse_region)] = Field(
        default=Region.US, description="Where the project's data lives: us, eu or in."
    )
    base_url: str | None = Field(
        default=None,
        description="Origin that replaces all of Mixpanel's: for a proxy or a sandbox.",
    )
    sandbox: bool = False
    tabled: frozenset[str] | None = None
    """The fields that its table of a file gives; None where no file names it."""

    @field_validator("base_url")
    @classmethod
    def _origin_only(cls, value: str | None) -> str | None:
        return parse_base_url(value)

    def place(self, name: str) -> str:
        """Where a person mends a field: in the variable that gave it, or in its table."""
        of_variable = name in self.model_fields_set and name not in (self.tabled or ())
        if self.tabled is None or of_variable:
            return f"{CONNECTION_PREFIX}{name.upper()}"
        return f"connections.{self.name}.{name}"


class Policy(Frozen):
    """What the operator allows."""

    read_only: bool = Field(default=False, description="Offer nothing that changes the project.")
    toolsets: CommaSeparated[str] = Field(default=(), description="Offer only these toolsets.")
    tools: CommaSeparated[str] = Field(
        default=(), description="Offer these tools (beside TOOLSETS)."
    )
    exclude_tools: CommaSeparated[str] = Field(default=(), description="Never offer these tools.")
    tool_prefix: str = Field(
        default="",
        pattern=r"^[A-Za-z0-9_-]{0,20}$",
        description="Put before the name of every tool.",
    )
    confirmation: Confirmation = Field(
        default=Confirmation.FLAG,
        description="flag: confirm=true suffices where a client cannot ask a person; "
        "human: only a person's yes does.",
    )
    files_root: Path | None = Field(
        default=None, description="Folder below which files are read and written; none without it."
    )
    audit_log: Path | None = Field(
        default=None, description="File for one JSON line per call that writes; the log without it."
    )
    config: Path | None = Field(
        default=None, description="TOML file that names several connections."
    )
    allowed_projects: CommaSeparated[int] = Field(
        default=(), description="Project ids that calls may name; any without it."
    )
    allowed_tokens: CommaSeparated[SecretStr] = Field(
        default=(), description="Project tokens that may be sent beside the connection's own."
    )
    allowed_destinations: CommaSeparated[str] = Field(
        default=(),
        description="Where pipelines may send data; anywhere (once confirmed) without it.",
    )
    cache_seconds: float = Field(
        default=60,
        ge=0,
        le=3600,
        description="How long answers of reads are kept; 0 keeps none.",
    )
    read_seconds: float = Field(default=30, gt=0, le=3600, description="Deadline of a read.")
    write_seconds: float = Field(default=60, gt=0, le=3600, description="Deadline of a write.")
    export_seconds: float = Field(
        default=1200, gt=0, le=86400, description="Deadline of an export."
    )
    export_max_bytes: int | None = Field(
        default=None, gt=0, description="Most bytes that all exports may take; any without it."
    )
    export_max_days: int | None = Field(
        default=None,
        gt=0,
        le=36_500,
        description="Days after which an export is deleted; never without it.",
    )

    import_rate: int = Field(
        default=30_000,
        ge=0,
        description="Events a second that an import sends at most (Mixpanel's own limit); "
        "0: as many as it takes.",
    )
    log_level: LogLevel = Field(
        default=LogLevel.WARNING,
        description="What the log on stderr shows: debug (each request), info (each call), "
        "warning or error.",
    )
    log_format: LogFormat = Field(
        default=LogFormat.TEXT,
        description="How the log's lines are written: text, or json (one object a line).",
    )

    @field_validator("files_root", "audit_log", "config")
    @classmethod
    def _at_home(cls, value: Path | None) -> Path | None:
        return None if value is None else expanded(value)

    @field_validator("log_level", "log_format", mode="before")
    @classmethod
    def _any_letter_case(cls, value: object) -> object:
        return value.lower() if isinstance(value, str) else value

    @field_validator("files_root")
    @classmethod
    def _existing_folder(cls, value: Path | None) -> Path | None:
        if value is not None and not value.is_dir():
            raise ValueError("is not a folder that exists")
        return value.resolve() if value is not None else None

    @field_validator("allowed_destinations")
    @classmethod
    def _known_destinations(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for entry in value:
            parse_destination(entry)
        return value


class Settings:
    """Everything one server is told; the first connection is the default."""

    def __init__(
        self,
        connection: Connection,
        policy: Policy,
        others: Sequence[Connection] = (),
        *,
        callers: Sequence[Caller] = (),
        hosting: Hosting | None = None,
    ) -> None:
        self.connection = connection
        self.policy = policy
        self.connections = (connection, *others)
        self.callers = tuple(callers)
        self.hosting = hosting or Hosting()

    @property
    def several(self) -> bool:
        """Whether a call has to say which connection it means."""
        return len(self.connections) > 1

    @property
    def choice(self) -> Sequence[str]:
        """The names a call can choose from, the default first; none where there is no choice."""
        return [each.name for each in self.connections] if self.several else []

    def with_connection(self, connection: Connection) -> Self:
        """The same policy for this connection alone, which is then that of all callers."""
        callers = [each.model_copy(update={"connections": ()}) for each in self.callers]
        return type(self)(connection, self.policy, callers=callers, hosting=self.hosting)

    def with_policy(self, policy: Policy, connections: Sequence[Connection]) -> Self:
        """The same server under another policy, for these connections."""
        default, *others = connections
        return type(self)(default, policy, others, callers=self.callers, hosting=self.hosting)


CONNECTION_NAMES = tuple(
    name for name in Connection.model_fields if name not in {"name", "sandbox", "tabled"}
)
POLICY_NAMES = tuple(Policy.model_fields)
