"""What the operator sets: the connection (`MIXPANEL_*`) and the policy (`MIXPANEL_MCP_*` or flags).

Everything is read once, at the start, and frozen. A name that nobody knows, a near miss or a bad
value stops the start with every fault in one list, because a safety switch that is silently
ignored is worse than a server that does not come up.
"""

import difflib
import ipaddress
import re
from collections.abc import Iterable, Mapping
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Self, TypeVar
from urllib.parse import urlsplit

from pydantic import BeforeValidator, Field, SecretStr, ValidationError, field_validator
from pydantic_settings import (
    BaseSettings,
    NoDecode,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)

from mixpanel_mcp.destinations import parse_destination

CONNECTION_PREFIX = "MIXPANEL_"
POLICY_PREFIX = "MIXPANEL_MCP_"


class SettingsError(Exception):
    """The settings are wrong; `faults` has one sentence for each."""

    def __init__(self, faults: Iterable[str]) -> None:
        self.faults = tuple(faults)
        super().__init__("\n".join(self.faults))


class Region(StrEnum):
    """Where a project's data lives; it decides the host of every request."""

    US = "us"
    EU = "eu"
    IN = "in"


class LogLevel(StrEnum):
    """The least important lines of the log that are still shown."""

    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


class Confirmation(StrEnum):
    """Who may agree to what cannot be undone when the client has no way to ask a person."""

    FLAG = "flag"
    HUMAN = "human"


# The hosts' own spellings, as the connector document offers them for its three kinds of host.
REGION_SPELLINGS: Mapping[str, Region] = {
    "us": Region.US,
    "api": Region.US,
    "data": Region.US,
    "mixpanel": Region.US,
    "eu": Region.EU,
    "api-eu": Region.EU,
    "data-eu": Region.EU,
    "eu.mixpanel": Region.EU,
    "in": Region.IN,
    "api-in": Region.IN,
    "data-in": Region.IN,
    "in.mixpanel": Region.IN,
}


def parse_region(value: object) -> object:
    """Understand every spelling of a region, in any letter case."""
    if isinstance(value, str) and not isinstance(value, Region):
        region = REGION_SPELLINGS.get(value.strip().lower())
        if region is None:
            raise ValueError(f"{value!r:.60} is not a region; use us, eu or in")
        return region
    return value


def is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


# A name may not end in a number: some resolvers read 2130706433 and 0x7f000001 as addresses.
_LABEL = r"[a-z0-9_](?:[a-z0-9_-]*[a-z0-9_])?"
_ORIGIN = re.compile(
    rf"https?://(?:(?:{_LABEL}\.)*(?![0-9]){_LABEL}|(?P<address>[0-9.]+|\[[0-9a-f:.]+\]))"
    r"(?::[0-9]{1,5})?",
    re.ASCII | re.IGNORECASE,
)


def parse_base_url(value: str | None) -> str | None:
    """An origin without path, so that every endpoint keeps the path Mixpanel gives it."""
    if value is None:
        return None
    origin = value.rstrip("/")
    # Before urlsplit, which drops line breaks, overlooks blanks and quotes secrets in its errors.
    match = _ORIGIN.fullmatch(origin)
    if match is None:
        raise ValueError(
            "must be an origin alone, such as https://proxy.example.com: no user, path, query or "
            "fragment"
        )
    parts = urlsplit(origin.lower())
    host = parts.hostname or ""
    if match["address"]:
        ipaddress.ip_address(host)  # raises ValueError when it is none
    _ = parts.port  # raises ValueError when it is not a number a port can be
    if parts.scheme == "http" and not is_loopback(host):
        raise ValueError("must be https (plain http is for loopback only)")
    return f"{parts.scheme}://{parts.netloc}"


def _pieces(text: str) -> tuple[str, ...]:
    return tuple(part for part in (piece.strip() for piece in text.split(",")) if part)


def _parse_list(value: object) -> object:
    return _pieces(value) if isinstance(value, str) else value


_T = TypeVar("_T")
CommaSeparated = Annotated[tuple[_T, ...], NoDecode, BeforeValidator(_parse_list)]


