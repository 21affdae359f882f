"""From the environment, the flags and the file to settings, or to a list of every fault."""

import difflib
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Protocol, TypeVar

from pydantic import ValidationError

from mixpanel_mcp.settings.base import Frozen, expanded, pieces
from mixpanel_mcp.settings.caller_checks import caller_faults
from mixpanel_mcp.settings.callers import Caller
from mixpanel_mcp.settings.config_file import ConfigFile, read_config
from mixpanel_mcp.settings.hosting import HOSTING_NAMES, Hosting
from mixpanel_mcp.settings.hosting import Protocol as Transport
from mixpanel_mcp.settings.hosting_rules import hosting_faults
from mixpanel_mcp.settings.jwt_checks import jwt_faults
from mixpanel_mcp.settings.models import (
    CONNECTION_NAMES,
    CONNECTION_PREFIX,
    POLICY_NAMES,
    POLICY_PREFIX,
    Connection,
    Policy,
    Settings,
)
from mixpanel_mcp.settings.names import nearest


class SettingsError(Exception):
    """The settings are wrong; `faults` has one sentence for each."""

    def __init__(self, faults: Iterable[str]) -> None:
        self.faults = tuple(faults)
        super().__init__("\n".join(self.faults))


_S = TypeVar("_S", bound=Frozen)

_PLACEHOLDER = re.compile(r"\$\{[^{}]*\}")

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
    serving: bool = False,
) -> Settings:
    """Read the environment, the flags (names with their values) and the file they name.

    Args:
        environment: variables such as `os.environ`; empty values count as unset.
        flags: policy and hosting as given on the command line; they win over the environment.
        names: the values that may stand in `toolsets`, `tools` and `exclude_tools`.
        faults: what the caller found wrong already, to be reported together.
        serving: whether a server is to be started, so that its settings have to fit together.

    Raises:
        SettingsError: with every fault, never with a value that could be a secret.
    """
    found = list(faults)
    given = _Given(POLICY_PREFIX, POLICY_NAMES, environment, flags)
    policy = _read(Policy, given, found) or _sound_part(Policy, given)
    hosted = _Given(POLICY_PREFIX, HOSTING_NAMES, environment, flags)
    hosting = _read(Hosting, hosted, found) or _sound_part(Hosting, hosted)
    config, shown = _config(given, environment)
    found += config.faults
    connections = _connections(config, shown, environment, found)
    callers = _callers(config, shown, found)
    if policy is not None:
        named = config.connections.keys() or {each.name for each in connections}
        toolsets = tuple(names["toolsets"]) if names else None
        found += [f"{shown}: {each}" for each in caller_faults(callers, policy, named, toolsets)]
    # Without it nobody calls, and a command that shares the file has nothing to refuse.
    if hosting is not None and hosting.transport is Transport.HTTP:
        found += jwt_faults(hosting, config.known_by_jwt, hosted.shown)
    if serving and hosting is not None:
        known = bool(config.callers) or hosting.jwt_issuer is not None
        found += hosting_faults(hosting, hosted.values, hosted.shown, callers_are_known=known)
    found += _unknown_variables(environment, config.variables)
    found += _unknown_names(given, names or {})
    found += _placeholders(environment)
    if found or policy is None:
        raise SettingsError(found)
    default, *others = connections
    return Settings(default, policy, others, callers=callers, hosting=hosting)


def _config(given: "_Given", environment: Mapping[str, str]) -> tuple[ConfigFile, str]:
    """What the file holds, if there is one, and the name of the setting that gives its path."""
    path, shown = given.values.get("config"), given.shown("config")
    if path is None:
        return ConfigFile(), shown
    return read_config(expanded(Path(path)), environment, CONNECTION_NAMES, shown), shown


def _connections(
    config: ConfigFile, shown: str, environment: Mapping[str, str], faults: list[str]
) -> list[Connection]:
    """Those of the file, or else the one that the environment describes."""
    from_environment = _Given(CONNECTION_PREFIX, CONNECTION_NAMES, environment)
    if not config.connections:
        connection = _read(Connection, from_environment, faults)
        return [connection] if connection else []
    tables = [
        _Table(f"{shown}: connections.{name}", name, values, from_environment)
        for name, values in config.connections.items()
    ]
    connections = [_read(Connection, table, faults) for table in tables]
    return [each for each in connections if each is not None]


def _callers(config: ConfigFile, shown: str, faults: list[str]) -> list[Caller]:
    tables = [
        _CallerTable(f"{shown}: callers.{name}", {**values, "name": name})
        for name, values in config.callers.items()
    ]
    callers = [_read(Caller, each, faults) or _sound_part(Caller, each) for each in tables]
    return [each for each in callers if each is not None]


