"""The TOML file that names several connections, and the callers of a hosted server.

    [connections.shop]
    username = "robot.1a2b3c.mp-service-account"
    password = "env:SHOP_PASSWORD"
    project_token = "file:secrets/shop-token"
    project_id = 1234567
    region = "eu"

The first connection is the default; without any, the environment describes one. A secret is a
value, `env:NAME`, or `file:PATH` (as seen from the file's folder); a file that holds one may be
read by its owner alone.
"""

import re
import tomllib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mixpanel_mcp.json_values import is_object
from mixpanel_mcp.settings.caller_tables import caller_values
from mixpanel_mcp.settings.names import nearest
from mixpanel_mcp.settings.secret_files import mode_fault, read_secret, reason, text_and_mode

SECRETS = frozenset({"password", "project_token"})

TABLE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,39}", re.ASCII)
_LARGEST_CONFIG = 1024 * 1024


@dataclass
class ConfigFile:
    """What stands in the file, its secrets looked up; and what is wrong with it."""

    connections: dict[str, dict[str, Any]] = field(default_factory=dict[str, dict[str, Any]])
    callers: dict[str, dict[str, Any]] = field(default_factory=dict[str, dict[str, Any]])
    variables: set[str] = field(default_factory=set[str])
    """Names of the environment that `env:` refers to."""
    faults: list[str] = field(default_factory=list[str])

    @property
    def known_by_jwt(self) -> list[str]:
        """The callers who have a subject or scopes, whatever else is wrong with them."""
        return [
            name for name, table in self.callers.items() if table["tabled"] & {"subject", "scopes"}
        ]


def read_config(
    path: Path, environment: Mapping[str, str], known: Iterable[str], shown: str
) -> ConfigFile:
    """Read the file; whatever is wrong with it is a fault, and no fault holds a secret.

    Args:
        path: the TOML file.
        environment: where `env:NAME` is looked up.
        known: the fields a connection has.
        shown: how a fault names the setting that the path came from.
    """
    return _Reader(path, environment, sorted(known), shown).read()


class _Reader:
    def __init__(
        self, path: Path, environment: Mapping[str, str], known: list[str], shown: str
    ) -> None:
        self._path = path
        self._environment = environment
        self._known = known
        self._shown = shown
        self._found = ConfigFile()
        self._literal_secret = False

    def read(self) -> ConfigFile:
        try:
            text, mode = text_and_mode(self._path, _LARGEST_CONFIG)
            document = tomllib.loads(text)
        except RecursionError:
            self._fault("is not TOML: nested too deeply")
            return self._found
        except tomllib.TOMLDecodeError as error:
            place = re.search(r"\(at [^()]*\)$", str(error))
            self._fault(f"is not TOML{' ' + place[0] if place else ''}")
            return self._found
        except (OSError, ValueError) as error:
            self._fault(reason(error))
            return self._found
        kinds = {
            "connections": (self._found.connections, self._connection, "shop"),
            "callers": (self._found.callers, self._caller, "analytics"),
        }
        for name, value in document.items():
            if name not in kinds:
                self._fault(f"{name[:40]!a}: no such table{nearest(name, kinds)}")
                continue
            into, taken, example = kinds[name]
            if is_object(value) and value:
                self._take(name, value, into, taken)
            else:
                self._fault(f"{name}: has to be tables such as [{name}.{example}]")
        if document.keys().isdisjoint(kinds):
            self._fault(
                "names no connection and no caller: write a table such as [connections.shop]"
            )
        # Whoever can write it can have the secrets sent elsewhere (base_url).
        if fault := mode_fault(mode, secret=self._literal_secret):
            self._fault(fault)
        return self._found

    def _take(
        self,
        kind: str,
        tables: dict[str, Any],
        into: dict[str, dict[str, Any]],
        taken: Callable[[str, dict[str, Any]], dict[str, Any]],
    ) -> None:
        folders: set[str] = set()
        for name, table in tables.items():
            place = f"{kind}.{name[:40]}"
            if not TABLE_NAME.fullmatch(name):
                self._fault(f"{place!a}: a name is made of up to 40 letters, digits, - and _")
            elif name.lower() in folders:
                self._fault(f"{place}: differs from another name only in letter case")
            elif not is_object(table):
                self._fault(f"{place}: has to be a table")
            else:
                into[name] = taken(place, table)
            folders.add(name.lower())

    def _caller(self, place: str, table: dict[str, Any]) -> dict[str, Any]:
        return caller_values(place, table, self._fault)

    def _connection(self, place: str, table: dict[str, Any]) -> dict[str, Any]:
        taken: dict[str, Any] = {}
        for key, value in table.items():
            if key not in self._known:
                self._fault(f"{place}.{_plain(key)}: no such setting{nearest(key, self._known)}")
            elif isinstance(value, str) and not value.strip():
                self._fault(f"{place}.{key}: is empty; leave it out")
            elif key in SECRETS:
                taken[key] = self._secret(f"{place}.{key}", value)
            elif isinstance(value, bool):
                self._fault(f"{place}.{key}: has to be a text or an integer, not true or false")
            else:
                taken[key] = value.strip() if isinstance(value, str) else value
        return taken

    def _secret(self, place: str, value: object) -> object:
        """Look a secret up; what cannot be found is a fault, and None."""
        if not isinstance(value, str):
            self._fault(f"{place}: has to be a text")
            return None
        kind, _, reference = value.partition(":")
        if kind == "env":
            self._found.variables.add(reference)
            found = self._environment.get(reference, "").strip()
            if not found:
                self._fault(f"{place}: the environment has no {reference[:60]!a}")
            return found or None
        if kind == "file":
            return self._from_file(place, reference)
        self._literal_secret = True
        return value

    def _from_file(self, place: str, reference: str) -> str | None:
        shown = f"{place}: {_plain(reference)}"
        try:
            path = self._path.parent / Path(reference).expanduser()
            shown = f"{place}: {_plain(str(path))}"
            return read_secret(path)
        except RuntimeError:  # of `~somebody`
            self._fault(f"{shown} begins with the home of nobody")
        except (OSError, ValueError) as error:
            self._fault(f"{shown} {reason(error)}")
        return None

    def _fault(self, text: str) -> None:
        self._found.faults.append(f"{self._shown}: {text}")


def _plain(text: str) -> str:
    """A word of the file for a terminal: cut, and without control characters."""
    return ascii(text[:200])[1:-1]