class _Frozen(BaseSettings):
    # Without hide_input_in_errors a missing project id would print the secret next to it.
    model_config = SettingsConfigDict(
        frozen=True, hide_input_in_errors=True, env_ignore_empty=True, extra="forbid"
    )

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Take values from the caller alone: `load_settings` has read the environment already."""
        del settings_cls, env_settings, dotenv_settings, file_secret_settings
        return (init_settings,)


class Connection(_Frozen):
    """One Mixpanel project and the credentials for it."""

    name: str = "default"
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

    @field_validator("base_url")
    @classmethod
    def _origin_only(cls, value: str | None) -> str | None:
        return parse_base_url(value)


class Policy(_Frozen):
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
        default=0, ge=0, description="How long reads are kept; only 0, as none are kept yet."
    )
    read_seconds: float = Field(default=30, gt=0, le=3600, description="Deadline of a read.")
    write_seconds: float = Field(default=60, gt=0, le=3600, description="Deadline of a write.")
    export_seconds: float = Field(
        default=1200, gt=0, le=86400, description="Deadline of an export."
    )

    log_level: LogLevel = Field(
        default=LogLevel.WARNING,
        description="What the log on stderr shows: debug (each request), info (each call), "
        "warning or error.",
    )

    @field_validator("log_level", mode="before")
    @classmethod
    def _any_letter_case(cls, value: object) -> object:
        return value.lower() if isinstance(value, str) else value

    @field_validator("cache_seconds")
    @classmethod
    def _no_cache_yet(cls, value: float) -> float:
        # Accepted and ignored, it would promise something.
        if value:
            raise ValueError("reads are not cached in this version, so only 0 is true")
        return value

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
    """The connection and the policy of one server."""

    def __init__(self, connection: Connection, policy: Policy) -> None:
        self.connection = connection
        self.policy = policy

    def with_connection(self, connection: Connection) -> Self:
        return type(self)(connection, self.policy)


_S = TypeVar("_S", bound=_Frozen)

CONNECTION_NAMES = tuple(
    name for name in Connection.model_fields if name not in {"name", "sandbox"}
)
POLICY_NAMES = tuple(Policy.model_fields)

# What people call these things elsewhere; too far from our names for a comparison of letters.
_NEAR_MISSES = {
    "USER": "USERNAME",
    "SERVICE_ACCOUNT": "USERNAME",
    "SECRET": "PASSWORD",
    "TOKEN": "PROJECT_TOKEN",
    "PROJECT": "PROJECT_ID",
    "WORKSPACE": "WORKSPACE_ID",
    "HOST": "BASE_URL",
    "URL": "BASE_URL",
    "ORIGIN": "BASE_URL",
    "DATA_RESIDENCY": "REGION",
}


def load_settings(
    environment: Mapping[str, str],
    flags: Mapping[str, Any] | None = None,
    *,
    names: Mapping[str, Iterable[str]] | None = None,
    faults: Iterable[str] = (),
) -> Settings:
    """Read the environment and the flags (policy names with their values).

    Args:
        environment: variables such as `os.environ`; empty values count as unset.
        flags: policy settings given on the command line; they win over the environment.
        names: the values that may stand in `toolsets`, `tools` and `exclude_tools`.
        faults: what the caller found wrong already, to be reported together.

    Raises:
        SettingsError: with every fault, never with a value that could be a secret.
    """
    found = [*faults, *_unknown_variables(environment)]
    connection = _read(Connection, _Given(CONNECTION_PREFIX, CONNECTION_NAMES, environment), found)
    given = _Given(POLICY_PREFIX, POLICY_NAMES, environment, flags)
    policy = _read(Policy, given, found)
    found += _unknown_names(given, names or {})
    if found or connection is None or policy is None:
        raise SettingsError(found)
    return Settings(connection, policy)


class _Given:
    """Values as they were written, and where each was: a fault names the place to mend it."""

    def __init__(
        self,
        prefix: str,
        names: Iterable[str],
        environment: Mapping[str, str],
        flags: Mapping[str, Any] | None = None,
    ) -> None:
        self._prefix = prefix
        self._flags = {name: value for name, value in (flags or {}).items() if value is not None}
        upper = {name.upper(): value for name, value in environment.items()}
        texts = {name: upper.get(self._variable(name), "").strip() for name in names}
        self.values = {name: text for name, text in texts.items() if text} | self._flags

    def shown(self, name: str) -> str:
        return flag_of(name) if name in self._flags else self._variable(name)

    def _variable(self, name: str) -> str:
        return f"{self._prefix}{name.upper()}"


def _read(settings: type[_S], given: _Given, faults: list[str]) -> _S | None:
    try:
        return settings(**given.values)
    except ValidationError as error:
        for fault in error.errors(include_url=False, include_input=False, include_context=False):
            shown = given.shown(str(fault["loc"][0]))
            faults.append(f"{shown}: {fault['msg'].removeprefix('Value error, ')}")
        return None


def flag_of(name: str) -> str:
    return "--" + name.replace("_", "-")


def _unknown_variables(environment: Mapping[str, str]) -> Iterable[str]:
    policy = {POLICY_PREFIX + name.upper() for name in POLICY_NAMES}
    connection = {CONNECTION_PREFIX + name.upper() for name in CONNECTION_NAMES}
    for name in sorted(upper for upper in (key.upper() for key in environment)):
        if name.startswith(POLICY_PREFIX):
            if name not in policy:
                yield f"{name}: no such setting{nearest(name, policy)}"
        elif name.startswith(CONNECTION_PREFIX) and name not in connection:
            suffix = name.removeprefix(CONNECTION_PREFIX)
            meant = _NEAR_MISSES.get(suffix) or next(
                iter(difflib.get_close_matches(suffix, map(str.upper, CONNECTION_NAMES), n=1)), None
            )
            if meant is not None:
                yield f"{name}: no such setting; did you mean {CONNECTION_PREFIX}{meant}?"


def _unknown_names(given: _Given, names: Mapping[str, Iterable[str]]) -> Iterable[str]:
    for setting, known in names.items():
        allowed = sorted(known)
        written = given.values.get(setting, ())
        for value in _pieces(written) if isinstance(written, str) else written:
            if value not in allowed:
                yield (
                    f"{given.shown(setting)}: {value!r:.60} is none of the "
                    f"{setting.removeprefix('exclude_')}{nearest(value, allowed)}"
                )


def nearest(name: str, known: Iterable[str]) -> str:
    """The end of a sentence that names the closest known name, or all of them if none is close."""
    choices = sorted(known)
    close = difflib.get_close_matches(name, choices, n=1, cutoff=0.5)
    return f"; did you mean {close[0]}?" if close else f"; there are {', '.join(choices)}"
