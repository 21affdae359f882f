"""What takes long says so, in numbers that grow; a clock of the test's own makes it quick."""

import asyncio
import itertools
import json
from collections.abc import Awaitable, Callable
from typing import Any

import anyio
import pytest
from harness import Connect, Era, Person, Waits
from mcp import MCPError
from processes import INITIALIZE, connection_to, raw_server
from upstream import Hang, Held, Reply, Upstream

from mixpanel_mcp.api.activity import Activity, Wait, waiting_for
from mixpanel_mcp.api.retry import Pacing
from mixpanel_mcp.progress import ProgressSequence, Rhythm, report_progress

EVENT = {"event": "Signed up", "properties": {"time": 1767225600, "distinct_id": "ada"}}
LINE = json.dumps(EVENT).encode() + b"\n"
DAYS = {"from_date": "2026-01-01", "to_date": "2026-01-02"}


class Beats:
    """A clock on which each pause passes in a moment, once there is something to wait for."""

    def __init__(self, begins: Callable[[], object] = lambda: True) -> None:
        self.now = 0.0
        self.pauses: list[float] = []
        self._begins = begins

    async def sleep(self, seconds: float) -> None:
        self.pauses.append(seconds)
        while not self._begins():  # noqa: ASYNC110 - the other end of a connection makes it true
            await asyncio.sleep(0.001)
        await asyncio.sleep(0.003)
        self.now += seconds

    def rhythm(self) -> Rhythm:
        return Rhythm(clock=lambda: self.now, sleep=self.sleep)


class Listener:
    """A client's progress callback that knows when it has heard enough."""

    def __init__(self, enough: Callable[[list[str]], bool], then: asyncio.Event) -> None:
        self.heard: list[tuple[float, float | None, str]] = []
        self._enough = enough
        self._then = then

    async def __call__(self, progress: float, total: float | None, message: str | None) -> None:
        self.heard.append((progress, total, message or ""))
        if self._enough(self.messages):
            self._then.set()

    @property
    def messages(self) -> list[str]:
        return [message for _, _, message in self.heard]

    @property
    def grows(self) -> bool:
        numbers = [progress for progress, _, _ in self.heard]
        return all(later > earlier for earlier, later in itertools.pairwise(numbers))


def after(count: int) -> Callable[[list[str]], bool]:
    return lambda messages: len(messages) >= count


async def test_a_slow_read_says_what_it_waits_for_and_since_when(
    connect: Connect, upstream: Upstream, era: Era
) -> None:
    release = asyncio.Event()
    listener = Listener(after(3), release)
    upstream.default = Reply(json=[], until=release)
    beats = Beats(lambda: upstream.requests)

    async with connect(era=era, rhythm=beats.rhythm()) as tools:
        await tools.client.call_tool("list_saved_funnels", {}, progress_callback=listener)
        told = len(listener.heard)
        await asyncio.sleep(0.03)

    assert listener.heard[:3] == [
        (2, None, "waiting for Mixpanel since 2 s"),
        (7, None, "waiting for Mixpanel since 7 s"),
        (12, None, "waiting for Mixpanel since 12 s"),
    ]
    assert len(listener.heard) == told  # the answer is the last word


async def test_what_is_quick_says_nothing(connect: Connect, upstream: Upstream, era: Era) -> None:
    upstream.default = Reply(json=[])
    listener = Listener(after(1), asyncio.Event())

    async with connect(era=era) as tools:
        await tools.client.call_tool("list_saved_funnels", {}, progress_callback=listener)

    assert listener.heard == []


async def test_a_pause_before_another_attempt_is_told(
    connect: Connect, upstream: Upstream, era: Era
) -> None:
    upstream.on("/api/query/funnels/list", Reply(429), Reply(json=[]))
    release = asyncio.Event()
    listener = Listener(after(2), release)

    pausing = asyncio.Event()

    async def pause(_: float) -> None:
        pausing.set()
        await release.wait()

    rhythm = Beats(pausing.is_set).rhythm()
    async with connect(era=era, rhythm=rhythm, pacing=Pacing(sleep=pause)) as tools:
        await tools.client.call_tool("list_saved_funnels", {}, progress_callback=listener)

    assert all(message.startswith("waiting to send again") for message in listener.messages[:2])
    assert listener.grows


async def test_a_person_who_thinks_is_waited_for_aloud(
    connect: Connect, upstream: Upstream
) -> None:
    """In the modern era the call ends with the question, so that nothing waits."""
    upstream.default = Reply(json={"status": 1, "error": None})
    release = asyncio.Event()
    listener, person = Listener(after(2), release), Person()

    asked = asyncio.Event()

    async def think(context: Any, params: Any) -> Any:
        asked.set()
        await release.wait()
        return await person(context, params)

    rhythm = Beats(asked.is_set).rhythm()
    async with connect(era="legacy", rhythm=rhythm, person=think) as tools:
        await tools.client.call_tool(
            "delete_profile",
            {"delete_profiles": ["ada"], "confirm": True},
            progress_callback=listener,
        )

    assert listener.messages[0] == "waiting for a person to answer since 2 s"
    assert len(upstream.requests) == 1