class _Written(Protocol):
    """Values as they were written, and where each was: a fault names the place to mend it."""

    @property
    def values(self) -> Mapping[str, Any]: ...

    def shown(self, name: str) -> str: ...


class _Table:
    """A connection of the file; the environment fills what it omits."""

    def __init__(
        self, place: str, name: str, values: Mapping[str, Any], environment: "_Given"
    ) -> None:
        self._place = place
        self._own = set(values)
        self._environment = environment
        own = {"name": name, "tabled": frozenset(values)}
        self.values = {**environment.values, **values, **own}

    def shown(self, name: str) -> str:
        return f"{self._place}.{name}" if name in self._own else self._environment.shown(name)


class _CallerTable:
    """A caller of the file, which nothing else describes."""

    def __init__(self, place: str, values: Mapping[str, Any]) -> None:
        self._place = place
        self.values = values

    def shown(self, name: str) -> str:
        return f"{self._place}.{name}"


class _Given:
    """Variables, and the flags that win over them."""

    def __init__(
        self,
        prefix: str,
        names: Iterable[str],
        environment: Mapping[str, str],
        flags: Mapping[str, Any] | None = None,
    ) -> None:
        self._prefix = prefix
        known = tuple(names)
        upper = {name.upper(): value for name, value in environment.items()}
        texts = {name: upper.get(self._variable(name), "").strip() for name in known}
        given = flags or {}
        self._flags = {name: given[name] for name in known if given.get(name) is not None}
        self.values = {name: text for name, text in texts.items() if text} | self._flags

    def shown(self, name: str) -> str:
        return flag_of(name) if name in self._flags else self._variable(name)

    def _variable(self, name: str) -> str:
        return f"{self._prefix}{name.upper()}"


def _read(settings: type[_S], given: _Written, faults: list[str]) -> _S | None:
    try:
        return settings(**given.values)
    except ValidationError as error:
        for fault in error.errors(include_url=False, include_input=False, include_context=False):
            shown = given.shown(str(fault["loc"][0]))
            text = f"{shown}: {fault['msg'].removeprefix('Value error, ')}"
            if text not in faults:  # the environment may fill several tables
                faults.append(text)
        return None


def _sound_part(settings: type[_S], given: _Written) -> _S | None:
    """What can be read without the values that are wrong: others may not fit together either."""
    try:
        return settings(**given.values)
    except ValidationError as error:
        wrong = {fault["loc"][0] for fault in error.errors(include_input=False)}
    try:
        return settings(**{name: each for name, each in given.values.items() if name not in wrong})
    except ValidationError:
        return None


def flag_of(name: str) -> str:
    return "--" + name.replace("_", "-")


def _unknown_variables(environment: Mapping[str, str], referred: set[str]) -> Iterable[str]:
    policy = {POLICY_PREFIX + name.upper() for name in (*POLICY_NAMES, *HOSTING_NAMES)}
    connection = {CONNECTION_PREFIX + name.upper() for name in CONNECTION_NAMES}
    for name in sorted(key.upper() for key in environment if key not in referred):
        if name.startswith(POLICY_PREFIX):
            if name not in policy:
                yield f"{name}: no such setting{nearest(name, policy)}"
        elif name.startswith(CONNECTION_PREFIX) and name not in connection:
            suffix = name.removeprefix(CONNECTION_PREFIX)
            close = difflib.get_close_matches(suffix, map(str.upper, CONNECTION_NAMES), n=1)
            meant = _NEAR_MISSES.get(suffix) or next(iter(close), None)
            if meant is not None:
                yield f"{name}: no such setting; did you mean {CONNECTION_PREFIX}{meant}?"


def _placeholders(environment: Mapping[str, str]) -> Iterable[str]:
    """What a host should have filled in: it would be sent as a secret."""
    for name, value in sorted(environment.items()):
        if name.upper().startswith(CONNECTION_PREFIX) and _PLACEHOLDER.fullmatch(value.strip()):
            yield f"{name.upper()}: its value is a placeholder that the host did not fill in"


def _unknown_names(given: _Given, names: Mapping[str, Iterable[str]]) -> Iterable[str]:
    for setting, known in names.items():
        allowed = sorted(known)
        written = given.values.get(setting, ())
        for value in pieces(written) if isinstance(written, str) else written:
            if value not in allowed:
                yield (
                    f"{given.shown(setting)}: {value!r:.60} is none of the "
                    f"{setting.removeprefix('exclude_')}{nearest(value, allowed)}"
                )
