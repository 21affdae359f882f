"""A request as it will be sent: what the safety rules judge is what goes out."""

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Any, TypeGuard
from urllib.parse import urlencode

from mixpanel_mcp.api.regions import Family
from mixpanel_mcp.json_values import is_list, is_object
from mixpanel_mcp.settings import Region

FORM = "application/x-www-form-urlencoded"
JSON = "application/json"
NDJSON = "application/x-ndjson"

Pairs = tuple[tuple[str, str], ...]


class Credential(Enum):
    """What identifies the caller: nothing but the payload's token, or one of two Basic headers."""

    NONE = auto()
    SERVICE_ACCOUNT = auto()
    PROJECT_TOKEN = auto()


class Repeat(Enum):
    """How often a request may reach Mixpanel without changing what the caller meant.

    READ: any number of times. SAFE: the same end state each time. UNSAFE: each arrival counts.
    """

    READ = auto()
    SAFE = auto()
    UNSAFE = auto()


@dataclass(frozen=True, kw_only=True)
class RetryRules:
    """How a passthrough call wants to be retried; never beyond what its `Repeat` allows.

    `delay_seconds` is the pause between attempts, None the exponential backoff.
    """

    retries: int
    delay_seconds: float | None
    on_rate_limit: bool


@dataclass(frozen=True, kw_only=True)
class Request:
    """One HTTP request. `path` is whole (with `/api/2.0` and the like) and percent-encoded.

    `body` is what the safety rules read; with `compress` it is gzipped on the way out.
    `timeout_seconds` bounds one attempt, and `retry` replaces the shared retry rules: it is no part
    of what is asked, so requests that differ in nothing else are equal. `verbatim` says that equal
    arguments make an equal body: nothing such as the time was filled in.
    """

    family: Family
    region: Region
    method: str
    path: str
    query: Pairs = ()
    headers: Pairs = ()
    body: bytes = b""
    content_type: str | None = None
    credential: Credential = Credential.SERVICE_ACCOUNT
    compress: bool = False
    accept_gzip: bool = True
    timeout_seconds: float | None = None
    retry: RetryRules | None = field(default=None, compare=False)
    verbatim: bool = False

    @property
    def shown(self) -> str:
        """Method and path, for messages: a query may hold secrets and expressions."""
        return f"{self.method} {self.path}"


def pairs(fields: Mapping[str, Any]) -> Pairs:
    """Flatten fields for a query or a form: None is left out, lists repeat the key."""
    return tuple(
        (name, wire_text(item))
        for name, value in fields.items()
        if value is not None
        for item in (value if is_list(value) else [value])
    )


def wire_text(value: object) -> str:
    """A value as Mixpanel reads it in a query or a form: flags lower case, objects as JSON."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if is_object(value) or is_list(value):
        return compact_json(value)
    return str(value)


def switch(value: bool) -> str:  # noqa: FBT001 - it names what it converts
    """A flag of the ingestion host, where only `0` and `1` are defined."""
    return "1" if value else "0"


# Made once: json.dumps makes one anew for each call that asks for something unusual.
_compact = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), allow_nan=False)


def compact_json(value: object) -> str:
    """JSON without spaces.

    Raises:
        ValueError: NaN and infinities have no JSON.
    """
    return _compact.encode(value)


def json_body(value: object) -> bytes:
    return compact_json(value).encode()


def form_body(fields: Iterable[tuple[str, str]]) -> bytes:
    return urlencode(list(fields)).encode()


def is_number(value: object) -> TypeGuard[int | float]:
    """A number that JSON can carry; a bool is not one."""
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


def batches(sizes: Sequence[int], *, count: int, size: int) -> Iterable[range]:
    """Cut a sequence of item sizes into ranges of at most `count` items and `size` bytes."""
    start = held = 0
    for index, item in enumerate(sizes):
        if index > start and (index - start >= count or held + item > size):
            yield range(start, index)
            start, held = index, 0
        held += item
    if start < len(sizes):
        yield range(start, len(sizes))
