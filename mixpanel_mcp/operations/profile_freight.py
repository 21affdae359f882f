"""Profile updates on their way from a file to `/engage`."""

from collections import Counter
from collections.abc import Sequence
from typing import Any

from mixpanel_mcp.api.regions import Family
from mixpanel_mcp.api.replies import Reply
from mixpanel_mcp.api.request import JSON, Credential, Repeat, Request, RetryRules, json_body
from mixpanel_mcp.files.records import Lines, Rejection
from mixpanel_mcp.files.sources import Columns
from mixpanel_mcp.operation import Call, Load
from mixpanel_mcp.operations.batches import BatchResult, acknowledged_batch
from mixpanel_mcp.operations.file_rows import Faults, as_field_and_reason, parsed
from mixpanel_mcp.operations.freight import Crate, Overview
from mixpanel_mcp.operations.profiles import VERBS, update_faults

PROFILE_COLUMNS = Columns(frozenset({"$distinct_id", "distinct_id"}), frozenset())

_RETRIES = RetryRules(retries=8, delay_seconds=None, on_rate_limit=False)
_BETWEEN = b",\n"


class ProfileFreight:
    """Lines that become JSON arrays: `/engage` takes no gzip and no lines."""

    noun = "profile update"

    def __init__(self, call: Call, token: str) -> None:
        # One at a time: two updates of one profile must arrive in the file's order.
        self.in_flight = 1
        self.options: dict[str, Any] = {"path": "/engage", "region": call.region.value}
        self._call = call
        self._token = token

    def crate(self, load: Load, lines: Lines, overview: Overview) -> Crate:
        """Check lines, and put all of them before the guard."""
        rows: list[bytes] = []
        numbers: list[int] = []
        rejected: list[Rejection] = []
        names: Counter[str] = Counter()
        for number, line in zip(lines.numbers, lines.lines, strict=True):
            if not line.strip():
                continue
            update, faults = self._update(line)
            if faults:
                rejected.append(Rejection(number, tuple(faults), line))
                continue
            names[next(verb for verb in VERBS if verb in update)] += 1
            rows.append(json_body(update))
            numbers.append(number)
        overview.add(names, None, ())
        if not rows:
            return Crate(b"", (), Repeat.SAFE, rejected)
        body = self.joined(rows)
        permit = load.weigh(self.request(body), len(rows))
        return Crate(body, numbers, permit.repeat, rejected)

    def _update(self, line: bytes) -> tuple[dict[str, Any], Faults]:
        row, unreadable = parsed(line)
        if unreadable:
            return {}, unreadable
        update = _with_verb(row)
        found = [as_field_and_reason(fault) for fault in update_faults(update)]
        if found:
            return {}, found
        update = {**update, "$token": update.get("$token") or self._token}
        try:
            json_body(update)
        except (ValueError, RecursionError):
            return {}, [("", "has half of a character, or is nested without end")]
        return update, ()

    def joined(self, rows: Sequence[bytes]) -> bytes:
        return b"[" + _BETWEEN.join(rows) + b"]"

    def rows(self, body: bytes) -> list[bytes]:
        # What json_body writes has no line breaks of its own.
        return body[1:-1].split(_BETWEEN)

    def packed(self, body: bytes) -> bytes:
        return body

    def unpacked(self, body: bytes) -> bytes:
        return body

    def request(self, body: bytes) -> Request:
        # Without ip=0 each profile would be placed where this server stands.
        query = (("ip", "0"), ("strict", "1"), ("verbose", "1"))
        return Request(
            family=Family.INGESTION,
            region=self._call.region,
            method="POST",
            path="/engage",
            query=query,
            body=body,
            content_type=JSON,
            credential=Credential.NONE,
            retry=_RETRIES,
        )

    def read(self, request: Request, reply: Reply, count: int) -> BatchResult:
        return acknowledged_batch(request, reply, count)


def _with_verb(row: dict[str, Any]) -> dict[str, Any]:
    """A flat row sets its properties; `distinct_id` names the profile as well."""
    if any(verb in row for verb in VERBS):
        return row
    rest = dict(row)
    distinct_id = rest.pop("$distinct_id", None) or rest.pop("distinct_id", None)
    token = {"$token": rest.pop("$token")} if "$token" in rest else {}
    return {"$distinct_id": distinct_id, **token, "$set": rest}
