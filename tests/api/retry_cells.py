"""The calls of the retry table: one for each thing that its rows name."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any, Literal

from harness import Waits
from upstream import Answer, Reply, Upstream

from mixpanel_mcp.api.retry import Pacing

Row = Literal["read", "safe", "unsafe"]

_EVENT: dict[str, Any] = {
    "event": "Signed up",
    "properties": {"distinct_id": "ada", "time": 1_767_225_600, "$insert_id": "s-1"},
}
ACCEPTED = Reply(json={"status": 1, "error": None})


@dataclass(frozen=True)
class Sent:
    """A tool call that sends one request, and the answer with which Mixpanel takes it."""

    name: str
    row: Row
    tool: str
    path: str
    good: Reply = ACCEPTED
    arguments: dict[str, Any] = field(default_factory=dict[str, Any])

    def within(self, seconds: float) -> dict[str, Any]:
        """The setting that bounds the call."""
        if self.tool == "download_data":
            return {"export_seconds": seconds}
        return {"read_seconds" if self.row == "read" else "write_seconds": seconds}


def _update(verb: str, value: Any, row: Row) -> Sent:
    return Sent(
        verb,
        row,
        "update_multiple_profiles",
        "/engage",
        arguments={
            "properties_to_update": [{"$distinct_id": "ada", verb: value}],
            "confirm": verb == "$delete",
        },
    )


def _now() -> int:
    return int(datetime.now(UTC).timestamp())


_PIPELINE = "/api/2.0/nessie/pipeline"
_ANONYMOUS = "0b2f1c0e-7d5a-4c3e-9a51-6f1de2b9c7aa"

READS = [
    Sent("funnels", "read", "list_saved_funnels", "/api/query/funnels/list", Reply(json=[])),
    Sent(
        "jql",
        "read",
        "custom_jql_query",
        "/api/query/jql",
        Reply(json=[]),
        {"script": "function main() {}"},
    ),
    Sent("profiles", "read", "query_profiles", "/api/query/engage", Reply(json={"results": []})),
    Sent("pipelines", "read", "list_pipelines", f"{_PIPELINE}/jobs", Reply(json={})),
    Sent(
        "export",
        "read",
        "download_data",
        "/api/2.0/export",
        Reply(body=""),
        {"from_date": "2026-01-01", "to_date": "2026-01-02"},
    ),
]
SAFE = [
    Sent(
        "import",
        "safe",
        "import_events",
        "/import",
        Reply(json={"code": 200, "num_records_imported": 1, "status": "OK"}),
        {"events": [_EVENT]},
    ),
    Sent(
        "track",
        "safe",
        "track_events",
        "/track",
        arguments={
            "events": [
                {**_EVENT, "properties": {**_EVENT["properties"], "time": _now()}},
            ]
        },
    ),
    Sent(
        "create_profile",
        "safe",
        "create_profile",
        "/engage",
        arguments={"properties": [{"$distinct_id": "ada", "plan": "pro"}]},
    ),
    _update("$set", {"plan": "pro"}, "safe"),
    _update("$set_once", {"plan": "pro"}, "safe"),
    _update("$union", {"tags": ["a"]}, "safe"),
    _update("$unset", ["plan"], "safe"),
    _update("$remove", {"tags": "a"}, "safe"),
    _update("$delete", "", "safe"),
    Sent(
        "delete_profile",
        "safe",
        "delete_profile",
        "/engage",
        arguments={"delete_profiles": ["ada"], "confirm": True},
    ),
    Sent(
        "edit_pipeline",
        "safe",
        "edit_gcs_pipeline",
        f"{_PIPELINE}/edit",
        Reply(json={}),
        {"name": "p", "events": ["Signed up"], "confirm": True},
    ),
    Sent(
        "delete_pipeline",
        "safe",
        "delete_pipeline",
        f"{_PIPELINE}/cancel",
        Reply(json={}),
        {"name": "p", "confirm": True},
    ),
]
UNSAFE = [
    _update("$add", {"visits": 1}, "unsafe"),
    _update("$append", {"tags": "a"}, "unsafe"),
    Sent(
        "create_pipeline",
        "unsafe",
        "create_gcs_pipeline",
        f"{_PIPELINE}/create",
        Reply(json={"pipeline_names": ["p"]}),
        {
            "gcs_bucket": "bucket",
            "gcs_region": "us-east1",
            "from_date": datetime.now(UTC).date().isoformat(),
            "confirm": True,
        },
    ),
    Sent(
        "alias",
        "unsafe",
        "create_alias",
        "/track",
        arguments={"distinct_id": "ada", "alias": "ada@example.com", "confirm": True},
    ),
    Sent(
        "identify",
        "unsafe",
        "create_identity",
        "/track",
        arguments={"identified_id": "ada", "anon_id": _ANONYMOUS, "confirm": True},
    ),
]
EVERY_CALL = [*READS, *SAFE, *UNSAFE]


def tell(upstream: Upstream, sent: Sent, *first: Answer) -> None:
    """Let a call's path fail as told, and work from then on."""
    upstream.always(sent.path, sent.good)
    upstream.on(sent.path, *first)


def nothing_between(waits: Waits) -> Pacing:
    """Real time for the attempts, none for the pauses: for what a time-out leads to.

    The jitter takes away all that the doubling may add.
    """
    pacing = waits.pacing()

    async def sleep(seconds: float) -> None:
        waits.pauses.append(seconds)

    return Pacing(clock=pacing.clock, sleep=sleep, jitter=lambda _low, _high: -60.0)


def when_paused(waits: Waits, act: Callable[[], Awaitable[object]]) -> Pacing:
    """Do something during each pause."""
    pacing = waits.pacing()

    async def sleep(seconds: float) -> None:
        await act()
        await pacing.sleep(seconds)

    return replace(pacing, sleep=sleep)
