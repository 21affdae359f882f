"""A real client, over real stdio, on the sandbox: what a session looks like.

Nothing here is staged: each step calls a tool and checks what came back, and the first one that
is not as told ends the demo with exit code 1.
"""

import json
import sys
import tempfile
import time
from datetime import UTC, date, datetime, timedelta
from math import sqrt
from pathlib import Path
from statistics import mean
from textwrap import shorten
from typing import Any, NamedTuple

import anyio
import mcp.types as t
from mcp import Client, StdioServerParameters
from mcp.client.stdio import stdio_client

from mixpanel_mcp.sandbox.demo import truth

_SECONDS = 28.0
_SHOWN_LINES = 5
_WIDTH = 110


class DemoFailedError(Exception):
    """A step did not end as the story says."""


def run_demo() -> int:
    """Tell the story on stdout; the result is the exit code."""
    started = time.monotonic()
    _say("mixpanel-mcp: an MCP client works on an embedded Mixpanel through this server.")
    with tempfile.TemporaryDirectory(prefix="mixpanel-mcp-demo-") as folder:
        failure = anyio.run(_session, Path(folder))
    if failure:
        _say(f"\nThe demo failed: {failure}")
        return 1
    _say(
        f"\nAll of this happened just now, in {time.monotonic() - started:.1f} s. For your project"
    )
    _say(
        "set MIXPANEL_USERNAME, MIXPANEL_PASSWORD, MIXPANEL_PROJECT_TOKEN and MIXPANEL_PROJECT_ID."
    )
    return 0


async def _session(folder: Path) -> str | None:
    """Start the server as a host would, and tell the story; what failed is returned."""
    audit_log = folder / "audit.jsonl"
    options = ["--sandbox", "--files-root", str(folder), "--audit-log", str(audit_log)]
    server = StdioServerParameters(
        command=sys.executable, args=["-m", "mixpanel_mcp", "serve", *options]
    )
    person = _Person(answers=[False, True])
    failure: str | None = None
    with (folder / "server.log").open("w+") as log, anyio.move_on_after(_SECONDS) as limit:
        transport = stdio_client(server, errlog=log)
        async with Client(transport, elicitation_callback=person.answer) as client:
            try:
                await _tell(_Story(client), anyio.Path(audit_log))
            except DemoFailedError as failed:
                failure = str(failed)
        if failure:
            log.seek(0)
            _say(f"\nWhat the server said on stderr:\n{log.read()}")
    return "it took too long" if limit.cancelled_caught else failure


async def _tell(story: "_Story", audit_log: anyio.Path) -> None:
    yesterday = (datetime.now(UTC) - timedelta(days=1)).date()
    await story.count_tools()
    await _look_around(story, yesterday)
    await _find_the_fall(story, yesterday)
    await _import_with_care(story, yesterday)
    await _delete_with_consent(story)

    story.begin("Whatever wrote, or was stopped from it, is in the audit log.")
    for line in (await audit_log.read_text()).splitlines()[-_SHOWN_LINES:]:
        entry = json.loads(line)
        effect, confirmed = entry["effect"].lower(), entry["confirmed"]
        _say(f"   {entry['tool']}: {effect}, {confirmed}, {entry['outcome']}")


async def _look_around(story: "_Story", yesterday: date) -> None:
    story.begin("The project has saved funnels and pipelines.")
    await story.call("list_saved_funnels", "ok")
    await story.call("list_pipelines", "ok")

    story.begin("A week of raw events: counted to the last line, and put into a file.")
    week = {"from_date": str(yesterday - timedelta(days=6)), "to_date": str(yesterday)}
    export = await story.call("download_data", "ok", **week)
    content = await anyio.Path(export["data"]["path"]).read_bytes()
    _check(content.count(b"\n") == export["data"]["count"])


async def _find_the_fall(story: "_Story", yesterday: date) -> None:
    """Ask as an analyst would: first who lost buyers, then what came with it."""
    story.begin("Fewer checkouts end in a purchase. The saved funnel, day by day and by platform:")
    funnels = await story.call("list_saved_funnels", "ok")
    (funnel_id,) = (
        each["funnel_id"] for each in funnels["data"] if each["name"] == truth.FUNNEL_PURCHASE
    )
    weeks = {"from_date": str(yesterday - timedelta(days=27)), "to_date": str(yesterday)}
    question = {"funnel_id": funnel_id, **weeks}
    by_platform = await story.call(
        "query_funnel_saved_reports", "ok", **question, on='properties["platform"]'
    )
    fall = _largest_fall(by_platform["data"]["data"])
    _say(
        f"   On {fall.segment}, {fall.before:.0%} of those who checked out bought something; since"
        f" {fall.day} it is {fall.since:.0%}."
    )
    _check(fall.segment == truth.RELEASE_PLATFORM)
    _check(fall.day == str(truth.release_day(yesterday + timedelta(days=1))))

    story.begin(f"What else happened on {fall.day}? The versions that {fall.segment} users had:")
    by_version = await story.call(
        "query_funnel_saved_reports",
        "ok",
        **question,
        where=f'properties["platform"] == "{fall.segment}"',
        on='properties["app_version"]',
    )
    first_days = {
        version: day
        for day, segments in sorted(by_version["data"]["data"].items(), reverse=True)
        for version in segments
    }
    _say(f"   Version {truth.APP_VERSIONS[1]} came that day. A funnel, a day and a suspect.")
    _check(first_days[truth.APP_VERSIONS[1]] == fall.day)


class _Fall(NamedTuple):
    segment: str
    day: str
    before: float
    since: float
    weight: float


