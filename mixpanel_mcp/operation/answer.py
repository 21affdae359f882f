"""What an operation found or did."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any


class Status(StrEnum):
    """How a call ended."""

    OK = "ok"
    PARTIAL = "partial"
    CONFIRMATION_REQUIRED = "confirmation_required"
    REFUSED = "refused"
    FAILED = "failed"


@dataclass(frozen=True, kw_only=True)
class Table:
    """Rows for the model; cells are data, never sentences of ours."""

    columns: Sequence[str]
    rows: Sequence[Sequence[object]]
    total: int | None = None  # how many there are, where not all are in `rows`


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What an operation found or did.

    `headline` is the answer in one sentence of ours (values in it are cut and cleaned when shown),
    `data` the same for programs, `text` data that is no table, `next` the call that goes on from
    here, `scope` what the data covers beside project and region (dates, time zone). `is_error`
    marks writes that were taken only in part.
    """

    headline: str
    data: Any = None
    table: Table | None = None
    text: str | None = None
    notes: Sequence[str] = ()
    status: Status = Status.OK
    complete: bool = True
    next: Mapping[str, Any] | None = None
    scope: Mapping[str, Any] = field(default_factory=dict[str, Any])
    is_error: bool = False
