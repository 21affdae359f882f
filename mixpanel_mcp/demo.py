"""A real client, over real stdio, on the sandbox: what a session looks like.

Nothing here is staged: each step calls a tool and checks what came back, and the first one that
is not as told ends the demo with exit code 1.
"""

import json
import sys
import tempfile
import time
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from textwrap import shorten
from typing import Any

import anyio
import mcp.types as t
from mcp import Client, StdioServerParameters
from mcp.client.stdio import stdio_client

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