def _largest_fall(days: dict[str, dict[str, list[dict[str, Any]]]]) -> _Fall:
    """The segment and the day that best part high rates of the last step from low ones."""
    rates: dict[str, dict[str, float]] = {}
    for day, segments in sorted(days.items()):
        for segment, steps in segments.items():
            rates.setdefault(segment, {})[day] = steps[-1]["step_conv_ratio"]
    falls = [
        _fall(segment, by_day, day) for segment, by_day in rates.items() for day in list(by_day)[1:]
    ]
    return max(falls, key=lambda fall: fall.weight)


def _fall(segment: str, by_day: dict[str, float], day: str) -> _Fall:
    before = [rate for each, rate in by_day.items() if each < day]
    since = [rate for each, rate in by_day.items() if each >= day]
    step = mean(before) - mean(since)
    # One bad day is no fall: many days on both sides make the same step more certain.
    return _Fall(segment, day, mean(before), mean(since), step * sqrt(len(before) * len(since)))


async def _import_with_care(story: "_Story", yesterday: date) -> None:
    story.begin("An import with a mistake in it sends nothing, and says where the mistake is.")
    good = {"distinct_id": "ada", "time": f"{yesterday}T09:30:00", "plan": "pro"}
    bad = {"distinct_id": "ada", "plan": "pro"}
    events = [{"event": "Booked", "properties": good}, {"event": "Booked", "properties": bad}]
    await story.call("import_events", "refused", events=events)

    story.begin(
        "Mended, and sent twice as after a lost reply: both carry the same $insert_id, so Mixpanel "
        "counts one. (A raw export shows both.)"
    )
    first = await story.call("import_events", "ok", events=events[:1])
    again = await story.call("import_events", "ok", events=events[:1])
    _check(first["data"]["accepted"] == again["data"]["accepted"] == 1)
    found = await story.call(
        "download_data", "ok", event_name="Booked", from_date=str(yesterday), to_date=str(yesterday)
    )
    ids = {event["properties"]["$insert_id"] for event in found["data"]["events"]}
    _check(len(ids) == 1)


async def _delete_with_consent(story: "_Story") -> None:
    story.begin("A profile is set, and read back.")
    profile = {"$distinct_id": "ada", "$name": "Ada", "plan": "pro"}
    await story.call("create_profile", "ok", properties=[profile])
    await story.call("query_profiles", "ok", distinct_ids=["ada"], output_properties=["$name"])

    story.begin(
        "Deleting it cannot be undone, so the call says what it would do, and does nothing."
    )
    await story.call("delete_profile", "confirmation_required", delete_profiles=["ada"])

    story.begin("With confirm=true the person is asked. First they say no, then yes.")
    await story.call("delete_profile", "refused", delete_profiles=["ada"], confirm=True)
    still = await story.call("query_profiles", "ok", distinct_ids=["ada"])
    _check(len(still["data"]["profiles"]) == 1)
    await story.call("delete_profile", "ok", delete_profiles=["ada"], confirm=True)
    gone = await story.call("query_profiles", "ok", distinct_ids=["ada"])
    _check(gone["data"]["profiles"] == [])

    story.begin("The raw door has the same lock.")
    deletion = [{"$distinct_id": "ada", "$delete": ""}]
    await story.call(
        "raw_request", "confirmation_required", url="/engage", method="POST", data=deletion
    )


class _Person:
    """Stands in for somebody at a keyboard: reads each question, and gives the next answer."""

    def __init__(self, answers: list[bool]) -> None:
        self._answers = answers

    async def answer(self, context: object, params: Any) -> t.ElicitResult:
        del context
        approve = self._answers.pop(0)
        _say(f"   asked:    {params.message}")
        _say(f"   answered: {'yes' if approve else 'no'}")
        return t.ElicitResult(action="accept", content={"approve": approve})


class _Story:
    """Calls tools, shows what came back, and insists that it is what was expected."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._step = 0

    def begin(self, sentence: str) -> None:
        self._step += 1
        _say(f"\n{self._step}. {sentence}")

    async def count_tools(self) -> None:
        tools = (await self._client.list_tools()).tools
        _say(f"Connected over stdio; the server offers {len(tools)} tools.")

    async def call(self, tool: str, expected: str, **arguments: Any) -> dict[str, Any]:
        """Call a tool and show the beginning of its answer.

        Raises:
            DemoFailedError: the answer has another status.
        """
        given = ", ".join(f"{name}={value!r}" for name, value in arguments.items())
        _say(f"   {shorten(f'{tool}({given})', _WIDTH, placeholder=' ...)')}")
        answer = await self._client.call_tool(tool, arguments)
        text = "\n".join(block.text for block in answer.content if block.type == "text")
        for line in _worth_showing(text):
            _say(f"     {shorten(line, _WIDTH, placeholder=' ...')}")
        content: dict[str, Any] = answer.structured_content or {}
        if content.get("status") != expected:
            raise DemoFailedError(f"{tool} ended as {content.get('status')}, not as {expected}")
        return content


def _worth_showing(text: str) -> list[str]:
    """The answer's own words and the first rows, without the marks around data."""
    lines = [line for line in text.splitlines() if line and not line.startswith(("<", "Scope"))]
    shown = lines[:_SHOWN_LINES]
    return shown if len(lines) == len(shown) else [*shown, f"... {len(lines) - len(shown)} lines"]


def _check(holds: bool) -> None:  # noqa: FBT001 - it is all there is to say
    if not holds:
        raise DemoFailedError("what came back is not what the story says")


def _say(line: str) -> None:
    # At once: whoever watches should see the work go on.
    print(line, flush=True)
