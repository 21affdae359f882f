"""The one project of the sandbox: its data, and what Mixpanel saves beside it."""

from __future__ import annotations

import json
import threading
from typing import TYPE_CHECKING, Any, Literal

from mixpanel_mcp.analytics.events import add_events
from mixpanel_mcp.analytics.profiles import write_profiles
from mixpanel_mcp.analytics.store import Store, StoreUnusableError, open_store
from mixpanel_mcp.sandbox import identities
from mixpanel_mcp.sandbox.demo import demo_project
from mixpanel_mcp.sandbox.unavailable import SandboxUnavailableError

if TYPE_CHECKING:
    from pathlib import Path

    from starlette.requests import Request

    from mixpanel_mcp.sandbox.clock import Clock
    from mixpanel_mcp.sandbox.engage import EngageSessions
    from mixpanel_mcp.sandbox.faults import Faults
    from mixpanel_mcp.sandbox.rate_limits import RateLimits
    from mixpanel_mcp.sandbox.requests_log import RequestsLog

IdMerge = Literal["original", "simplified"]
"""How a project tells who is who. As at Mixpanel, it stays what it was when data came."""

Kind = Literal["funnel", "insights", "cohort", "pipeline", "group", "project"]

# Ids start where nobody mistakes one kind for another. A group's id follows from its key.
_FIRST_IDS: dict[Kind, int] = {
    "funnel": 7001,
    "insights": 81001,
    "cohort": 5001,
    "pipeline": 1,
    "group": 1,
    "project": 1,
}

_SCHEMA = """
CREATE TABLE IF NOT EXISTS sandbox_saved (
    kind VARCHAR NOT NULL,
    id BIGINT NOT NULL,
    body JSON NOT NULL,
    PRIMARY KEY (kind, id)
)
"""
_TABLES = ("events", "profiles", "groups", "canonical_ids", "sandbox_saved", "sandbox_merges")


class Project:
    """Events, profiles and saved things live in DuckDB; faults, log and sessions die with us."""

    def __init__(
        self,
        clock: Clock,
        *,
        demo: bool,
        data: Path | None,
        id_merge: IdMerge | None,
        faults: Faults,
        requests_log: RequestsLog,
        sessions: EngageSessions,
        rate_limits: RateLimits | None,
    ) -> None:
        self.clock = clock
        self.faults = faults
        self.requests_log = requests_log
        self.sessions = sessions
        self.rate_limits = rate_limits
        self._demo = demo
        self._data = data
        self._id_merge: IdMerge | None = id_merge
        self._store: Store | None = None
        self._opening = threading.Lock()

    @property
    def store(self) -> Store:
        if self._store is None:
            raise SandboxUnavailableError("The sandbox is not open.")
        return self._store

    @property
    def id_merge(self) -> IdMerge:
        return self._id_merge or "original"

    @property
    def is_open(self) -> bool:
        return self._store is not None

    def open(self) -> None:
        """Open the data, and fill it where it is new. A second call does nothing.

        Raises:
            SandboxUnavailableError: DuckDB is not installed, or the file cannot be used, or its
                project tells who is who in another way.
        """
        with self._opening:
            if self._store is None:
                store = _opened(self._data)
                settings = _saved(store, "project")
                if settings:
                    self._settle_id_merge(settings[1]["id_merge"])
                else:
                    self._fill(store, demo=self._demo)
                self._store = store

    def _settle_id_merge(self, of_the_file: IdMerge) -> None:
        if self._id_merge not in (None, of_the_file):
            raise SandboxUnavailableError(
                f"The project in {self._data} has {of_the_file} ID merge, which cannot be changed"
                " once a project has data. Leave --id-merge out, or use another file."
            )
        self._id_merge = of_the_file

    def close(self) -> None:
        with self._opening:
            if self._store is not None:
                self._store.close()
                self._store = None

    def reset_data(self, demo: bool) -> None:  # noqa: FBT001  # run in a thread, by position
        with self.store.transaction():
            for table in _TABLES:
                self.store.run(f"DELETE FROM {table}")  # noqa: S608  # our own names
        self._fill(self.store, demo=demo)

    def forget_requests(self) -> None:
        """Drop what is not data. Called on the event loop, which owns it."""
        self.faults.clear()
        self.requests_log.clear()
        self.sessions.clear()
        if self.rate_limits is not None:
            self.rate_limits.clear()

    def saved(self, kind: Kind) -> dict[int, dict[str, Any]]:
        return _saved(self.store, kind)

    def save(self, kind: Kind, body: dict[str, Any]) -> int:
        """Save under a new id, which is never used again while the newest is kept."""
        with self.store.transaction():
            identifier = max(self.saved(kind), default=_FIRST_IDS[kind] - 1) + 1
            self.replace(kind, identifier, body)
        return identifier

    def replace(self, kind: Kind, identifier: int, body: dict[str, Any]) -> None:
        _save(self.store, kind, identifier, body)

    def forget(self, kind: Kind, identifier: int) -> None:
        self.store.run(
            "DELETE FROM sandbox_saved WHERE kind = $kind AND id = $id",
            {"kind": kind, "id": identifier},
        )

    def _fill(self, store: Store, *, demo: bool) -> None:
        with store.transaction():
            if demo:
                project = demo_project(self.clock.today())
                add_events(store, project.events)
                write_profiles(store, project.profiles)
                for kind, bodies in project.saved.items():
                    for identifier, body in enumerate(bodies, _FIRST_IDS[kind]):
                        _save(store, kind, identifier, body)
            _save(store, "project", 1, {"demo": demo, "id_merge": self.id_merge})


def project_of(request: Request) -> Project:
    return request.app.state.project


def _opened(data: Path | None) -> Store:
    try:
        store = open_store(data)
    except ModuleNotFoundError as error:
        if error.name != "duckdb":
            raise
        raise SandboxUnavailableError from error
    except StoreUnusableError as error:
        raise SandboxUnavailableError(
            f"The sandbox cannot use {data}: it is no sandbox file, or another process holds it."
        ) from error
    store.run(_SCHEMA)
    store.run(identities.SCHEMA)
    return store


def _saved(store: Store, kind: Kind) -> dict[int, dict[str, Any]]:
    rows = store.rows(
        "SELECT id, body FROM sandbox_saved WHERE kind = $kind ORDER BY id", {"kind": kind}
    )
    return {identifier: json.loads(body) for identifier, body in rows}


def _save(store: Store, kind: Kind, identifier: int, body: dict[str, Any]) -> None:
    store.run(
        "INSERT OR REPLACE INTO sandbox_saved VALUES ($kind, $id, $body)",
        {"kind": kind, "id": identifier, "body": json.dumps(body, ensure_ascii=True)},
    )