async def test_a_slot_of_the_budget_is_waited_for_aloud(
    connect: Connect, upstream: Upstream, era: Era
) -> None:
    """Three exports a second are allowed, so the fourth waits."""
    upstream.default = Reply(body=LINE)
    release, waiting = asyncio.Event(), asyncio.Event()
    listener = Listener(after(1), release)

    async def pause(_: float) -> None:
        waiting.set()
        await release.wait()

    # Time stands still, so that what was sent stays in its window until the pause has ended.
    pacing = Pacing(sleep=pause, clock=lambda: 2.0 * release.is_set())
    rhythm = Beats(waiting.is_set).rhythm()
    async with connect(era=era, rhythm=rhythm, pacing=pacing) as tools:
        for _ in range(3):
            await tools.client.call_tool("download_data", DAYS)
        await tools.client.call_tool("download_data", DAYS, progress_callback=listener)

    assert listener.messages[0] == "waiting for a slot of Mixpanel's budget since 2 s"
    assert len(upstream.requests) == 4


async def test_an_export_counts_its_events_and_the_clock_goes_on_from_there(
    connect: Connect, upstream: Upstream, era: Era
) -> None:
    release = asyncio.Event()
    upstream.default = Reply(pieces=[LINE * 45_000], until=release)

    def enough(messages: list[str]) -> bool:
        return messages.count("events received") == 2 and "receiving" in messages[-1]

    listener = Listener(enough, release)
    async with connect(era=era, rhythm=Beats().rhythm()) as tools:
        await tools.client.call_tool("download_data", DAYS, progress_callback=listener)

    counted = [progress for progress, _, message in listener.heard if message == "events received"]
    assert counted == [20_000, 40_000]
    assert 40_000 < listener.heard[-1][0] < 40_001
    assert listener.grows


async def test_batches_count_their_records_toward_their_total(
    connect: Connect, upstream: Upstream, era: Era
) -> None:
    release = asyncio.Event()
    imported = {"code": 200, "num_records_imported": 2000, "status": "OK"}
    last = {**imported, "num_records_imported": 500}
    upstream.on("/import", Reply(json=imported), Reply(json=imported))
    upstream.on("/import", Reply(json=last, until=release))
    events = [
        {"event": "Signed up", "properties": {"distinct_id": "ada", "time": 1767225600 + second}}
        for second in range(4500)
    ]

    def enough(messages: list[str]) -> bool:
        return messages.count("records sent") == 2 and messages[-1].startswith("waiting")

    listener = Listener(enough, release)
    async with connect(era=era, rhythm=Beats().rhythm()) as tools:
        await tools.client.call_tool(
            "import_events", {"events": events}, progress_callback=listener
        )

    sent = [heard for heard in listener.heard if heard[2] == "records sent"]
    assert [total for _, total, _ in sent] == [4500, 4500, 4500]
    assert sent[-1][0] == 4500
    assert listener.grows


async def test_the_clock_never_runs_past_a_total_or_behind_a_count() -> None:
    heard: list[tuple[float, float | None]] = []
    done = asyncio.Event()

    async def send(progress: float, total: float | None, message: str) -> None:
        heard.append((progress, total))
        if len(heard) >= 5:
            done.set()
        assert message

    async with ProgressSequence(send, Beats().rhythm()).ticking():
        while len(heard) < 2:  # noqa: ASYNC110 - the clock beside us makes it true
            await asyncio.sleep(0.001)
        await report_progress(3, 3, "records sent")
        await report_progress(1, 3, "a late worker")
        await done.wait()

    numbers = [number for number, _ in heard]
    assert numbers == sorted(set(numbers))
    assert all(total is None or number <= total for number, total in heard)


async def test_of_several_waits_the_nearest_to_mixpanel_is_told() -> None:
    now = 0.0
    activity = Activity(lambda: now)
    with activity.opened():
        assert activity.shown() == "working since 0 s"
        with waiting_for(Wait.SLOT):
            now = 3.0
            assert activity.shown() == "waiting for a slot of Mixpanel's budget since 3 s"
            with waiting_for(Wait.ANSWER):
                now = 5.0
                assert activity.shown() == "waiting for Mixpanel since 2 s"
        assert activity.shown() == "working since 5 s"
    with waiting_for(Wait.ANSWER):
        assert activity.shown() == "working since 5 s"


