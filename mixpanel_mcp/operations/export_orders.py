"""What an export is asked for, what that takes, and how far it came."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from mixpanel_mcp.api.errors import MixpanelError
from mixpanel_mcp.api.regions import Family, endpoint
from mixpanel_mcp.api.request import Request, compact_json, pairs
from mixpanel_mcp.files.exports import Export, Format, days_between
from mixpanel_mcp.files.parquet import ColumnType
from mixpanel_mcp.sanitize import counted
from mixpanel_mcp.settings import Region

# Three may begin a second.
_EXPORTS_A_SECOND = 3


@dataclass(frozen=True, kw_only=True)
class Order:
    """What is asked for, all of it part of the export's identity."""

    project: int
    region: Region
    from_date: str
    to_date: str
    events: Sequence[str] | None = None
    where: str | None = None
    format: Format = "ndjson"
    deduplicate: bool = False
    time_in_ms: bool = True
    gzip_encoding: bool = True
    columns: Mapping[str, ColumnType] = field(default_factory=dict[str, ColumnType])

    @property
    def days(self) -> list[str]:
        return days_between(self.from_date, self.to_date)

    def arguments(self) -> dict[str, Any]:
        """What tells this export from others of the project, as the manifest keeps it."""
        return {
            "from_date": self.from_date,
            "to_date": self.to_date,
            "event_name": list(self.events) if self.events else None,
            "where": self.where,
            "deduplicate": self.deduplicate,
            "time_in_ms": self.time_in_ms,
            "columns": dict(self.columns),
        }

    def request(self, day: str) -> Request:
        fields = {
            "project_id": self.project,
            "from_date": day,
            "to_date": day,
            "event": compact_json(list(self.events)) if self.events else None,
            "where": self.where,
            "time_in_ms": True if self.time_in_ms else None,
        }
        return Request(
            family=Family.DATA,
            region=self.region,
            method="GET",
            path=endpoint(Family.DATA, "/export"),
            query=pairs(fields),
            accept_gzip=self.gzip_encoding,
        )


@dataclass(frozen=True)
class Plan:
    """How many exports it takes, and how many Mixpanel allows this hour."""

    slices: int
    left: int

    @property
    def hours(self) -> int:
        """Full hours until the last may be asked for."""
        return 0 if self.slices <= self.left else math.ceil((self.slices - self.left) / 60)

    def __str__(self) -> str:
        seconds = math.ceil(min(self.slices, self.left) / _EXPORTS_A_SECOND)
        words = (
            f"{counted(self.slices, 'day')} to fetch, one export each ({self.left} left this hour):"
            f" at least {counted(seconds, 'second')}, and as long as Mixpanel takes"
        )
        if self.hours:
            words += f"; what is beyond {self.left} takes {counted(self.hours, 'more hour')}"
        return words


@dataclass
class Outcome:
    """How far a run came; `error` is what stopped it."""

    export: Export
    plan: Plan
    fetched: int = 0
    error: MixpanelError | None = None
    missing: list[str] = field(default_factory=list[str])