@pytest.mark.parametrize("error", [KeyError("x"), MCPError(-32602, "no")], ids=["bug", "protocol"])
async def test_an_error_arrives_as_itself(error: Exception) -> None:
    async def send(*_: object) -> None: ...

    cause = ValueError("why")
    with pytest.raises(type(error)) as caught:
        async with ProgressSequence(send, Beats().rhythm()).ticking():
            raise error from cause
    assert caught.value is error
    assert error.__cause__ is cause


async def test_outside_of_a_request_nobody_is_told() -> None:
    await report_progress(1, None, "nobody listens")


async def test_calls_at_once_have_sequences_of_their_own(
    connect: Connect, upstream: Upstream, era: Era
) -> None:
    releases = [asyncio.Event(), asyncio.Event()]
    upstream.on("/api/query/funnels/list", Reply(json=[], until=releases[0]))
    upstream.on("/api/2.0/nessie/pipeline/jobs", Reply(json={}, until=releases[1]))
    listeners = [Listener(after(3), release) for release in releases]

    async with connect(era=era, rhythm=Beats().rhythm()) as tools:

        def call(tool: str, listener: Listener) -> Awaitable[Any]:
            return tools.client.call_tool(tool, {}, progress_callback=listener)

        await asyncio.gather(
            call("list_saved_funnels", listeners[0]), call("list_pipelines", listeners[1])
        )

    for listener in listeners:
        assert len(listener.heard) >= 3
        assert listener.grows


async def test_the_clock_is_asked_after_two_seconds_and_every_five(
    connect: Connect, upstream: Upstream
) -> None:
    beats, release = Beats(), asyncio.Event()
    upstream.default = Reply(json=[], until=release)
    listener = Listener(after(2), release)

    async with connect(rhythm=beats.rhythm(), pacing=Waits().pacing()) as tools:
        await tools.client.call_tool("list_saved_funnels", {}, progress_callback=listener)

    assert beats.pauses[:3] == [2, 5, 5]


SERVER = """
import os
from mixpanel_mcp.progress import Rhythm
from mixpanel_mcp.server import create_server
from mixpanel_mcp.settings import load_settings
from mixpanel_mcp.transports.stdio import serve_stdio

server = create_server(load_settings(os.environ), rhythm=Rhythm(0.01, 0.01))
serve_stdio(server)
"""


async def test_over_stdio_only_who_gave_a_token_is_told_and_reads_are_too(
    upstream: Upstream,
) -> None:
    upstream.default = Hang()
    release, path = asyncio.Event(), "/api/2.0/nessie/pipeline/jobs"
    upstream.on(path, Held(release, Reply(json={})))
    call: dict[str, Any] = {"name": "list_saved_funnels", "arguments": {}}
    environment = connection_to(upstream)
    async with raw_server(environment=environment, command=("-c", SERVER)) as server:
        await server.ask("initialize", **INITIALIZE)
        server.tell({"jsonrpc": "2.0", "method": "notifications/initialized"})
        for number, meta in ((1, {}), (2, {"progressToken": "loud"})):
            params = {**call, "_meta": meta}
            server.tell({"jsonrpc": "2.0", "id": number, "method": "tools/call", "params": params})
        released = asyncio.create_task(_release_after_a_while(upstream, path, release))
        await server.ask(
            "resources/read", uri="mixpanel://pipelines", _meta={"progressToken": "slow"}
        )
        await released
        await server.end()

    messages = [json.loads(line) for line in server.lines]
    told = [message["params"] for message in messages if message.get("method")]
    assert {params["progressToken"] for params in told} == {"loud", "slow"}
    for token in ("loud", "slow"):
        numbers = [params["progress"] for params in told if params["progressToken"] == token]
        assert numbers == sorted(set(numbers))
        assert len(numbers) > 2


async def _release_after_a_while(upstream: Upstream, path: str, release: asyncio.Event) -> None:
    while not upstream.to(path):  # noqa: ASYNC110 - the other end of a connection makes it true
        await asyncio.sleep(0.01)
    await asyncio.sleep(0.1)
    release.set()


async def test_who_leaves_stops_the_clock(connect: Connect, upstream: Upstream, era: Era) -> None:
    upstream.default = Hang()
    beats = Beats()
    listener = Listener(after(2), asyncio.Event())

    async with connect(era=era, rhythm=beats.rhythm()) as tools:
        with pytest.raises(MCPError):
            await tools.client.call_tool(
                "list_saved_funnels", {}, read_timeout_seconds=0.1, progress_callback=listener
            )
        with anyio.fail_after(2):
            while not upstream.closed_early:  # noqa: ASYNC110 - the other end makes it true
                await anyio.sleep(0.01)
        beaten = len(beats.pauses)
        await anyio.sleep(0.05)

    assert len(beats.pauses) == beaten
